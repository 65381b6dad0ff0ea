#include "protect.h"

#include "clean.h"
#include "detached.h"
#include "json.h"
#include "rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define NULL_DEVICE makedev(1, 3)

/* Used for all paths of one container. */
struct masks {
    json_object *mounts;
    int root, null_device;
    int empty; /* the first masked directory's tmpfs, copied for the others; or -1 */
};

/* The file systems whose files are protected. Their own files cannot be renamed away, so that a
 * path below a root that is known to be theirs leads where it says. */
static const struct {
    const char *path;
    size_t size;
    long magic;
} kernel_mounts[] = {{"/proc", 5, PROC_SUPER_MAGIC}, {"/sys", 4, SYSFS_MAGIC}};

static bool is_mounted_by(json_object *mounts, const char *path)
{
    size_t count = json_count(mounts, "");
    for (size_t i = 0; i < count; i++) {
        json_object *entry = json_entry(mounts, i);
        const char *type = json_text(entry, "type", "");
        if (strcmp(json_text(entry, "destination", ""), path) == 0 &&
            (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0))
            return true;
    }
    return false;
}

/* Opens the root of what config.json mounts at /proc or /sys, and nothing that took its place. */
static int open_kernel_mount(struct error *e, const struct masks *m, size_t row)
{
    struct statfs info;
    cleanup_close int fd = path_open(m->root, kernel_mounts[row].path + 1, O_PATH | O_DIRECTORY,
                                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return err_set(e, errno, "open %s", kernel_mounts[row].path);
    if (fstatfs(fd, &info) < 0 || info.f_type != kernel_mounts[row].magic)
        return err_set(e, 0, "%s is not the file system that was mounted there",
                       kernel_mounts[row].path);
    return steal_fd(&fd);
}

/* Opens (O_PATH) what is to be protected. Returns -2 when there is no such file. */
static int open_protected(struct error *e, const struct masks *m, const char *path)
{
    int fd = -1;
    size_t row = 0, rows = sizeof kernel_mounts / sizeof *kernel_mounts;
    while (row < rows && (strncmp(path, kernel_mounts[row].path, kernel_mounts[row].size) != 0 ||
                          path[kernel_mounts[row].size] != '/'))
        row++;
    if (row < rows && is_mounted_by(m->mounts, kernel_mounts[row].path)) {
        cleanup_close int base = open_kernel_mount(e, m, row);
        if (base < 0)
            return -1;
        const char *rest = path + kernel_mounts[row].size;
        fd = path_open(base, rest + strspn(rest, "/"), O_PATH,
                       RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    } else {
        fd = root_open(m->root, path, O_PATH);
    }
    if (fd >= 0)
        return fd;
    return errno == ENOENT || errno == ENOTDIR ? -2 : err_set(e, errno, "open %s", path);
}

static int mount_id(int fd, uint64_t *id)
{
    struct statx info;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) < 0)
        return -1;
    *id = info.stx_mnt_id;
    return 0;
}

/* Puts the mount over target, and makes sure that path leads there. */
static int cover(struct error *e, const struct masks *m, const char *path, int mount_fd, int target)
{
    if (detached_attach(e, mount_fd, target) < 0)
        return err_wrap(e, "protect %s", path);
    uint64_t put = 0, seen = 0;
    cleanup_close int again = open_protected(e, m, path);
    if (again < 0 || mount_id(mount_fd, &put) < 0 || mount_id(again, &seen) < 0 || put != seen)
        return err_set(e, 0, "%s was exchanged while it was protected", path);
    return 0;
}

static int make_readonly(struct error *e, const struct masks *m, const char *path)
{
    int target = open_protected(e, m, path);
    if (target < 0)
        return target == -2 ? 0 : -1;
    cleanup_close int held = target;
    cleanup_close int copy = detached_copy(e, held, true);
    if (copy < 0 || detached_attributes(e, copy, MOUNT_ATTR_RDONLY, true) < 0)
        return err_wrap(e, "make %s read-only", path);
    return cover(e, m, path, copy, held);
}

static int mask(struct error *e, struct masks *m, const char *path)
{
    static const char *const options[] = {"nr_blocks=1", "nr_inodes=1", "mode=755", NULL};
    int target = open_protected(e, m, path);
    if (target < 0)
        return target == -2 ? 0 : -1;
    cleanup_close int held = target;
    struct stat info;
    if (fstat(held, &info) < 0)
        return err_set(e, errno, "stat %s", path);
    if (!S_ISDIR(info.st_mode)) {
        cleanup_close int copy = detached_copy(e, m->null_device, false);
        return copy < 0 ? err_wrap(e, "mask %s", path) : cover(e, m, path, copy, held);
    }
    cleanup_close int empty = m->empty >= 0 ? detached_copy(e, m->empty, false)
                                            : detached_tmpfs(e, options, MOUNT_ATTR_RDONLY);
    if (empty < 0 || cover(e, m, path, empty, held) < 0)
        return err_wrap(e, "mask %s", path);
    if (m->empty < 0)
        m->empty = steal_fd(&empty);
    return 0;
}

/* The container's own /dev/null covers files. It must be what it is called: a link there would put
 * any file in reach of the container. */
static int open_null(struct error *e, int root)
{
    cleanup_close int fd =
        path_open(root, "dev/null", O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_set(e, errno, "open /dev/null to mask files with it");
    if (!S_ISCHR(info.st_mode) || info.st_rdev != NULL_DEVICE)
        return err_set(e, 0, "/dev/null is not the null device: cannot mask files with it");
    return steal_fd(&fd);
}

static int protect_all(struct error *e, struct masks *m, json_object *config)
{
    json_object *readonly = json_at(config, "linux.readonlyPaths");
    json_object *masked = json_at(config, "linux.maskedPaths");
    size_t readonly_count = json_count(readonly, ""), masked_count = json_count(masked, "");
    for (size_t i = 0; i < readonly_count; i++)
        if (make_readonly(e, m, json_entry_text(readonly, i)) < 0)
            return -1;
    if (masked_count > 0 && (m->null_device = open_null(e, m->root)) < 0)
        return -1;
    for (size_t i = 0; i < masked_count; i++)
        if (mask(e, m, json_entry_text(masked, i)) < 0)
            return -1;
    return 0;
}

int protect_paths(struct error *e, json_object *config)
{
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(e, errno, "open /");
    struct masks m = {
        .mounts = json_at(config, "mounts"), .root = root, .null_device = -1, .empty = -1};
    int result = protect_all(e, &m, config);
    close_now(&m.null_device);
    close_now(&m.empty);
    return result;
}

int protect_console(struct error *e, int terminal)
{
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int dev = root < 0 ? -1 : root_open(root, "/dev", O_PATH | O_DIRECTORY);
    if (dev < 0)
        return err_set(e, errno, "open /dev");
    cleanup_close int made = openat(
        dev, "console", O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
    if (made < 0 && errno != EEXIST)
        return err_set(e, errno, "make /dev/console");
    cleanup_close int target = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (target < 0 || fstat(target, &info) < 0)
        return err_set(e, errno, "open /dev/console");
    if (S_ISLNK(info.st_mode) || S_ISDIR(info.st_mode))
        return err_set(e, 0, "/dev/console is a %s: the terminal cannot be put there",
                       S_ISDIR(info.st_mode) ? "directory" : "symbolic link");
    cleanup_close int copy = detached_copy(e, terminal, false);
    if (copy < 0 || detached_attach(e, copy, target) < 0)
        return err_wrap(e, "bind terminal at /dev/console");
    return 0;
}
