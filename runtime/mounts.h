/* The container's file systems, made inside its own mount namespace. */
#ifndef MINI_MOUNTS_H
#define MINI_MOUNTS_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>

/* Sets propagation, mounts the root and returns an O_PATH fd of it. *root_path: where, in new
 * memory. */
int mounts_root(struct error *e, struct container *c, char **root_path);
/* One entry of config.json's mounts. */
int mounts_one(struct error *e, const struct container *c, int root_fd, json_object *mount);
/* Default and configured device nodes and links of /dev. */
int devices_make(struct error *e, int root_fd, json_object *config);
/* Makes the root "/" and drops all other mounts. */
int mounts_pivot(struct error *e, int root_fd);
/* After the pivot: masked, read-only paths, the root's own flags and propagation. */
int mounts_finish(struct error *e, json_object *config);

/* What a mount option means: mount(2) flags to set or clear, propagation, or data for the file
 * system. */
struct mount_options {
    unsigned long flags;
    unsigned long propagation;
    unsigned long attributes; /* MOUNT_ATTR_*, for bind mounts */
    unsigned long attributes_cleared;
    unsigned long attributes_recursive;
    bool is_bind, is_recursive, copies_up;
    char data[4096];
};
int mount_options_parse(struct error *e, json_object *mount, struct mount_options *options);
/* Mounts cgroups at target (O_PATH). */
int mounts_cgroups(struct error *e, int target, const struct mount_options *options);
/* Names known to mount_options_parse, NULL-terminated, for `features`. */
const char *mount_option_name(size_t index);

#endif
