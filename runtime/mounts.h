/* The container's file systems, made inside its own mount namespace. */
#ifndef MINI_MOUNTS_H
#define MINI_MOUNTS_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>

/* root.path, made absolute, in new memory. */
char *mounts_root_path(const struct container *c);
/* Sets propagation, mounts the root and returns an O_PATH fd of it. */
int mounts_root(struct error *e, struct container *c);
/* The root as a detached mount. */
int mounts_root_tree(struct error *e, const struct container *c);
/* The entry of config.json's mounts with this index. */
int mounts_one(struct error *e, const struct container *c, int root_fd, size_t index);
/* Default and configured device nodes and links of /dev. */
int devices_make(struct error *e, const struct container *c, int root_fd);
/* Makes the root "/" and drops all other mounts. */
int mounts_pivot(struct error *e, int root_fd);
/* After the pivot: masked, read-only paths, the root's own flags and propagation. */
int mounts_finish(struct error *e, json_object *config);
/* MS_* of linux.rootfsPropagation, 0 when absent. */
int rootfs_propagation(struct error *e, json_object *config, unsigned long *flags);

/* Attributes as mount_setattr takes them. */
struct mount_attributes {
    unsigned long set, cleared;
};

/* What a mount option means: mount(2) flags to set or clear, propagation, or data for the file
 * system. */
struct mount_options {
    unsigned long flags;
    unsigned long propagation;
    struct mount_attributes own, recursive; /* own: for bind mounts, whose flags mount(2) ignores */
    bool is_bind, is_recursive, copies_up;
    bool maps_ids, maps_ids_below;
    char data[4096];
};
int mount_options_parse(struct error *e, json_object *mount, struct mount_options *options);
/* Names known to mount_options_parse, NULL-terminated, for `features`. */
const char *mount_option_name(size_t index);

/* A detached copy of a bind mount's source, with its ids mapped and its attributes set. */
int mount_source(struct error *e, const struct container *c, json_object *mount,
                 const struct mount_options *options);
/* What a container mounts of the host, for one that cannot open it where it makes its mounts. */
struct sources {
    int root; /* detached mount of the root file system */
    size_t count;
    int binds[]; /* by index in mounts of config.json: detached mount, or -1 for what is no bind */
};
/* Sets c->sources. */
int sources_open(struct error *e, struct container *c);
void sources_close(struct container *c);
int mount_set_attributes(struct error *e, int tree, const struct mount_attributes *attributes,
                         bool is_recursive);
/* Maps the ids of a detached mount as the user namespace does. */
int mount_map_ids(struct error *e, int tree, int userns, bool is_recursive, const char *path);
/* For a mount that is in place already, by its fd. */
int mount_propagate(struct error *e, int mount_fd, unsigned long flags);

/* {lower, upper, work, mapsIds} mounted at target; with mapsIds the layers' ids are mapped. */
int overlay_mount(struct error *e, json_object *overlay, const char *target);
/* Directories over each other, the first on top: nothing can be written, executed or used as a
 * device. */
int overlay_mount_layers(struct error *e, json_object *lower, const char *target);
/* Detached mounts of one; overlay_tree maps the ids of its layers as the user namespace does. */
int overlay_tree(struct error *e, json_object *overlay, const char *target, int userns);
int overlay_detached(struct error *e, json_object *overlay);
/* So many layers have overlay_detached at most: their names are to fit into one option. */
#define OVERLAY_DETACHED_MAX 12
/* Before a cgroup namespace is made, which has no names for what is above it. */
int mounts_read_memberships(struct error *e, struct container *c);
/* In `overlay` besides lower, upper and work: the SELinux label of all that is in it. */
#define OVERLAY_LABEL "label"
/* Mounts cgroups at target (O_PATH). */
int mounts_cgroups(struct error *e, const struct container *c, int target,
                   const struct mount_options *options);
/* A tmpfs at target (O_PATH), which is destination, that begins with what is there. */
int tmpfs_copy_up(struct error *e, int target, const char *destination,
                  const struct mount_options *options);

#endif
