/* Device nodes, the pivot, and what is done to the root after it. */
#include "mounts.h"

#include "clean.h"
#include "container-users.h"
#include "detached.h"
#include "io.h"
#include "json.h"
#include "protect.h"
#include "rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* A user namespace makes no nodes: the host's of the same path and number is bound. */
static int bind_node(struct error *e, int root_fd, const char *path, mode_t mode, dev_t number)
{
    struct stat info;
    cleanup_close int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || fstat(tree, &info) < 0)
        return err_set(e, errno, "device %s of the host", path);
    if ((info.st_mode & S_IFMT) != (mode & S_IFMT) || info.st_rdev != number)
        return err_set(e, 0,
                       "device %s: the host has another one there, and in a user namespace no "
                       "device can be made",
                       path);
    cleanup_close int target = root_make(e, root_fd, path, false);
    if (target < 0)
        return -1;
    if (detached_attach(e, tree, target) < 0 || mount_propagate(e, tree, MS_PRIVATE) < 0)
        return err_wrap(e, "bind device %s", path);
    return 0;
}

static int make_node(struct error *e, const struct container *c, int root_fd, const char *path,
                     mode_t mode, dev_t number, uid_t uid, gid_t gid)
{
    if (c->users != NULL && !S_ISFIFO(mode))
        return bind_node(e, root_fd, path, mode, number);
    const char *name;
    cleanup_close int parent = root_make_parent(e, root_fd, path, &name);
    if (parent < 0)
        return -1;
    if (mknodat(parent, name, mode, number) < 0 && errno != EEXIST)
        return err_set(e, errno, "make device %s", path);
    /* By fd: the name may be a link by now. */
    cleanup_close int made = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (made < 0 || fstat(made, &info) < 0)
        return err_set(e, errno, "open device %s", path);
    if ((info.st_mode & S_IFMT) != (mode & S_IFMT) || info.st_rdev != number)
        return err_set(e, EEXIST, "make device %s", path);
    if ((info.st_uid != uid || info.st_gid != gid) &&
        fchownat(made, "", uid, gid, AT_EMPTY_PATH) < 0)
        return err_set(e, errno, "set owner of %s", path);
    return 0;
}

static int default_devices(struct error *e, const struct container *c, int root_fd)
{
    static const struct {
        const char *path;
        unsigned int major, minor;
    } nodes[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                 {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    static const struct {
        const char *path, *to;
    } links[] = {{"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"},
                 {"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
                 {"/dev/core", "/proc/kcore"},       {"/dev/ptmx", "pts/ptmx"}};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        if (make_node(e, c, root_fd, nodes[i].path, S_IFCHR | 0666,
                      makedev(nodes[i].major, nodes[i].minor), 0, 0) < 0)
            return -1;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        const char *name;
        cleanup_close int parent = root_make_parent(e, root_fd, links[i].path, &name);
        if (parent < 0)
            return -1;
        if (symlinkat(links[i].to, parent, name) < 0 && errno != EEXIST)
            return err_set(e, errno, "make link %s", links[i].path);
    }
    return 0;
}

/* A host's /dev that was bound in has its own nodes, which are the host's to keep. */
static bool has_own_dev(json_object *config)
{
    json_object *mounts = json_at(config, "mounts");
    size_t count = json_count(mounts, "");
    bool is_own = true;
    for (size_t i = 0; i < count; i++) {
        struct mount_options o;
        struct error ignored;
        json_object *mount_ = json_entry(mounts, i);
        if (strcmp(json_text(mount_, "destination", ""), "/dev") == 0 &&
            mount_options_parse(&ignored, mount_, &o) == 0)
            is_own = !o.is_bind;
    }
    return is_own;
}

int devices_make(struct error *e, const struct container *c, int root_fd)
{
    json_object *config = c->config;
    mode_t mask = umask(0);
    int result = has_own_dev(config) ? default_devices(e, c, root_fd) : 0;
    json_object *devices = json_at(config, "linux.devices");
    size_t count = json_count(devices, "");
    for (size_t i = 0; result == 0 && i < count; i++) {
        json_object *device = json_entry(devices, i);
        const char *path = json_text(device, "path", ""), *type = json_text(device, "type", "");
        /* A privileged container is given all of the host's nodes; this one is a link into its own
         * devpts. */
        if (strcmp(path, "/dev/ptmx") == 0)
            continue;
        mode_t kind = *type == 'b' ? S_IFBLK : *type == 'p' ? S_IFIFO : S_IFCHR;
        if (strlen(type) != 1 || strchr("bcup", *type) == NULL) {
            result = err_set(e, 0, "unknown device type \"%s\"", type);
            break;
        }
        result = make_node(
            e, c, root_fd, path, kind | (mode_t)(json_number(device, "fileMode", 0666) & 07777),
            makedev((unsigned int)json_number(device, "major", 0),
                    (unsigned int)json_number(device, "minor", 0)),
            (uid_t)json_number(device, "uid", 0), (gid_t)json_number(device, "gid", 0));
    }
    umask(mask);
    return result;
}

int mounts_pivot(struct error *e, int root_fd)
{
    /* The old root ends up on top of the new one and is then detached: no directory for it is
     * needed. */
    cleanup_close int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return err_set(e, errno, "pivot_root");
    /* By its fd: "." is still the new root, whose mounts keep their propagation. */
    if (fchdir(old) < 0)
        return err_set(e, errno, "enter old root");
    if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return err_set(e, errno, "make old root a slave");
    if (umount2(".", MNT_DETACH) < 0)
        return err_set(e, errno, "detach old root");
    if (chdir("/") < 0)
        return err_set(e, errno, "chdir to /");
    return 0;
}

/* Remounts with more flags, keeping those that are there. */
static int remount_readonly(struct error *e, const char *path)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(AT_FDCWD, path, 0, &attributes, sizeof attributes) < 0)
        return err_set(e, errno, "make %s read-only", path);
    return 0;
}

/* An image may name a working directory that none of its layers has. Through /proc/self/fd it might
 * lie outside of the root: nothing is made there. */
static int make_cwd(struct error *e, const char *cwd)
{
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(e, errno, "open /");
    cleanup_close int made = root_open(root, cwd, O_PATH);
    if (made >= 0 || errno != ENOENT)
        return 0; /* Whether it can be entered is seen when it is. */
    made = root_make(e, root, cwd, true);
    return made < 0 ? err_wrap(e, "make working directory %s", cwd) : 0;
}

int mounts_finish(struct error *e, json_object *config)
{
    unsigned long propagation;
    if (rootfs_propagation(e, config, &propagation) < 0)
        return -1;
    if (propagation != 0 && mount(NULL, "/", NULL, propagation, NULL) < 0)
        return err_set(e, errno, "set propagation of the root");
    if (make_cwd(e, json_text(config, "process.cwd", "/")) < 0)
        return -1;
    if (json_flag(config, "root.readonly", false) && remount_readonly(e, "/") < 0)
        return -1;
    return protect_paths(e, config);
}
