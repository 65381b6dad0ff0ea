/* Gives whole trees to a group. Containers may be changing them meanwhile, so no link is followed
 * and no other file system entered. */
#include "clean.h"
#include "io.h"
#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Deeper trees are refused; a file system lets nobody make paths much longer. */
#define DEPTH_MAX 2048

struct walk {
    dev_t device;
    uint32_t group;
    bool is_read_only;
};

/* As the kubelet: the group may what an owner may, directories hand the group on. */
static int own(struct error *e, const struct walk *walk, int fd, const struct stat *info)
{
    if (fchownat(fd, "", (uid_t)-1, walk->group, AT_EMPTY_PATH) < 0)
        return err_set(e, errno, "change a file's group");
    if (S_ISLNK(info->st_mode))
        return 0;
    mode_t mode = (info->st_mode & 07777) | (walk->is_read_only ? 0440 : 0660);
    if (S_ISDIR(info->st_mode))
        mode |= S_ISGID | 0110;
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return chmod(path, mode) < 0 ? err_set(e, errno, "change a file's mode") : 0;
}

static int open_entry(int parent, const char *name, int flags)
{
    struct open_how how = {.flags = (unsigned int)flags | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
    /* O_PATH opens a link itself, which RESOLVE_NO_SYMLINKS allows for the last part. */
    return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

/* It went, or became a mount or a link, since the directory was read. */
static bool is_gone(int code)
{
    return code == ENOENT || code == EXDEV || code == ELOOP || code == ENOTDIR;
}

static int walk_below(struct error *e, struct walk *walk, int entry, int depth);

static int walk_entry(struct error *e, struct walk *walk, int parent, const char *name, int depth)
{
    struct stat info;
    cleanup_close int fd = open_entry(parent, name, O_PATH);
    if (fd < 0)
        return is_gone(errno) ? 0 : err_set(e, errno, "open %s", name);
    if (fstat(fd, &info) < 0)
        return err_set(e, errno, "look at %s", name);
    if (info.st_dev != walk->device)
        return 0;
    if (own(e, walk, fd, &info) < 0)
        return -1;
    return S_ISDIR(info.st_mode) ? walk_below(e, walk, fd, depth) : 0;
}

static int walk_below(struct error *e, struct walk *walk, int entry, int depth)
{
    if (depth == DEPTH_MAX)
        return err_set(e, ELOOP, "more than %d directories within each other", DEPTH_MAX);
    int fd = openat(entry, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return is_gone(errno) ? 0 : err_set(e, errno, "open a directory");
    cleanup_dir DIR *handle = fdopendir(fd);
    if (handle == NULL) {
        close(fd);
        return err_set(e, ENOMEM, "read a directory");
    }
    struct dirent *found;
    while ((found = readdir(handle)) != NULL) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        if (walk_entry(e, walk, fd, found->d_name, depth + 1) < 0)
            return -1;
    }
    return 0;
}

static int walk_tree(struct error *e, struct walk *walk, const char *path)
{
    struct stat info;
    cleanup_close int root = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0 || fstat(root, &info) < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "open %s", path);
    walk->device = info.st_dev;
    if (own(e, walk, root, &info) < 0)
        return err_wrap(e, "%s", path);
    if (S_ISDIR(info.st_mode) && walk_below(e, walk, root, 0) < 0)
        return err_wrap(e, "%s", path);
    return 0;
}

int tree_own(struct error *e, const char *path, uint32_t group, bool is_read_only)
{
    struct walk walk = {.group = group, .is_read_only = is_read_only};
    return walk_tree(e, &walk, path);
}
