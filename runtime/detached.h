/* Mounts that are made first and put in place afterwards, by fd: no path that a container could
 * change is walked twice. */
#ifndef MINI_DETACHED_H
#define MINI_DETACHED_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

/* A new tmpfs that is mounted nowhere yet. options: "key=value", up to NULL; attributes:
 * MOUNT_ATTR_*. Returns its fd. */
int detached_tmpfs(struct error *e, const char *const *options, unsigned int attributes);

/* A copy of the mount at fd, with what is mounted below it when recursive. Returns its fd. */
int detached_copy(struct error *e, int fd, bool is_recursive);

/* Sets attributes (MOUNT_ATTR_*) on the mount at fd, and on those below it when recursive. */
int detached_attributes(struct error *e, int fd, uint64_t attributes, bool is_recursive);

/* Puts the mount at the file or directory that target (O_PATH) is. Its fd stays good. */
int detached_attach(struct error *e, int mount_fd, int target);

#endif
