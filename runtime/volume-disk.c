#include "clean.h"
#include "loop.h"
#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int volume_make_disk(struct error *e, const char *file, int64_t bytes)
{
    struct stat info;
    char device[LOOP_NAME_SIZE];
    int found = -1;
    cleanup_close int fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_set(e, errno, "make %s", file);
    if (info.st_size < bytes && ftruncate(fd, bytes) < 0)
        return err_set(e, errno, "grow %s", file);
    if (loop_find(e, file, device, &found) < 0)
        return -1;
    cleanup_close int loop = found;
    if (loop >= 0 && ioctl(loop, LOOP_SET_CAPACITY, 0) < 0)
        return err_set(e, errno, "grow %s", device);
    return 0;
}

int volume_attach_disk(struct error *e, const char *file, char device[LOOP_NAME_SIZE])
{
    int found = -1;
    /* One device, whoever else attaches it now. */
    cleanup_close int lock = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return err_set(e, errno, "open %s", file);
    if (loop_find(e, file, device, &found) < 0)
        return -1;
    cleanup_close int loop = found >= 0 ? found : loop_attach(e, file, true, device);
    return loop < 0 ? -1 : 0;
}

int volume_detach_disk(struct error *e, const char *file)
{
    int found = -1;
    char device[LOOP_NAME_SIZE];
    if (loop_find(e, file, device, &found) < 0)
        return -1;
    cleanup_close int loop = found;
    /* ENXIO: somebody else was first. */
    if (loop >= 0 && ioctl(loop, LOOP_CLR_FD, 0) < 0 && errno != ENXIO)
        return err_set(e, errno, "detach %s", device);
    return 0;
}
