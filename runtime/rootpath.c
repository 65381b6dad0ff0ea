#include "rootpath.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int path_open(int dir_fd, const char *path, int flags, unsigned int resolve)
{
    struct open_how how = {.flags = (unsigned int)flags | O_CLOEXEC, .resolve = resolve};
    long fd;
    do /* EAGAIN: a rename elsewhere raced with the walk. */
        fd = syscall(SYS_openat2, dir_fd, *path == '\0' ? "." : path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)fd;
}

int root_open(int root_fd, const char *path, int flags)
{
    return path_open(root_fd, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* Makes path's directories one after another, each resolved from the root. */
static int root_make_dirs(struct error *e, int root_fd, const char *path)
{
    cleanup_free char *copy = text_format("%s", path);
    cleanup_close int current = root_open(root_fd, ".", O_PATH | O_DIRECTORY);
    if (current < 0)
        return err_set(e, errno, "open root");
    for (char *part = copy; *part != '\0';) {
        part += strspn(part, "/");
        char *end = part + strcspn(part, "/");
        char saved = *end;
        *end = '\0';
        int next = *part == '\0' ? -1 : root_open(root_fd, copy, O_PATH | O_DIRECTORY);
        if (*part != '\0' && next < 0) {
            if (errno != ENOENT || mkdirat(current, part, 0755) < 0)
                return err_set(e, errno, "make directory %s", copy);
            next = root_open(root_fd, copy, O_PATH | O_DIRECTORY);
            if (next < 0)
                return err_set(e, errno, "open %s", copy);
        }
        if (next >= 0) {
            close_now(&current);
            current = next;
        }
        *end = saved;
        part = end;
    }
    return steal_fd(&current);
}

int root_make_parent(struct error *e, int root_fd, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    cleanup_free char *parent = text_slice(path, slash == NULL ? 0 : (size_t)(slash - path));
    return root_make_dirs(e, root_fd, parent);
}

int root_make(struct error *e, int root_fd, const char *path, bool is_directory)
{
    int fd = root_open(root_fd, path, O_PATH);
    if (fd >= 0 || errno != ENOENT) {
        if (fd < 0)
            return err_set(e, errno, "open %s in the root file system", path);
        return fd;
    }
    if (is_directory)
        return root_make_dirs(e, root_fd, path);
    const char *name;
    cleanup_close int parent = root_make_parent(e, root_fd, path, &name);
    if (parent < 0)
        return -1;
    cleanup_close int made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (made < 0)
        return err_set(e, errno, "make file %s", path);
    fd = root_open(root_fd, path, O_PATH);
    if (fd < 0)
        return err_set(e, errno, "open %s", path);
    return fd;
}
