/* Bind mounts before they are put in their place: the source, its ids and its attributes. */
#include "mounts.h"

#include "clean.h"
#include "container-users.h"
#include "io.h"
#include "json.h"
#include "rootpath.h"
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

int mount_set_attributes(struct error *e, int tree, const struct mount_attributes *attributes,
                         bool is_recursive)
{
    struct mount_attr attr = {.attr_set = attributes->set, .attr_clr = attributes->cleared};
    if ((attr.attr_set | attr.attr_clr) == 0)
        return 0;
    unsigned int flags = (unsigned int)AT_EMPTY_PATH;
    flags |= is_recursive ? (unsigned int)AT_RECURSIVE : 0U;
    if (mount_setattr(tree, "", flags, &attr, sizeof attr) < 0)
        return err_set(e, errno, "set%s mount attributes", is_recursive ? " recursive" : "");
    return 0;
}

int mount_map_ids(struct error *e, int tree, int userns, bool is_recursive, const char *path)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned int)userns};
    unsigned int flags = (unsigned int)AT_EMPTY_PATH;
    flags |= is_recursive ? (unsigned int)AT_RECURSIVE : 0U;
    if (mount_setattr(tree, "", flags, &attr, sizeof attr) == 0)
        return 0;
    struct statfs info = {0};
    int code = errno;
    if (code != EINVAL || fstatfs(tree, &info) < 0)
        return err_set(e, code, "map ids of %s", path);
    err_set(e, 0,
            "map ids of %s: its file system (type 0x%llx)%s cannot map ids with this kernel; use "
            "another file system (ext4, xfs, btrfs, tmpfs since Linux 6.3) or the host's user "
            "namespace",
            path, (unsigned long long)info.f_type, is_recursive ? " or one mounted below" : "");
    e->code = code;
    return -1;
}

/* By the mount's own mappings, else by the container's. */
static int map_ids(struct error *e, const struct container *c, int tree, json_object *mount,
                   const struct mount_options *o, const char *path)
{
    json_object *uids = json_at(mount, "uidMappings"), *gids = json_at(mount, "gidMappings");
    if (json_count(uids, "") == 0 && json_count(gids, "") == 0) {
        if (c->users == NULL)
            return err_set(e, 0,
                           "mount of %s: option %s needs uidMappings and gidMappings, or a user "
                           "namespace of the container",
                           path, o->maps_ids_below ? "ridmap" : "idmap");
        return mount_map_ids(e, tree, c->users->fd, o->maps_ids_below, path);
    }
    cleanup_close int userns = userns_make(e, uids, gids);
    if (userns < 0)
        return err_wrap(e, "mount of %s", path);
    return mount_map_ids(e, tree, userns, o->maps_ids_below, path);
}

/* A source with a sourceRoot (mini's own, see spec.ts) lies in that directory wherever links in it
 * point by now, so that whoever may write there cannot have another part of the host mounted. What
 * is missing is made as a directory with the mode of sourceRoot. */
static int open_inside(struct error *e, const char *root, const char *path)
{
    size_t length = strlen(root);
    if (strncmp(path, root, length) != 0 || path[length] != '/')
        return err_set(e, EINVAL, "mount source %s is not in %s", path, root);
    const char *rest = path + length + 1;
    cleanup_close int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    if (dir < 0 || fstat(dir, &info) < 0)
        return err_set(e, errno, "open %s", root);
    int found = root_open(dir, rest, O_PATH);
    if (found >= 0 || errno != ENOENT)
        return found >= 0 ? found : err_set(e, errno, "mount source %s", path);
    cleanup_close int made = root_make(e, dir, rest, true);
    if (made < 0)
        return err_wrap(e, "mount source %s", path);
    char own[64];
    snprintf(own, sizeof own, "/proc/self/fd/%d", made);
    if (chmod(own, info.st_mode & 07777) < 0)
        return err_set(e, errno, "set mode of %s", path);
    return steal_fd(&made);
}

int mount_source(struct error *e, const struct container *c, json_object *mount,
                 const struct mount_options *o)
{
    const char *source = json_text(mount, "source", "");
    cleanup_free char *path =
        *source == '/' ? text_format("%s", source) : text_format("%s/%s", c->bundle, source);
    const char *inside = json_text(mount, "sourceRoot", NULL);
    cleanup_close int base = inside == NULL ? -1 : open_inside(e, inside, path);
    if (inside != NULL && base < 0)
        return -1;
    unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    flags |= o->is_recursive ? (unsigned int)AT_RECURSIVE : 0U;
    cleanup_close int tree = inside == NULL ? open_tree(AT_FDCWD, path, flags)
                                            : open_tree(base, "", flags | AT_EMPTY_PATH);
    if (tree < 0)
        return err_set(e, errno, "bind mount source %s", path);
    if (o->maps_ids && map_ids(e, c, tree, mount, o, path) < 0)
        return -1;
    if (mount_set_attributes(e, tree, &o->own, false) < 0 ||
        mount_set_attributes(e, tree, &o->recursive, true) < 0)
        return err_wrap(e, "bind mount %s", path);
    return steal_fd(&tree);
}

/* Mounts that are made there later come into the container, and none go back. */
static int make_slave(struct error *e, int tree)
{
    struct mount_attr slave = {.propagation = MS_SLAVE};
    if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &slave, sizeof slave) < 0)
        return err_set(e, errno, "make a slave of the host's mounts");
    return 0;
}

static int open_binds(struct error *e, struct container *c)
{
    json_object *mounts = json_at(c->config, "mounts");
    struct sources *sources = c->sources;
    for (size_t i = 0; i < sources->count; i++) {
        json_object *mount_ = json_entry(mounts, i);
        struct mount_options o;
        if (mount_options_parse(e, mount_, &o) < 0)
            return -1;
        if (!o.is_bind)
            continue;
        sources->binds[i] = mount_source(e, c, mount_, &o);
        if (sources->binds[i] < 0 || (c->users == NULL && make_slave(e, sources->binds[i]) < 0))
            return -1;
    }
    return 0;
}

int sources_open(struct error *e, struct container *c)
{
    size_t count = json_count(c->config, "mounts");
    struct sources *sources = calloc(1, sizeof *sources + count * sizeof sources->binds[0]);
    if (sources == NULL)
        return err_set(e, ENOMEM, "open what is mounted");
    sources->count = count;
    sources->root = -1;
    for (size_t i = 0; i < count; i++)
        sources->binds[i] = -1;
    c->sources = sources;
    sources->root = mounts_root_tree(e, c);
    if (sources->root < 0 || open_binds(e, c) < 0) {
        sources_close(c);
        return -1;
    }
    return 0;
}

void sources_close(struct container *c)
{
    struct sources *sources = c->sources;
    c->sources = NULL;
    if (sources == NULL)
        return;
    for (size_t i = 0; i < sources->count; i++)
        close_now(&sources->binds[i]);
    close_now(&sources->root);
    free(sources);
}
