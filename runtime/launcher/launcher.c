/*
 * The outer executable: lays its payload (a zstd-compressed tar of plain files) out once per
 * version and becomes the program inside. Static, so that it starts on any host. Layout of the
 * file: this program, the payload, and a trailer (struct trailer). Environment: MINI_UNPACK_DIR
 * says where to lay out; MINI_SELF and MINI_HOME tell the program the path of this file and of its
 * own files. Sync with build.mjs (trailer) and cmd/assets.ts (environment).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define MAGIC "MINIPAY1"
#define BLOCK 512
#define ID_HEX 16
#define DEFAULT_DATA_DIR "/var/lib/mini"
#define PROGRAM "mini"

struct trailer {
    char magic[8];
    uint64_t offset;
    uint64_t size;
    char id[ID_HEX];
};

struct payload {
    int fd;
    uint64_t left;
    ZSTD_DStream *stream;
    ZSTD_inBuffer in;
    char *in_data;
    size_t in_capacity;
};

static int fail(const char *what, const char *path)
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

/* Finds the payload in this very file. */
static int open_payload(struct payload *p, struct trailer *t)
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

/* Unpacks the tar's regular files, which build.mjs writes with plain names, into a directory. */
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
        if (strchr(name, '/') != NULL) {
            fprintf(stderr, "mini: this file is damaged (entry %s): fetch it again\n", name);
            return -1;
        }
        if (write_file(p, dir, name, size, mode) < 0)
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

static int make_dirs(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made < 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

/* Removes what an attempt that was killed has left: a directory of plain files. */
static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(path);
}

/* Lays the payload out in `home` unless another process has done so. */
static int lay_out(struct payload *p, const struct trailer *t, const char *parent, const char *home)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", parent);
    if (make_dirs(path) < 0)
        return fail("create", parent);
    snprintf(path, sizeof(path), "%s/.lock", parent);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return fail("open", path);
    if (flock(lock, LOCK_EX) < 0)
        return fail("lock", path);
    if (access(home, F_OK) == 0)
        return close(lock);

    char temporary[PATH_MAX];
    /* One name is enough: the lock is held. */
    snprintf(temporary, sizeof(temporary), "%s/.unpacking", parent);
    remove_dir(temporary);
    if (mkdir(temporary, 0755) < 0)
        return fail("create", temporary);
    int dir = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail("open", temporary);
    if (start_stream(p, t) < 0 || unpack(p, dir) < 0 || check_end(p) < 0) {
        close(dir);
        remove_dir(temporary);
        return -1;
    }
    if (fsync(dir) < 0)
        return fail("write", temporary);
    close(dir);
    if (rename(temporary, home) < 0)
        return fail("rename to", home);
    return close(lock);
}

/* The directory to lay out under: MINI_UNPACK_DIR, --data-dir, MINI_DATA_DIR, the default, or the
 * user's cache. */
static void choose_parent(int argc, char **argv, char *parent, size_t size)
{
    const char *unpack_dir = getenv("MINI_UNPACK_DIR");
    const char *data_dir = getenv("MINI_DATA_DIR");
    if (unpack_dir != NULL && *unpack_dir != '\0') {
        snprintf(parent, size, "%s", unpack_dir);
        return;
    }
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--data-dir") == 0 && i + 1 < argc)
            data_dir = argv[i + 1];
        else if (strncmp(argv[i], "--data-dir=", 11) == 0)
            data_dir = argv[i] + 11;
    }
    const char *home = getenv("HOME");
    if (data_dir != NULL && *data_dir != '\0')
        snprintf(parent, size, "%s/data", data_dir);
    else if (geteuid() != 0 && home != NULL && *home != '\0')
        snprintf(parent, size, "%s/.cache/mini/data", home);
    else
        snprintf(parent, size, "%s/data", DEFAULT_DATA_DIR);
}

int main(int argc, char **argv)
{
    struct payload payload;
    struct trailer trailer;
    char parent[PATH_MAX - 64];
    char home[PATH_MAX];
    char program[PATH_MAX + 8];
    char self[PATH_MAX] = {0};

    if (open_payload(&payload, &trailer) < 0)
        return 1;
    choose_parent(argc, argv, parent, sizeof(parent));
    snprintf(home, sizeof(home), "%s/%.*s", parent, ID_HEX, trailer.id);
    snprintf(program, sizeof(program), "%s/" PROGRAM, home);
    if (access(program, F_OK) < 0 && lay_out(&payload, &trailer, parent, home) < 0)
        return 1;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return fail("read", "/proc/self/exe") < 0;
    if (setenv("MINI_SELF", self, 1) < 0 || setenv("MINI_HOME", home, 1) < 0)
        return fail("set", "the environment") < 0;
    execv(program, argv);
    int code = errno;
    fail("execute", program);
    if (code == ENOEXEC)
        fprintf(stderr, "mini: this file is for another kind of processor\n");
    else
        fprintf(stderr,
                "mini: if its file system is mounted noexec, name another with MINI_UNPACK_DIR\n");
    return 1;
}
