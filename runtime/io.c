#include "io.h"

#include "clean.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

/* Connections that may wait to be accepted. */
#define LISTEN_BACKLOG 4096

char *text_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int size = vasprintf(&text, format, args);
    va_end(args);
    if (size < 0)
        abort();
    return text;
}

char *text_slice(const char *text, size_t size)
{
    char *slice = strndup(text, size);
    if (slice == NULL)
        abort();
    return slice;
}

int fd_read_all(struct error *e, int fd, char **text, size_t limit)
{
    size_t size = 0, room = 4096;
    cleanup_free char *buffer = malloc(room + 1);
    while (buffer != NULL) {
        ssize_t got = read(fd, buffer + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, errno, "read");
        if (got == 0)
            break;
        size += (size_t)got;
        if (size > limit)
            return err_set(e, EFBIG, "read more than %zu bytes", limit);
        if (size == room) {
            room *= 2;
            char *larger = realloc(buffer, room + 1);
            if (larger == NULL)
                return err_set(e, ENOMEM, "read");
            buffer = larger;
        }
    }
    if (buffer == NULL)
        return err_set(e, ENOMEM, "read");
    buffer[size] = '\0';
    *text = buffer;
    buffer = NULL;
    return 0;
}

int file_read(struct error *e, const char *path, char **text, size_t limit)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open %s", path);
    if (fd_read_all(e, fd, text, limit) < 0)
        return err_wrap(e, "%s", path);
    return 0;
}

int file_write_at(struct error *e, int dir_fd, const char *name, const char *text)
{
    cleanup_close int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open %s", name);
    ssize_t put;
    do
        put = write(fd, text, strlen(text));
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return err_set(e, errno, "write %s to %s", text, name);
    return 0;
}

int file_write(struct error *e, const char *path, const char *text)
{
    return file_write_at(e, AT_FDCWD, path, text);
}

int file_replace_at(struct error *e, int dir_fd, const char *name, const char *text)
{
    cleanup_free char *temporary = text_format(".%s.%d", name, (int)getpid());
    cleanup_close int fd =
        openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, errno, "create %s", temporary);
    if (write_all(fd, text, strlen(text)) < 0 || renameat(dir_fd, temporary, dir_fd, name) < 0) {
        int code = errno;
        unlinkat(dir_fd, temporary, 0);
        return err_set(e, code, "write %s", name);
    }
    return 0;
}

int file_replace_path(struct error *e, const char *path, const char *text)
{
    const char *slash = strrchr(path, '/');
    cleanup_free char *parent =
        slash == NULL ? text_format(".") : text_slice(path, (size_t)(slash - path) + 1);
    cleanup_close int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno, "open %s", parent);
    return file_replace_at(e, dir, slash == NULL ? path : slash + 1, text);
}

int write_all(int fd, const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        ssize_t put = write(fd, next, size);
        if (put < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            if (poll(&room, 1, -1) < 0 && errno != EINTR)
                return -1;
            continue;
        }
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        next += put;
        size -= (size_t)put;
    }
    return 0;
}

int make_dirs(struct error *e, const char *path, mode_t mode)
{
    /* Mostly it is there. */
    if (mkdir(path, mode) == 0 || errno == EEXIST)
        return 0;
    cleanup_free char *copy = text_format("%s", path);
    for (char *slash = copy + 1; *copy != '\0' && slash != NULL; slash++) {
        slash = strchr(slash, '/');
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_set(e, errno, "mkdir %s", copy);
        if (slash == NULL)
            break;
        *slash = '/';
    }
    return 0;
}

static int socket_at(struct error *e, int dir_fd, const char *name, bool is_listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size =
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return err_set(e, ENAMETOOLONG, "socket %s", name);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, errno, "socket");
    if (is_listener) {
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
            return err_set(e, errno, "remove %s", name);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
            listen(fd, LISTEN_BACKLOG) < 0)
            return err_set(e, errno, "listen at %s", name);
    } else if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        return err_set(e, errno, "connect to %s", name);
    }
    return steal_fd(&fd);
}

int socket_listen_at(struct error *e, int dir_fd, const char *name)
{
    return socket_at(e, dir_fd, name, true);
}

int socket_connect_at(struct error *e, int dir_fd, const char *name)
{
    return socket_at(e, dir_fd, name, false);
}

int fd_set_blocking(int fd, bool is_blocking)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -1;
    return fcntl(fd, F_SETFL, is_blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

int fd_send(int socket, int fd)
{
    char byte = 'F';
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int fd_receive(int socket)
{
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_type != SCM_RIGHTS)
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

void time_text(char *out)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + used, TIME_TEXT_SIZE - used, ".%09ldZ", now.tv_nsec);
}

bool dir_is_empty(const char *path)
{
    struct dirent64 entries[2];
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t size;
    if (fd < 0)
        return false;
    while ((size = getdents64(fd, entries, sizeof entries)) > 0) {
        const struct dirent64 *entry;
        for (ssize_t at = 0; at < size; at += entry->d_reclen) {
            entry = (const struct dirent64 *)(const void *)((const char *)entries + at);
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                return false;
        }
    }
    return size == 0;
}
