/*
 * Volumes of limited size on this host: tmpfs of a size, images of ext4 on loop devices,
 * directories with a project quota, loop devices as they are. Every call may be repeated: what is
 * done already stays as it is.
 */
#ifndef MINI_VOLUME_H
#define MINI_VOLUME_H

#include "error.h"
#include "loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether something is mounted at this directory; -1 when it cannot be told. */
int volume_is_mounted(struct error *e, const char *path);

/* An empty file system in memory of at most this many bytes (0 = no limit of its own) at path. */
int volume_mount_memory(struct error *e, const char *path, int64_t bytes);

/* A file system in huge pages of this size at path. */
int volume_mount_huge(struct error *e, const char *path, int64_t page_bytes);

/* A sparse file of this size that holds an empty ext4; there is none when it fails. ENOENT: the
 * host has no mkfs.ext4. */
int volume_make_image(struct error *e, const char *image, int64_t bytes);

/* Mounts the image, its file system mended and grown to the size of the file first. The loop device
 * goes away with the mount. */
int volume_mount_image(struct error *e, const char *image, const char *path);

/* Grows the image to this size, and its file system too when it is mounted at path. EPERM: the
 * kernel refuses it while mounted (no CAP_SYS_RESOURCE); the next mount does it. */
int volume_grow_image(struct error *e, const char *image, const char *path, int64_t bytes);

/* A sparse file without a file system of at least this size, its loop device too if it has one. */
int volume_make_disk(struct error *e, const char *file, int64_t bytes);

/* The loop device of such a file, which stays until it is detached. */
int volume_attach_disk(struct error *e, const char *file, char device[LOOP_NAME_SIZE]);

/* Takes the loop device away if there is one; from whoever has it open with the last close. */
int volume_detach_disk(struct error *e, const char *file);

/* Unmounts path if something is mounted there. */
int volume_unmount(struct error *e, const char *path);

/* Limits what lies below the directory to this many bytes by a project of its own. EOPNOTSUPP: the
 * file system keeps no project quota. */
int volume_set_quota(struct error *e, const char *path, int64_t bytes);

/* Gives a tree to a group that may read it, and write it unless is_read_only. */
int tree_own(struct error *e, const char *path, uint32_t group, bool is_read_only);

#endif
