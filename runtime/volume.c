#include "volume.h"

#include "clean.h"
#include "io.h"
#include "loop.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Any user may use a volume in memory until its pod says otherwise. */
#define MEMORY_MODE "mode=0777"
/* Room that is freed inside goes back to the host; a damaged file system takes no more writes. */
#define IMAGE_OPTIONS "discard,errors=remount-ro"
#define EXT4_BLOCK "4096"
/* Sets up tables when they are first used, and needs no room for root. */
#define LAZY "lazy_itable_init=1,lazy_journal_init=1,nodiscard"

int volume_is_mounted(struct error *e, const char *path)
{
    cleanup_free char *parent = text_format("%s/..", path);
    struct stat here, above;
    if (stat(path, &here) < 0 || stat(parent, &above) < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "look at %s", path);
    return here.st_dev != above.st_dev;
}

int volume_mount_memory(struct error *e, const char *path, int64_t bytes)
{
    int is_mounted = volume_is_mounted(e, path);
    if (is_mounted != 0)
        return is_mounted < 0 ? -1 : 0;
    cleanup_free char *options = bytes > 0 ? text_format(MEMORY_MODE ",size=%lld", (long long)bytes)
                                           : text_format(MEMORY_MODE);
    if (make_dirs(e, path, 0755) < 0)
        return -1;
    if (mount("tmpfs", path, "tmpfs", 0, options) < 0)
        return err_set(e, errno, "mount tmpfs at %s", path);
    return 0;
}

static int make_sparse(struct error *e, const char *path, int64_t bytes)
{
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, bytes) < 0)
        return err_set(e, errno, "make %s", path);
    return 0;
}

int volume_make_image(struct error *e, const char *image, int64_t bytes)
{
    struct stat info;
    if (stat(image, &info) == 0)
        return 0;
    cleanup_free char *part = text_format("%s.part", image);
    const char *mkfs[] = {"mkfs.ext4", "-q", "-F", "-m", "0", "-b",
                          EXT4_BLOCK,  "-E", LAZY, part, NULL};
    int made = make_sparse(e, part, bytes) < 0 ? -1 : program_run(e, mkfs);
    if (made == 0 && rename(part, image) < 0)
        made = err_set(e, errno, "name %s", image);
    if (made < 0)
        (void)unlink(part);
    return made;
}

/* Mends the file system of an image that is not mounted, as far as nobody need be asked. */
static int mend_idle(struct error *e, const char *image)
{
    int is_damaged = ext4_is_damaged(e, image);
    const char *check[] = {"e2fsck", "-p", image, NULL};
    return is_damaged <= 0 ? is_damaged : program_run(e, check);
}

/* Whether the file has grown and its file system has not. */
static int is_outgrown(struct error *e, const char *image)
{
    struct stat info;
    int64_t bytes = ext4_bytes(e, image);
    if (bytes < 0)
        return -1;
    if (stat(image, &info) < 0)
        return err_set(e, errno, "look at %s", image);
    return info.st_size - bytes >= 4096;
}

/* Grows the file system of an image that is not mounted, when its file has grown. */
static int grow_idle(struct error *e, const char *image)
{
    int must_grow = is_outgrown(e, image);
    if (must_grow <= 0)
        return must_grow;
    const char *check[] = {"e2fsck", "-f", "-p", image, NULL};
    const char *grow[] = {"resize2fs", image, NULL};
    return program_run(e, check) < 0 ? -1 : program_run(e, grow);
}

int volume_mount_image(struct error *e, const char *image, const char *path)
{
    int is_mounted = volume_is_mounted(e, path);
    if (is_mounted != 0)
        return is_mounted < 0 ? -1 : 0;
    char device[LOOP_NAME_SIZE];
    int found = -1;
    if (make_dirs(e, path, 0755) < 0 || loop_find(e, image, device, &found) < 0)
        return -1;
    cleanup_close int loop = found;
    /* A mount namespace that somebody has made meanwhile holds a copy of the last mount: the same
     * device gives the same file system, another one would be a second of it. */
    int must_grow = loop < 0 ? 0 : is_outgrown(e, image);
    if (must_grow != 0)
        return must_grow < 0 ? -1 : err_set(e, EBUSY, "grow %s: mounted elsewhere", image);
    if (loop < 0 && (mend_idle(e, image) < 0 || grow_idle(e, image) < 0))
        return -1;
    if (loop < 0)
        loop = loop_attach(e, image, false, device);
    if (loop < 0)
        return -1;
    if (mount(device, path, "ext4", 0, IMAGE_OPTIONS) < 0)
        return err_set(e, errno, "mount %s at %s", image, path);
    return 0;
}

static int grow_file(struct error *e, const char *image, int64_t bytes)
{
    struct stat info;
    if (stat(image, &info) < 0)
        return err_set(e, errno, "look at %s", image);
    if (info.st_size < bytes && truncate(image, bytes) < 0)
        return err_set(e, errno, "grow %s", image);
    return 0;
}

int volume_grow_image(struct error *e, const char *image, const char *path, int64_t bytes)
{
    if (grow_file(e, image, bytes) < 0)
        return -1;
    int is_mounted = volume_is_mounted(e, path);
    if (is_mounted > 0)
        return ext4_grow_mounted(e, path, bytes);
    char device[LOOP_NAME_SIZE];
    int found = -1;
    if (is_mounted < 0 || loop_find(e, image, device, &found) < 0)
        return -1;
    cleanup_close int loop = found;
    return loop >= 0 ? err_set(e, EPERM, "grow %s: mounted elsewhere", image) : grow_idle(e, image);
}

int volume_unmount(struct error *e, const char *path)
{
    int is_mounted = volume_is_mounted(e, path);
    if (is_mounted <= 0)
        return is_mounted;
    if (umount2(path, UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
        return err_set(e, errno, "unmount %s", path);
    return 0;
}
