/* The root file system, its mounts and the pivot; runs in the container's new mount namespace. */
#include "mounts.h"

#include "clean.h"
#include "detached.h"
#include "io.h"
#include "json.h"
#include "proc.h"
#include "rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
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

/* For a mount that is in place already, by its fd. */
static int set_propagation(struct error *e, int mount_fd, unsigned long propagation)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", mount_fd);
    if (propagation != 0 && mount(NULL, path, NULL, propagation, NULL) < 0)
        return err_set(e, errno, "set propagation");
    return 0;
}

/* A new file system's mount is whatever lies at its destination now: its propagation concerns
 * nobody but the container. */
static int set_new_propagation(struct error *e, int root_fd, const char *destination,
                               unsigned long propagation)
{
    if (propagation == 0)
        return 0;
    cleanup_close int target = root_open(root_fd, destination, O_PATH);
    if (target < 0 || set_propagation(e, target, propagation) < 0)
        return err_set(e, errno, "set propagation of %s", destination);
    return 0;
}

/* Mounting over the kernel's view of processes would hide it from whoever relies on it, so only
 * files that others are known to replace may be covered, and /proc itself by another procfs. */
static int check_target(struct error *e, int target, int source, const char *destination)
{
    static const char *const allowed[] = {"/proc/cpuinfo",
                                          "/proc/diskstats",
                                          "/proc/meminfo",
                                          "/proc/stat",
                                          "/proc/swaps",
                                          "/proc/uptime",
                                          "/proc/loadavg",
                                          "/proc/slabinfo",
                                          "/proc/net/dev",
                                          "/proc/sys/kernel/ns_last_pid",
                                          "/proc/sys/crypto/fips_enabled"};
    if (!proc_has(target) || (source >= 0 && proc_has(source)))
        return 0;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(allowed[i], destination) == 0)
            return 0;
    return err_set(e, 0, "mount at %s refused: it lies inside /proc", destination);
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
    if (check_target(e, target, tree, destination) < 0)
        return -1;
    /* A copy keeps its source's peer group: without a wish it must not send mounts back. */
    unsigned long propagation = o->propagation != 0 ? o->propagation : MS_PRIVATE | MS_REC;
    if (bind_attributes(e, tree, o) < 0 || detached_attach(e, tree, target) < 0 ||
        set_propagation(e, tree, propagation) < 0)
        return err_wrap(e, "bind mount %s at %s", path, destination);
    return 0;
}

/* A link in place of /proc or /sys would leave the fake that it is exchanged for in its place. */
static int open_kernel_target(struct error *e, int root_fd, const char *type,
                              const char *destination)
{
    cleanup_close int made = root_make(e, root_fd, destination, true);
    if (made < 0)
        return -1;
    int target = path_open(root_fd, destination, O_PATH | O_DIRECTORY,
                           RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
    if (target < 0)
        return err_set(e, errno == ELOOP ? 0 : errno, "mount %s at %s: %s", type, destination,
                       errno == ELOOP ? "must be an ordinary directory, not a symbolic link"
                                      : "open");
    return target;
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
    if (o.copies_up)
        return err_set(e, 0, "mount option tmpcopyup is not supported (%s)", destination);
    bool is_proc = strcmp(type, "proc") == 0;
    cleanup_close int target = is_proc || strcmp(type, "sysfs") == 0
                                   ? open_kernel_target(e, root_fd, type, destination)
                                   : root_make(e, root_fd, destination, true);
    if (target < 0 || (!is_proc && check_target(e, target, -1, destination) < 0))
        return -1;
    if (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0)
        return mounts_cgroups(e, target, &o);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount(json_text(entry, "source", type), path, type, o.flags, o.data) < 0)
        return err_set(e, errno, "mount %s at %s", type, destination);
    return set_new_propagation(e, root_fd, destination, o.propagation);
}
