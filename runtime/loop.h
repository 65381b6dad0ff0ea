/* Loop devices, and the size of the ext4 on them. */
#ifndef MINI_LOOP_H
#define MINI_LOOP_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define LOOP_NAME_SIZE 32

/* A loop device for this file, open; device gets its path. Unless it is kept the kernel takes it
 * apart after the last close and unmount. */
int loop_attach(struct error *e, const char *file, bool is_kept, char device[LOOP_NAME_SIZE]);

/* The loop device that the file has, open in found, its path in device; -1 in found = it has none.
 */
int loop_find(struct error *e, const char *file, char device[LOOP_NAME_SIZE], int *found);

/* Size of the ext4 in this file by its superblock. */
int64_t ext4_bytes(struct error *e, const char *file);

/* Whether the kernel has met an error in the ext4 in this file, which has not been checked since.
 */
int ext4_is_damaged(struct error *e, const char *file);

/* Grows the ext4 that is mounted from a loop device at path to this size; the file has it already.
 * EPERM: this process has no CAP_SYS_RESOURCE. */
int ext4_grow_mounted(struct error *e, const char *path, int64_t bytes);

#endif
