#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "MINIPAY1"
#define BLOCK 512

int fail(const char *what, const char *path)
{
    int code = errno;
    fprintf(stderr, "mini: Cannot %s %s: %s\n", what, path, strerror(code));
    if (code == ENOSPC)
        fprintf(stderr,
                "mini: unpacking needs 150 MB once; name another directory with MINI_UNPACK_DIR\n");
    if (code == EACCES || code == EROFS)
        fprintf(stderr, "mini: name a writable directory with --data-dir or MINI_UNPACK_DIR\n");
    return -1;
}

int payload_open(struct payload *p, struct trailer *t)
{
    memset(p, 0, sizeof(*p));
    p->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (p->fd < 0)
        return fail("open", "/proc/self/exe (is /proc mounted?)");
    off_t end = lseek(p->fd, -(off_t)sizeof(*t), SEEK_END);
    if (end < 0 || pread(p->fd, t, sizeof(*t), end) != (ssize_t)sizeof(*t) ||
        memcmp(t->magic, MAGIC, sizeof(t->magic)) != 0 || t->offset + t->size > (uint64_t)end) {
        fprintf(stderr, "mini: this file is cut off or damaged: fetch it again\n");
        return -1;
    }
    return 0;
}

static int start_stream(struct payload *p, const struct trailer *t)
{
    p->left = t->size;
    p->stream = ZSTD_createDStream();
    p->in_capacity = ZSTD_DStreamInSize();
    p->in_data = malloc(p->in_capacity);
    if (p->stream == NULL || p->in_data == NULL) {
        errno = ENOMEM;
        return fail("unpack", "the payload");
    }
    if (lseek(p->fd, (off_t)t->offset, SEEK_SET) < 0)
        return fail("read", "the payload");
    return 0;
}

static int refill(struct payload *p)
{
    size_t want = p->left < p->in_capacity ? (size_t)p->left : p->in_capacity;
    ssize_t got = read(p->fd, p->in_data, want);
    if (got < 0 && errno == EINTR)
        return refill(p);
    if (got <= 0) {
        fprintf(stderr, "mini: this file is cut off or damaged: fetch it again\n");
        return -1;
    }
    p->left -= (uint64_t)got;
    p->in = (ZSTD_inBuffer){p->in_data, (size_t)got, 0};
    return 0;
}

/* Reads exactly `length` decompressed bytes. */
static int read_exact(struct payload *p, void *data, size_t length)
{
    ZSTD_outBuffer out = {data, length, 0};
    while (out.pos < out.size) {
        size_t before = out.pos;
        size_t result = ZSTD_decompressStream(p->stream, &out, &p->in);
        if (ZSTD_isError(result)) {
            fprintf(stderr, "mini: this file is damaged (%s): fetch it again\n",
                    ZSTD_getErrorName(result));
            return -1;
        }
        if (out.pos == before && p->in.pos == p->in.size && refill(p) < 0)
            return -1;
    }
    return 0;
}

static int write_file(struct payload *p, int dir, const char *name, uint64_t size, mode_t mode)
{
    static char chunk[1 << 17];
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return fail("create", name);
    for (uint64_t left = size; left > 0;) {
        size_t part = left < sizeof(chunk) ? (size_t)left : sizeof(chunk);
        if (read_exact(p, chunk, part) < 0) {
            close(fd);
            return -1;
        }
        for (size_t done = 0; done < part;) {
            ssize_t put = write(fd, chunk + done, part - done);
            if (put < 0 && errno != EINTR) {
                fail("write", name);
                close(fd);
                return -1;
            }
            done += put < 0 ? 0 : (size_t)put;
        }
        left -= part;
    }
    if (fsync(fd) < 0) {
        fail("write", name);
        close(fd);
        return -1;
    }
    return close(fd) < 0 ? fail("write", name) : 0;
}

/* A file's name is plain, or has one directory before it, which is made. */
static int make_parent(int dir, const char *name)
{
    char parent[101];
    const char *slash = strchr(name, '/');
    if (slash == NULL)
        return 0;
    if (slash == name || strchr(slash + 1, '/') != NULL || strstr(name, "..") != NULL) {
        fprintf(stderr, "mini: this file is damaged (entry %s): fetch it again\n", name);
        return -1;
    }
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
    return mkdirat(dir, parent, 0755) < 0 && errno != EEXIST ? fail("create", parent) : 0;
}

/* Unpacks the tar's regular files into a directory. */
static int unpack(struct payload *p, int dir)
{
    char header[BLOCK];
    char padding[BLOCK];
    for (;;) {
        if (read_exact(p, header, BLOCK) < 0)
            return -1;
        if (header[0] == '\0')
            return 0;
        char name[101] = {0};
        char number[13] = {0};
        memcpy(name, header, 100);
        memcpy(number, header + 100, 8);
        mode_t mode = (mode_t)strtoul(number, NULL, 8) & 0755;
        memcpy(number, header + 124, 12);
        uint64_t size = strtoull(number, NULL, 8);
        if (make_parent(dir, name) < 0 || write_file(p, dir, name, size, mode) < 0)
            return -1;
        size_t rest = (size_t)(size % BLOCK);
        if (rest > 0 && read_exact(p, padding, BLOCK - rest) < 0)
            return -1;
    }
}

/* Reads up to the end of the compressed stream, where its checksum stands. */
static int check_end(struct payload *p)
{
    char rest[BLOCK];
    for (;;) {
        ZSTD_outBuffer out = {rest, sizeof(rest), 0};
        size_t result = ZSTD_decompressStream(p->stream, &out, &p->in);
        if (ZSTD_isError(result)) {
            fprintf(stderr, "mini: this file is damaged (%s): fetch it again\n",
                    ZSTD_getErrorName(result));
            return -1;
        }
        if (result == 0)
            return 0;
        if (out.pos == 0 && p->in.pos == p->in.size && refill(p) < 0)
            return -1;
    }
}

int payload_unpack(struct payload *p, const struct trailer *t, int dir)
{
    return start_stream(p, t) < 0 || unpack(p, dir) < 0 || check_end(p) < 0 ? -1 : 0;
}
