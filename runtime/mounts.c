/* The root file system, its mounts and the pivot; runs in the container's new mount namespace. */
#include "mounts.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const struct {
    const char *name;
    unsigned long flags;
} propagations[] = {{"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
                    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
                    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
                    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};

static unsigned long propagation_of(json_object *config)
{
    const char *name = json_text(config, "linux.rootfsPropagation", "");
    for (size_t i = 0; i < sizeof propagations / sizeof *propagations; i++)
        if (strcmp(propagations[i].name, name) == 0)
            return propagations[i].flags;
    return 0;
}

/* The mount that the root will hang on must not send it to the host: makes that one mount private.
 */
static int isolate_parent(struct error *e, const char *path)
{
    cleanup_free char *at = text_format("%s", path);
    for (;;) {
        struct statx info;
        if (statx(AT_FDCWD, at, AT_NO_AUTOMOUNT, 0, &info) == 0 &&
            (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
            break;
        char *slash = strrchr(at, '/');
        if (slash == NULL || slash == at)
            strcpy(at, "/");
        else
            *slash = '\0';
        if (strcmp(at, "/") == 0)
            break;
    }
    if (mount(NULL, at, NULL, MS_PRIVATE, NULL) < 0)
        return err_set(e, errno, "make %s private", at);
    return 0;
}

static int add_layer(struct error *e, char *data, size_t room, const char *key, const char *path)
{
    /* Named by fd: short, so that many layers fit into one page, and free of ':' and ','. Closed by
     * exec. */
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open layer %s", path);
    size_t used = strlen(data);
    int more = snprintf(data + used, room - used, "%s/proc/self/fd/%d", key, fd);
    if (more < 0 || (size_t)more >= room - used)
        return err_set(e, 0, "too many layers");
    return 0;
}

static int mount_overlay(struct error *e, json_object *overlay, const char *target)
{
    char data[4096] = "";
    json_object *lower = json_at(overlay, "lower");
    size_t count = json_count(lower, "");
    if (count == 0)
        return err_set(e, 0, "overlay without lower directories");
    for (size_t i = 0; i < count; i++)
        if (add_layer(e, data, sizeof data, i == 0 ? "lowerdir=" : ":", json_entry_text(lower, i)) <
            0)
            return -1;
    if (add_layer(e, data, sizeof data, ",upperdir=", json_text(overlay, "upper", "")) < 0 ||
        add_layer(e, data, sizeof data, ",workdir=", json_text(overlay, "work", "")) < 0)
        return -1;
    if (mount("overlay", target, "overlay", 0, data) < 0)
        return err_set(e, errno, "mount overlay at %s (%s)", target, data);
    return 0;
}

int mounts_root(struct error *e, struct container *c, char **root_path)
{
    const char *path = json_text(c->config, "root.path", "rootfs");
    unsigned long propagation = propagation_of(c->config);
    *root_path = *path == '/' ? text_format("%s", path) : text_format("%s/%s", c->bundle, path);
    if (mount(NULL, "/", NULL, propagation != 0 ? propagation : MS_SLAVE | MS_REC, NULL) < 0)
        return err_set(e, errno, "set propagation of /");
    if (c->overlay != NULL && make_dirs(e, *root_path, 0755) < 0)
        return -1;
    if (isolate_parent(e, *root_path) < 0)
        return -1;
    if (c->overlay != NULL) {
        if (mount_overlay(e, c->overlay, *root_path) < 0)
            return -1;
    } else if (mount(*root_path, *root_path, NULL, MS_BIND | MS_REC, NULL) < 0) {
        return err_set(e, errno, "bind root file system %s", *root_path);
    }
    if (mount(NULL, *root_path, NULL, MS_PRIVATE, NULL) < 0)
        return err_set(e, errno, "make root file system private");
    int fd = open(*root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open root file system %s", *root_path);
    return fd;
}

static int bind_attributes(struct error *e, int tree, const struct mount_options *o)
{
    struct mount_attr own = {.attr_set = o->attributes, .attr_clr = o->attributes_cleared};
    struct mount_attr all = {.attr_set = o->attributes_recursive};
    if ((own.attr_set & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME)) != 0)
        own.attr_clr |= MOUNT_ATTR__ATIME;
    if ((own.attr_set | own.attr_clr) != 0 &&
        mount_setattr(tree, "", AT_EMPTY_PATH, &own, sizeof own) < 0)
        return err_set(e, errno, "set attributes of bind mount");
    if (all.attr_set != 0 &&
        mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &all, sizeof all) < 0)
        return err_set(e, errno, "set recursive attributes of bind mount");
    return 0;
}

static int set_propagation(struct error *e, int root_fd, const char *destination,
                           unsigned long propagation)
{
    if (propagation == 0)
        return 0;
    cleanup_close int target = root_open(root_fd, destination, O_PATH, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (target < 0 || mount(NULL, path, NULL, propagation, NULL) < 0)
        return err_set(e, errno, "set propagation of %s", destination);
    return 0;
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
    int found = root_open(dir, rest, O_PATH, 0);
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

static int mount_bind(struct error *e, const struct container *c, int root_fd, json_object *mount_,
                      const struct mount_options *o)
{
    const char *source = json_text(mount_, "source", "");
    const char *destination = json_text(mount_, "destination", "");
    cleanup_free char *path =
        *source == '/' ? text_format("%s", source) : text_format("%s/%s", c->bundle, source);
    const char *inside = json_text(mount_, "sourceRoot", NULL);
    cleanup_close int base = inside == NULL ? -1 : open_inside(e, inside, path);
    if (inside != NULL && base < 0)
        return -1;
    unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    flags |= o->is_recursive ? (unsigned int)AT_RECURSIVE : 0U;
    cleanup_close int tree = inside == NULL ? open_tree(AT_FDCWD, path, flags)
                                            : open_tree(base, "", flags | AT_EMPTY_PATH);
    struct stat info;
    if (tree < 0 || fstat(tree, &info) < 0)
        return err_set(e, errno, "bind mount source %s", path);
    cleanup_close int target = root_make(e, root_fd, destination, S_ISDIR(info.st_mode));
    if (target < 0)
        return -1;
    if (bind_attributes(e, tree, o) < 0)
        return err_wrap(e, "%s", destination);
    if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_set(e, errno, "bind mount %s at %s", path, destination);
    /* A copy keeps its source's peer group: without a wish it must not send mounts back. */
    return set_propagation(e, root_fd, destination,
                           o->propagation != 0 ? o->propagation : MS_PRIVATE | MS_REC);
}

/* v1: a tmpfs with one mount per hierarchy, as seen from the container's cgroup namespace. */
static int mount_cgroups(struct error *e, int root_fd, const char *destination,
                         const struct mount_options *o)
{
    cleanup_close int target = root_make(e, root_fd, destination, true);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (target < 0)
        return -1;
    if (cgroup_is_v2()) {
        if (mount("cgroup", path, "cgroup2", o->flags, NULL) < 0)
            return err_set(e, errno, "mount cgroup2");
        return 0;
    }
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0)
        return err_set(e, errno, "mount tmpfs for cgroups");
    cleanup_dir DIR *handle = opendir(CGROUP_ROOT);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        cleanup_free char *host = text_format(CGROUP_ROOT "/%s", entry->d_name);
        cleanup_free char *own = text_format("%s/%s", destination, entry->d_name);
        struct statx info;
        if (entry->d_name[0] == '.' || statx(AT_FDCWD, host, 0, 0, &info) < 0 ||
            (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
            continue;
        bool is_v2 = strcmp(entry->d_name, "unified") == 0;
        bool is_named = strcmp(entry->d_name, "systemd") == 0;
        cleanup_close int dir = root_make(e, root_fd, own, true);
        if (dir < 0)
            return -1;
        snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
        if (mount("cgroup", path, is_v2 ? "cgroup2" : "cgroup", o->flags,
                  is_v2      ? NULL
                  : is_named ? "none,name=systemd"
                             : entry->d_name) < 0)
            return err_set(e, errno, "mount cgroup %s", entry->d_name);
    }
    if ((o->flags & MS_RDONLY) == 0)
        return 0;
    cleanup_close int top = root_open(root_fd, destination, O_PATH, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", top);
    if (mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              NULL) < 0)
        return err_set(e, errno, "make cgroup mount read-only");
    return 0;
}

int mounts_one(struct error *e, const struct container *c, int root_fd, json_object *entry)
{
    const char *destination = json_text(entry, "destination", "");
    const char *type = json_text(entry, "type", "");
    struct mount_options o;
    if (mount_options_parse(e, entry, &o) < 0)
        return -1;
    if (o.is_bind)
        return mount_bind(e, c, root_fd, entry, &o);
    if (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0)
        return mount_cgroups(e, root_fd, destination, &o);
    if (o.copies_up)
        return err_set(e, 0, "mount option tmpcopyup is not supported (%s)", destination);
    cleanup_close int target = root_make(e, root_fd, destination, true);
    if (target < 0)
        return -1;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount(json_text(entry, "source", type), path, type, o.flags, o.data) < 0)
        return err_set(e, errno, "mount %s at %s", type, destination);
    return set_propagation(e, root_fd, destination, o.propagation);
}
