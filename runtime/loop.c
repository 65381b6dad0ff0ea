#include "loop.h"

#include "clean.h"
#include "io.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define LOOP_MAJOR 7
/* Others attach at the same time. */
#define ATTEMPTS 64
/* Sources: the kernel's fs/ext4/ext4.h and Documentation/filesystems/ext4/super.rst. */
#define RESIZE_FS _IOW('f', 16, uint64_t)
#define SUPERBLOCK_OFFSET 1024
#define SUPERBLOCK_MAGIC 0xEF53
#define INCOMPAT_64BIT 0x80
#define STATE_ERROR 2

struct superblock {
    uint32_t inodes, blocks_low, reserved_low, free_low, free_inodes, first_block, log_block_size;
    uint8_t skipped[28];
    uint16_t magic, state;
    uint8_t more[36];
    uint32_t incompatible;
    uint8_t rest[236];
    uint32_t blocks_high;
};

static int open_device(struct error *e, int number, char device[LOOP_NAME_SIZE])
{
    (void)snprintf(device, LOOP_NAME_SIZE, "/dev/loop%d", number);
    int fd = open(device, O_RDWR | O_CLOEXEC);
    /* A /dev that the kernel does not keep. */
    if (fd < 0 && errno == ENOENT &&
        mknod(device, S_IFBLK | 0600, makedev(LOOP_MAJOR, (unsigned int)number)) == 0)
        fd = open(device, O_RDWR | O_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open %s", device) : fd;
}

/* One step, so that whoever is killed leaves no device that stays attached by mistake. */
static int configure(int device, int backing, const char *file, bool is_kept)
{
    struct loop_config config = {.fd = (uint32_t)backing,
                                 .info.lo_flags = is_kept ? 0 : LO_FLAGS_AUTOCLEAR};
    (void)snprintf((char *)config.info.lo_file_name, sizeof config.info.lo_file_name, "%s", file);
    if (ioctl(device, LOOP_CONFIGURE, &config) < 0)
        return -1;
    /* Keeps pages from being cached twice; not every file system can. */
    (void)ioctl(device, LOOP_SET_DIRECT_IO, 1UL);
    return 0;
}

int loop_attach(struct error *e, const char *file, bool is_kept, char device[LOOP_NAME_SIZE])
{
    cleanup_close int backing = open(file, O_RDWR | O_CLOEXEC);
    if (backing < 0)
        return err_set(e, errno, "open %s", file);
    cleanup_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return err_set(e, errno, "open /dev/loop-control (kernel module loop)");
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return err_set(e, errno, "get a loop device");
        cleanup_close int loop = open_device(e, number, device);
        if (loop < 0)
            return -1;
        if (configure(loop, backing, file, is_kept) == 0)
            return steal_fd(&loop);
        if (errno != EBUSY)
            return err_set(e, errno, "attach %s to %s", file, device);
    }
    return err_set(e, EBUSY, "get a loop device");
}

/* What the kernel calls the file behind a loop device by its directory below /sys/block; NULL = the
 * device is free, or no loop device. */
static char *backing_of(const char *entry)
{
    struct error ignored;
    char *backing = NULL;
    if (strncmp(entry, "loop", 4) != 0)
        return NULL;
    cleanup_free char *path = text_format("/sys/block/%s/loop/backing_file", entry);
    if (file_read(&ignored, path, &backing, PATH_MAX + 16) < 0)
        return NULL;
    *strchrnul(backing, '\n') = '\0';
    return backing;
}

static bool has_same_name(const char *path, const char *other)
{
    const char *name = strrchr(path, '/'), *there = strrchr(other, '/');
    return name != NULL && there != NULL && strcmp(name, there) == 0;
}

int loop_find(struct error *e, const char *file, char device[LOOP_NAME_SIZE], int *found)
{
    struct stat info;
    *found = -1;
    bool is_gone = stat(file, &info) < 0;
    if (is_gone && errno != ENOENT)
        return err_set(e, errno, "look at %s", file);
    cleanup_free char *name = text_format(is_gone ? "%s (deleted)" : "%s", file);
    cleanup_dir DIR *blocks = opendir("/sys/block");
    if (blocks == NULL)
        return err_set(e, errno, "open /sys/block");
    for (struct dirent *entry; (entry = readdir(blocks)) != NULL;) {
        cleanup_free char *backing = backing_of(entry->d_name);
        /* By name first, as devices of others are not to be opened: who has opened one keeps it. */
        if (backing == NULL ||
            !(is_gone ? strcmp(backing, name) == 0 : has_same_name(backing, name)))
            continue;
        cleanup_close int loop = open_device(e, atoi(entry->d_name + 4), device);
        struct loop_info64 status;
        if (loop < 0)
            return -1;
        if (ioctl(loop, LOOP_GET_STATUS64, &status) == 0 &&
            (is_gone || (status.lo_inode == info.st_ino && status.lo_device == info.st_dev))) {
            *found = steal_fd(&loop);
            return 0;
        }
    }
    return 0;
}

static int read_superblock(struct error *e, const char *file, struct superblock *super)
{
    cleanup_close int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open %s", file);
    if (pread(fd, super, sizeof *super, SUPERBLOCK_OFFSET) != (ssize_t)sizeof *super ||
        le16toh(super->magic) != SUPERBLOCK_MAGIC)
        return err_set(e, EINVAL, "%s holds no ext4", file);
    return 0;
}

int ext4_is_damaged(struct error *e, const char *file)
{
    struct superblock super;
    return read_superblock(e, file, &super) < 0 ? -1 : (le16toh(super.state) & STATE_ERROR) != 0;
}

int64_t ext4_bytes(struct error *e, const char *file)
{
    struct superblock super;
    if (read_superblock(e, file, &super) < 0)
        return -1;
    uint64_t blocks = le32toh(super.blocks_low);
    if ((le32toh(super.incompatible) & INCOMPAT_64BIT) != 0)
        blocks |= (uint64_t)le32toh(super.blocks_high) << 32;
    return (int64_t)(blocks << (10 + (le32toh(super.log_block_size) & 15)));
}

int ext4_grow_mounted(struct error *e, const char *path, int64_t bytes)
{
    struct stat info;
    struct statfs fs;
    char device[LOOP_NAME_SIZE];
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0 || fstatfs(fd, &fs) < 0)
        return err_set(e, errno, "look at %s", path);
    cleanup_close int loop = open_device(e, (int)minor(info.st_dev), device);
    if (loop < 0)
        return -1;
    if (ioctl(loop, LOOP_SET_CAPACITY, 0) < 0)
        return err_set(e, errno, "grow %s", device);
    uint64_t blocks = (uint64_t)bytes / (uint64_t)fs.f_bsize;
    if (ioctl(fd, RESIZE_FS, &blocks) < 0)
        return err_set(e, errno, "grow the file system at %s", path);
    return 0;
}
