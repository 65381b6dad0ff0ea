#include "rootpath.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int root_open(int root_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {.flags = (unsigned int)flags | O_CLOEXEC,
                           .mode = mode,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd;
    do /* EAGAIN: a rename elsewhere raced with the walk. */
        fd = syscall(SYS_openat2, root_fd, *path == '\0' ? "." : path, &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)fd;
}

/* Makes path's directories one after another, each resolved from the root. */
static int root_make_dirs(struct error *e, int root_fd, const char *path)
{
    cleanup_free char *copy = text_format("%s", path);
    cleanup_close int current = root_open(root_fd, ".", O_PATH | O_DIRECTORY, 0);
    if (current < 0)
        return err_set(e, errno, "open root");
    for (char *part = copy; *part != '\0';) {
        part += strspn(part, "/");
        char *end = part + strcspn(part, "/");
        char saved = *end;
        *end = '\0';
        int next = *part == '\0' ? -1 : root_open(root_fd, copy, O_PATH | O_DIRECTORY, 0);
        if (*part != '\0' && next < 0) {
            if (errno != ENOENT || mkdirat(current, part, 0755) < 0)
                return err_set(e, errno, "make directory %s", copy);
            next = root_open(root_fd, copy, O_PATH | O_DIRECTORY, 0);
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
    int fd = root_open(root_fd, path, O_PATH, 0);
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
    fd = root_open(root_fd, path, O_PATH, 0);
    if (fd < 0)
        return err_set(e, errno, "open %s", path);
    return fd;
}
