#include "remove-tree.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A container may put directories into each other without end: those so deep are moved up, so that
 * it takes neither as many descriptors nor as much of a stack. */
#define DEPTH_MAX 32

struct removal {
    int top; /* the tree's own directory */
    unsigned long moved;
};

static int open_below(int parent_fd, const char *name, int flags)
{
    struct open_how how = {.flags = (unsigned int)flags | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, parent_fd, name, &how, sizeof how);
}

/* Takes the immutable and append-only flags away. */
static void make_mutable(int fd)
{
    int flags = 0;
    if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
        (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0) {
        flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}

static int unlink_one(int parent_fd, const char *name, int flags)
{
    if (unlinkat(parent_fd, name, flags) == 0 || errno == ENOENT)
        return 0;
    if (errno != EPERM)
        return -1;
    struct stat info;
    make_mutable(parent_fd);
    if (fstatat(parent_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))) {
        cleanup_close int fd = open_below(parent_fd, name, O_RDONLY | O_NONBLOCK);
        make_mutable(fd);
    }
    return unlinkat(parent_fd, name, flags) == 0 || errno == ENOENT ? 0 : -1;
}

/* Out of the depths, to be emptied there. */
static int move_up(struct error *e, struct removal *r, int parent_fd, const char *name)
{
    bool is_mutable = false;
    for (;;) {
        char other[32];
        (void)snprintf(other, sizeof other, ".removed-%lu", r->moved++);
        if (renameat2(parent_fd, name, r->top, other, RENAME_NOREPLACE) == 0 || errno == ENOENT)
            return 0;
        if (errno == EPERM && !is_mutable) {
            cleanup_close int fd = open_below(parent_fd, name, O_RDONLY | O_DIRECTORY);
            make_mutable(parent_fd);
            make_mutable(fd);
            make_mutable(r->top);
            is_mutable = true;
        } else if (errno != EEXIST) {
            return err_set(e, errno, "move %s", name);
        }
    }
}

static int remove_at(struct error *e, struct removal *r, int parent_fd, const char *name,
                     int depth);

static int remove_entries(struct error *e, struct removal *r, DIR *handle, int depth)
{
    struct dirent *entry;
    while ((entry = readdir(handle)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (entry->d_type != DT_DIR && unlink_one(dirfd(handle), entry->d_name, 0) == 0)
            continue;
        if (entry->d_type != DT_DIR && errno != EISDIR)
            return err_set(e, errno, "remove %s", entry->d_name);
        if (remove_at(e, r, dirfd(handle), entry->d_name, depth + 1) < 0)
            return -1;
    }
    return 0;
}

static int empty_directory(struct error *e, struct removal *r, int parent_fd, const char *name,
                           int depth)
{
    int fd = open_below(parent_fd, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "open %s", name);
    cleanup_dir DIR *handle = fdopendir(fd);
    if (handle == NULL) {
        close(fd);
        return err_set(e, ENOMEM, "read %s", name);
    }
    if (depth > 0)
        return remove_entries(e, r, handle, depth);
    r->top = fd;
    unsigned long moved;
    do {
        moved = r->moved;
        rewinddir(handle);
        if (remove_entries(e, r, handle, depth) < 0)
            return -1;
    } while (r->moved != moved);
    return 0;
}

static int remove_at(struct error *e, struct removal *r, int parent_fd, const char *name, int depth)
{
    if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    bool is_directory = errno != ENOTDIR;
    if (is_directory && depth == DEPTH_MAX)
        return move_up(e, r, parent_fd, name);
    if (is_directory && empty_directory(e, r, parent_fd, name, depth) < 0)
        return -1;
    if (unlink_one(parent_fd, name, is_directory ? AT_REMOVEDIR : 0) < 0)
        return err_set(e, errno, "remove %s", name);
    return 0;
}

int remove_tree_at(struct error *e, int parent_fd, const char *name)
{
    struct removal r = {.top = -1};
    return remove_at(e, &r, parent_fd, name, 0);
}

int remove_tree(struct error *e, const char *path)
{
    cleanup_free char *copy = text_format("%s", path);
    size_t size = strlen(copy);
    while (size > 1 && copy[size - 1] == '/')
        copy[--size] = '\0';
    char *slash = strrchr(copy, '/');
    if (slash == NULL || slash[1] == '\0' || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
        return err_set(e, EINVAL, "remove \"%s\"", path);
    *slash = '\0';
    cleanup_close int parent = open(slash == copy ? "/" : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "open %s", copy);
    return remove_tree_at(e, parent, slash + 1);
}
