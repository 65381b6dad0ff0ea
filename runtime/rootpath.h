/* Paths inside a root directory: symbolic links and ".." never lead out of it (openat2
 * RESOLVE_IN_ROOT). */
#ifndef MINI_ROOTPATH_H
#define MINI_ROOTPATH_H

#include "error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens path below the root with these open(2) flags; O_CLOEXEC is added. */
int root_open(int root_fd, const char *path, int flags);

/* The same with RESOLVE_* of openat2(2) as the caller wants them. */
int path_open(int dir_fd, const char *path, int flags, unsigned int resolve);

/* Opens (O_PATH) the directory or file at path, making it and missing parents first. */
int root_make(struct error *e, int root_fd, const char *path, bool is_directory);

/* Opens (O_PATH) the parent directory of path, made if missing; *name is path's last part. */
int root_make_parent(struct error *e, int root_fd, const char *path, const char **name);

#endif
