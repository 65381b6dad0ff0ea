#include "proc.h"

#include "clean.h"
#include "rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* The inode of every procfs's root. */
#define PROC_ROOT_INODE 1

/* One for the process: it serves one container. */
static int held = -1;

int proc_has(int fd)
{
    struct statfs info;
    return fstatfs(fd, &info) == 0 && info.f_type == PROC_SUPER_MAGIC;
}

static int is_root(int fd)
{
    struct stat info;
    return proc_has(fd) && fstat(fd, &info) == 0 && info.st_ino == PROC_ROOT_INODE;
}

int proc_hold(struct error *e)
{
    close_now(&held);
    held = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (held < 0)
        return err_set(e, errno, "open /proc");
    if (!is_root(held))
        return err_set(e, 0, "/proc of this host is not the proc file system");
    return 0;
}

int proc_write(struct error *e, const char *path, const char *text)
{
    if (!is_root(held))
        return err_set(e, 0, "/proc is not held to write %s", path);
    /* NO_XDEV: what somebody mounted over a file of it is not it. */
    cleanup_close int fd =
        path_open(held, path, O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
    if (fd < 0)
        return err_set(e, errno, "open /proc/%s", path);
    size_t size = strlen(text);
    if (write(fd, text, size) != (ssize_t)size)
        return err_set(e, errno, "write /proc/%s", path);
    return 0;
}
