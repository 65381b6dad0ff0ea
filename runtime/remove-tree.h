/* Removing a directory tree without ever leaving it. */
#ifndef MINI_REMOVE_TREE_H
#define MINI_REMOVE_TREE_H

#include "error.h"

/* Links are not followed, mounts not entered; immutable files are made mutable. Gone already =
 * success. */
int remove_tree(struct error *e, const char *path);
int remove_tree_at(struct error *e, int parent_fd, const char *name);

#endif
