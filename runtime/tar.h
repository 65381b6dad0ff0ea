/* Reading a tar stream: ustar, pax and GNU long names become plain entries. Unknown kinds are
 * refused. */
#ifndef MINI_TAR_H
#define MINI_TAR_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#define TAR_BLOCK_SIZE ((size_t)512)
/* Longest name, link or extended header that is accepted. */
#define TAR_TEXT_MAX ((size_t)1 << 20)
#define TAR_XATTRS_MAX 64

struct tar_xattr {
    char *name;
    char *value; /* size bytes */
    size_t size;
};

struct tar_entry {
    char type; /* '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' directory, '6'
                  FIFO */
    char *name, *link;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    unsigned int major, minor;
    struct timespec modified;
    unsigned long long size; /* data bytes of a file */
    size_t xattr_count;
    struct tar_xattr xattrs[TAR_XATTRS_MAX];
};

struct tar {
    int fd;
    char *buffer;
    size_t begin, end;
    unsigned long long left; /* of the present entry's data, padding included */
};

int tar_open(struct error *e, struct tar *tar, int fd, const char *rest, size_t rest_size);
void tar_close(struct tar *tar);
/* 1 with the next entry (to be freed), 0 at the end, -1 on error. Data not read of the last one is
 * skipped. */
int tar_next(struct error *e, struct tar *tar, struct tar_entry *entry);
/* Gives what is there of the present file's data, at most `size` bytes, without copying; *data
 * stays valid until the next call. */
ssize_t tar_data(struct error *e, struct tar *tar, unsigned long long size, const char **data);
void tar_entry_free(struct tar_entry *entry);

#endif
