#include "filter.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FILE_NAME "seccomp"
#define CACHE_NAME ".seccomp"
/* Profiles whose programs are kept; with one more all are made anew. */
#define CACHE_MAX 64
/* Changes with the layout of the file and with what is compiled from a profile. */
#define FILE_MAGIC 0x6d736301U

/* The file: this, then the program, then the profile that it was made of. */
struct file_header {
    uint32_t magic, count, flags, profile_size;
};

/* FNV-1a; the profile itself is compared, too. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3U;
    return hash;
}

static int read_whole(int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, (char *)data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

static int write_file(struct error *e, int fd, const struct filter *filter, const char *profile)
{
    struct file_header header = {.magic = FILE_MAGIC,
                                 .count = filter->count,
                                 .flags = filter->flags,
                                 .profile_size = (uint32_t)strlen(profile)};
    if (write_all(fd, &header, sizeof header) < 0 ||
        write_all(fd, filter->code, filter->count * sizeof *filter->code) < 0 ||
        write_all(fd, profile, header.profile_size) < 0)
        return err_set(e, errno, "seccomp: write the filter");
    return 0;
}

/* In a process that ends at once: the compiler's memory goes with it. */
static _Noreturn void compile(const struct container *c, json_object *profile, const char *text,
                              int sync)
{
    struct error e = {0};
    struct filter filter = {0};
    prctl(PR_SET_NAME, "mini-seccomp", 0, 0, 0);
    cleanup_close int fd =
        openat(c->dir_fd, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        err_set(&e, errno, "seccomp: make %s/" FILE_NAME, c->dir);
    if (fd < 0 || filter_compile(&e, profile, &filter) < 0 || write_file(&e, fd, &filter, text) < 0)
        sync_send_error(sync, &e);
    else
        (void)sync_send(&e, sync, SYNC_READY);
    _exit(0);
}

static int compile_apart(struct error *e, const struct container *c, json_object *profile,
                         const char *text)
{
    int pair[2];
    if (sync_pair(e, pair) < 0)
        return -1;
    cleanup_close int ours = pair[0], theirs = pair[1];
    pid_t pid = fork();
    if (pid == 0) {
        close(ours);
        compile(c, profile, text, theirs);
    }
    if (pid < 0)
        return err_set(e, errno, "seccomp: fork");
    close_now(&theirs);
    int result = sync_expect(e, ours, SYNC_READY);
    waitpid(pid, NULL, 0);
    return result;
}

/* True when the file is the program of this profile. */
static bool is_of(int fd, const char *profile)
{
    struct file_header header;
    size_t size = strlen(profile);
    cleanup_free char *text = malloc(size + 1);
    if (read_whole(fd, &header, sizeof header) < 0 || header.magic != FILE_MAGIC ||
        header.profile_size != size || text == NULL)
        return false;
    off_t at = (off_t)(sizeof header + header.count * sizeof(struct sock_filter));
    return lseek(fd, at, SEEK_SET) == at && read_whole(fd, text, size) == 0 &&
           memcmp(text, profile, size) == 0;
}

static void prune(const char *cache)
{
    cleanup_dir DIR *handle = opendir(cache);
    struct dirent *entry;
    unsigned int count = 0;
    while (handle != NULL && readdir(handle) != NULL)
        count++;
    if (handle == NULL || count < CACHE_MAX)
        return;
    rewinddir(handle);
    while ((entry = readdir(handle)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(handle), entry->d_name, 0);
}

int filter_prepare(struct error *e, const struct container *c)
{
    json_object *profile = json_at(c->config, "linux.seccomp");
    if (profile == NULL)
        return 0;
    cleanup_free char *text = text_format("%s", json_line(profile));
    cleanup_free char *cache = text_format("%s/" CACHE_NAME, c->root);
    cleanup_free char *path = text_format("%s/%016llx", cache, (unsigned long long)hash_of(text));
    cleanup_close int cached = open(path, O_RDONLY | O_CLOEXEC);
    if (cached >= 0 && is_of(cached, text) && linkat(AT_FDCWD, path, c->dir_fd, FILE_NAME, 0) == 0)
        return 0;
    if (compile_apart(e, c, profile, text) < 0)
        return -1;
    /* Without the cache the next one is compiled again, no more. */
    if (mkdir(cache, 0700) < 0 && errno != EEXIST)
        return 0;
    prune(cache);
    (void)linkat(c->dir_fd, FILE_NAME, AT_FDCWD, path, 0);
    return 0;
}

int filter_read(struct error *e, const struct container *c, json_object *config,
                struct filter *filter)
{
    struct file_header header;
    if (json_at(config, "linux.seccomp") == NULL)
        return 0;
    cleanup_close int fd = openat(c->dir_fd, FILE_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "seccomp: open %s/" FILE_NAME, c->dir);
    if (read_whole(fd, &header, sizeof header) < 0 || header.magic != FILE_MAGIC ||
        header.count == 0 || header.count > BPF_MAXINSNS)
        return err_set(e, 0, "seccomp: %s/" FILE_NAME " is no filter", c->dir);
    filter->code = calloc(header.count, sizeof *filter->code);
    if (filter->code == NULL)
        return err_set(e, ENOMEM, "seccomp");
    filter->count = header.count;
    filter->flags = header.flags;
    if (read_whole(fd, filter->code, header.count * sizeof *filter->code) < 0)
        return err_set(e, 0, "seccomp: %s/" FILE_NAME " is cut short", c->dir);
    return 0;
}

int filter_load(struct error *e, const struct filter *filter)
{
    struct sock_fprog program = {.len = (unsigned short)filter->count, .filter = filter->code};
    if (filter->code == NULL)
        return 0;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &program) < 0)
        return err_set(e, errno, "seccomp: load the filter");
    return 0;
}
