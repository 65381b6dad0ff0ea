/* The root file system, its mounts and the pivot; runs in the container's new mount namespace. */
#include "mounts.h"

#include "clean.h"
#include "container-users.h"
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

static const struct {
    const char *name;
    unsigned long flags;
} propagations[] = {{"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
                    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
                    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
                    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};

int rootfs_propagation(struct error *e, json_object *config, unsigned long *flags)
{
    const char *name = json_text(config, "linux.rootfsPropagation", "");
    *flags = 0;
    for (size_t i = 0; i < sizeof propagations / sizeof *propagations; i++)
        if (strcmp(propagations[i].name, name) == 0)
            *flags = propagations[i].flags;
    if (*flags == 0 && *name != '\0')
        return err_set(e, 0, "config.json: linux.rootfsPropagation \"%s\" is unknown", name);
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

char *mounts_root_path(const struct container *c)
{
    const char *path = json_text(c->config, "root.path", "rootfs");
    return *path == '/' ? text_format("%s", path) : text_format("%s/%s", c->bundle, path);
}

int mounts_root(struct error *e, struct container *c)
{
    cleanup_free char *root_path = mounts_root_path(c);
    unsigned long propagation;
    if (rootfs_propagation(e, c->config, &propagation) < 0)
        return -1;
    /* Unbindable would hold for the host's mounts, too, which are still to be bound. */
    if ((propagation & MS_UNBINDABLE) != 0)
        propagation = 0;
    if (mount(NULL, "/", NULL, propagation != 0 ? propagation : MS_SLAVE | MS_REC, NULL) < 0)
        return err_set(e, errno, "set propagation of /");
    if (c->users != NULL)
        return users_root(e, c);
    if (c->overlay != NULL && make_dirs(e, root_path, 0755) < 0)
        return -1;
    if (isolate_parent(e, root_path) < 0)
        return -1;
    if (c->overlay != NULL) {
        if (overlay_mount(e, c->overlay, root_path) < 0)
            return -1;
    } else if (mount(root_path, root_path, NULL, MS_BIND | MS_REC, NULL) < 0) {
        return err_set(e, errno, "bind root file system %s", root_path);
    }
    if (mount(NULL, root_path, NULL, MS_PRIVATE, NULL) < 0)
        return err_set(e, errno, "make root file system private");
    int fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open root file system %s", root_path);
    return fd;
}

int mounts_root_tree(struct error *e, const struct container *c)
{
    cleanup_free char *path = mounts_root_path(c);
    struct mount_attr private = {.propagation = MS_PRIVATE};
    if (c->overlay != NULL && c->users == NULL)
        return overlay_detached(e, c->overlay);
    if (c->overlay != NULL && make_dirs(e, path, 0755) < 0)
        return -1;
    cleanup_close int tree =
        c->overlay != NULL
            ? overlay_tree(e, c->overlay, path, c->users->fd)
            : open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0)
        return c->overlay != NULL ? -1 : err_set(e, errno, "bind root file system %s", path);
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &private, sizeof private) < 0)
        return err_set(e, errno, "make root file system private");
    return steal_fd(&tree);
}

/* For a mount that is in place already, by its fd. */
int mount_propagate(struct error *e, int mount_fd, unsigned long propagation)
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
    if (target < 0 || mount_propagate(e, target, propagation) < 0)
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

static int mount_bind(struct error *e, const struct container *c, int root_fd, size_t index,
                      const struct mount_options *o)
{
    json_object *entry = json_entry(json_at(c->config, "mounts"), index);
    const char *destination = json_text(entry, "destination", "");
    cleanup_close int tree = c->sources != NULL
                                 ? fcntl(c->sources->binds[index], F_DUPFD_CLOEXEC, 3)
                                 : mount_source(e, c, entry, o);
    struct stat info;
    if (tree < 0)
        return c->sources != NULL ? err_set(e, errno, "bind mount %s", destination) : -1;
    if (fstat(tree, &info) < 0)
        return err_set(e, errno, "bind mount source of %s", destination);
    cleanup_close int target = root_make(e, root_fd, destination, S_ISDIR(info.st_mode));
    if (target < 0 || check_target(e, target, tree, destination) < 0)
        return -1;
    /* A copy keeps its source's peer group: without a wish it must not send mounts back. */
    unsigned long propagation = o->propagation != 0 ? o->propagation : MS_PRIVATE | MS_REC;
    if (detached_attach(e, tree, target) < 0 || mount_propagate(e, tree, propagation) < 0)
        return err_wrap(e, "bind mount %s at %s", json_text(entry, "source", ""), destination);
    return 0;
}

/* What a user namespace may not mount anew is bound: its own namespaces decide whose it shows. */
static int bind_instead(struct error *e, const char *type, int target)
{
    static const struct {
        const char *type, *path;
    } hosts[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"mqueue", "/dev/mqueue"}};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        if (strcmp(hosts[i].type, type) != 0)
            continue;
        cleanup_close int tree =
            open_tree(AT_FDCWD, hosts[i].path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (tree < 0 ||
            move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
            return err_set(e, errno, "bind %s", hosts[i].path);
        return 0;
    }
    return err_set(e, EPERM, "not allowed in a user namespace");
}

/* linux.mountLabel where the file system takes a label. */
static char *labelled(const struct container *c, const char *type, const char *data)
{
    static const char *const kinds[] = {"tmpfs", "mqueue", "devpts"};
    const char *label = json_text(c->config, "linux.mountLabel", "");
    for (size_t i = 0; *label != '\0' && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], type) == 0)
            return text_format("%s%scontext=\"%s\"", data, *data == '\0' ? "" : ",", label);
    return text_format("%s", data);
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

static int mount_new(struct error *e, const struct container *c, int target, json_object *entry,
                     const struct mount_options *o)
{
    const char *type = json_text(entry, "type", "");
    cleanup_free char *data = labelled(c, type, o->data);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount(json_text(entry, "source", type), path, type, o->flags, data) == 0)
        return 0;
    int code = errno;
    if (code == EPERM && c->users != NULL && bind_instead(e, type, target) == 0)
        return 0;
    return err_set(e, code, "mount %s at %s", type, json_text(entry, "destination", ""));
}

/* What mount(2) has no flags for. */
static int finish_new(struct error *e, int root_fd, const char *destination,
                      const struct mount_options *o)
{
    if ((o->recursive.set | o->recursive.cleared) != 0) {
        cleanup_close int made = root_open(root_fd, destination, O_PATH);
        if (made < 0)
            return err_set(e, errno, "open %s", destination);
        if (mount_set_attributes(e, made, &o->recursive, true) < 0)
            return err_wrap(e, "%s", destination);
    }
    return set_new_propagation(e, root_fd, destination, o->propagation);
}

static int mount_file_system(struct error *e, const struct container *c, int root_fd,
                             json_object *entry, const struct mount_options *o)
{
    const char *destination = json_text(entry, "destination", "");
    const char *type = json_text(entry, "type", "");
    bool is_proc = strcmp(type, "proc") == 0;
    cleanup_close int target = is_proc || strcmp(type, "sysfs") == 0
                                   ? open_kernel_target(e, root_fd, type, destination)
                                   : root_make(e, root_fd, destination, true);
    if (target < 0 || (!is_proc && check_target(e, target, -1, destination) < 0))
        return -1;
    if (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0)
        return mounts_cgroups(e, c, target, o);
    if (o->copies_up && strcmp(type, "tmpfs") != 0)
        return err_set(e, 0, "mount %s: tmpcopyup is for tmpfs only", destination);
    return o->copies_up ? tmpfs_copy_up(e, target, destination, o)
                        : mount_new(e, c, target, entry, o);
}

int mounts_one(struct error *e, const struct container *c, int root_fd, size_t index)
{
    json_object *entry = json_entry(json_at(c->config, "mounts"), index);
    const char *destination = json_text(entry, "destination", "");
    struct mount_options o;
    if (*destination == '\0')
        return err_set(e, 0, "config.json: mounts[%zu] has no destination", index);
    if (mount_options_parse(e, entry, &o) < 0)
        return -1;
    if (o.is_bind)
        return mount_bind(e, c, root_fd, index, &o);
    return mount_file_system(e, c, root_fd, entry, &o) < 0
               ? -1
               : finish_new(e, root_fd, destination, &o);
}
