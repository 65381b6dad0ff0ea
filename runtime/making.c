#include "making.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Ends a blocking call, nothing else. */
static void wake(int number)
{
    (void)number;
}

int lock_within(struct error *e, int fd, int how, unsigned int wait_s)
{
    if (flock(fd, how | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK || wait_s == 0)
        return err_set(e, errno == EWOULDBLOCK ? ETIMEDOUT : errno, "lock");
    struct sigaction action = {.sa_handler = wake}, before;
    sigaction(SIGALRM, &action, &before);
    alarm(wait_s);
    int result = flock(fd, how), code = errno;
    alarm(0);
    sigaction(SIGALRM, &before, NULL);
    return result == 0 ? 0 : err_set(e, code == EINTR ? ETIMEDOUT : code, "lock");
}

int lock_file(struct error *e, const char *dir, const char *name)
{
    cleanup_free char *path = text_format("%s/%s", dir, name);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return err_set(e, errno, "lock %s", path);
    return steal_fd(&fd);
}

static bool is_removed(int dir_fd)
{
    struct stat info;
    return fstat(dir_fd, &info) < 0 || info.st_nlink == 0;
}

int making_begin(struct error *e, int dir_fd)
{
    if (lock_within(e, dir_fd, LOCK_EX, MAKING_WAIT_S) < 0)
        return err_wrap(e, "begin to make it");
    if (is_removed(dir_fd))
        return err_set(e, ESTALE, "begin to make it");
    return 0;
}

void making_end(int dir_fd)
{
    (void)flock(dir_fd, LOCK_UN);
}

int making_wait(struct error *e, const char *dir, bool is_alone, unsigned int wait_s)
{
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open %s", dir);
    if (lock_within(e, fd, is_alone ? LOCK_EX : LOCK_SH, wait_s) < 0)
        return err_wrap(e, "wait until %s is made", dir);
    if (is_removed(fd))
        return err_set(e, ENOENT, "open %s", dir);
    return steal_fd(&fd);
}
