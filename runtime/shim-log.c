/* Log lines in the CRI format, rotated by size. A full disk drops lines and counts them; it never
 * blocks. */
#include "shim.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

static int open_file(struct log *log)
{
    struct stat info;
    log->fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (log->fd < 0)
        return -1;
    log->size = fstat(log->fd, &info) == 0 ? info.st_size : 0;
    return 0;
}

void log_open(struct log *log, json_object *options)
{
    const char *path = json_text(options, "path", NULL);
    *log = (struct log){.fd = -1,
                        .size_max = json_number(options, "maxBytes", 0),
                        .files_max = (int)json_number(options, "maxFiles", 0)};
    log->streams[0].name = "stdout";
    log->streams[1].name = "stderr";
    if (path == NULL)
        return;
    log->path = text_format("%s", path);
    (void)open_file(log); /* Tried again with each line. */
}

static int is_rotated(const char *base, const char *name)
{
    size_t size = strlen(base);
    return strncmp(base, name, size) == 0 && fnmatch(".20[0-9][0-9]*", name + size, 0) == 0;
}

/* Removes the oldest rotated files beyond the number to keep; their names sort by age. */
static void remove_oldest(const struct log *log)
{
    const char *slash = strrchr(log->path, '/');
    cleanup_free char *dir =
        slash == NULL ? text_format(".") : text_slice(log->path, (size_t)(slash - log->path) + 1);
    const char *base = slash == NULL ? log->path : slash + 1;
    for (;;) {
        cleanup_dir DIR *handle = opendir(dir);
        cleanup_free char *oldest = NULL;
        int count = 0;
        struct dirent *entry;
        while (handle != NULL && (entry = readdir(handle)) != NULL) {
            if (!is_rotated(base, entry->d_name))
                continue;
            count++;
            if (oldest == NULL || strcmp(entry->d_name, oldest) < 0) {
                free(oldest);
                oldest = text_format("%s", entry->d_name);
            }
        }
        if (count <= log->files_max || oldest == NULL || unlinkat(dirfd(handle), oldest, 0) < 0)
            return;
    }
}

static void rotate(struct log *log)
{
    struct timespec now;
    struct tm parts;
    char stamp[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &parts);
    cleanup_free char *name = text_format("%s.%s.%09ld", log->path, stamp, now.tv_nsec);
    if (rename(log->path, name) < 0)
        return;
    close_now(&log->fd);
    (void)open_file(log);
    remove_oldest(log);
}

/* All or nothing: a line that did not fit is taken back. */
static int append(struct log *log, const char *head, const char *data, size_t size)
{
    char end = '\n';
    struct iovec parts[3] = {{.iov_base = (void *)(uintptr_t)head, .iov_len = strlen(head)},
                             {.iov_base = (void *)(uintptr_t)data, .iov_len = size},
                             {.iov_base = &end, .iov_len = 1}};
    ssize_t whole = (ssize_t)(strlen(head) + size + 1);
    ssize_t put;
    if (log->fd < 0 && open_file(log) < 0)
        return -1;
    do
        put = writev(log->fd, parts, 3);
    while (put < 0 && errno == EINTR);
    if (put == whole) {
        log->size += put;
        return 0;
    }
    if (put > 0 && ftruncate(log->fd, log->size) < 0)
        log->size += put;
    return -1;
}

static void put_line(struct log *log, const char *name, char tag, const char *data, size_t size)
{
    char now[TIME_TEXT_SIZE], head[TIME_TEXT_SIZE + 16], text[64];
    time_text(now);
    if (log->dropped > 0) {
        snprintf(head, sizeof head, "%s stderr F ", now);
        int used = snprintf(text, sizeof text, "[mini: %lu log lines dropped]", log->dropped);
        if (append(log, head, text, (size_t)used) == 0)
            log->dropped = 0;
    }
    snprintf(head, sizeof head, "%s %s %c ", now, name, tag);
    if (log->dropped > 0 || append(log, head, data, size) < 0)
        log->dropped++;
    if (log->size_max > 0 && log->size >= log->size_max)
        rotate(log);
}

void log_write(struct log *log, int stream, const char *data, size_t size)
{
    struct log_stream *s = &log->streams[stream];
    while (log->path != NULL && size > 0) {
        const char *newline = memchr(data, '\n', size);
        size_t part = newline != NULL ? (size_t)(newline - data) : size;
        if (part > sizeof s->line - s->used) {
            newline = NULL;
            part = sizeof s->line - s->used;
        }
        if (s->used == 0 && newline != NULL) {
            put_line(log, s->name, 'F', data, part);
        } else {
            memcpy(s->line + s->used, data, part);
            s->used += part;
            if (newline != NULL || s->used == sizeof s->line) {
                put_line(log, s->name, newline != NULL ? 'F' : 'P', s->line, s->used);
                s->used = 0;
            }
        }
        data += part + (newline != NULL);
        size -= part + (newline != NULL);
    }
}

/* What has no newline at the end of the output is a part whose rest never came, as containerd
 * writes it: readers print it without one. */
void log_flush(struct log *log)
{
    for (int i = 0; i < 2; i++)
        if (log->streams[i].used > 0) {
            put_line(log, log->streams[i].name, 'P', log->streams[i].line, log->streams[i].used);
            log->streams[i].used = 0;
        }
}

int log_reopen(struct error *e, struct log *log)
{
    if (log->path == NULL)
        return 0;
    close_now(&log->fd);
    if (open_file(log) < 0)
        return err_set(e, errno, "open log %s", log->path);
    return 0;
}
