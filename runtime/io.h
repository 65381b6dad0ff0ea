/* Files and fds: whole reads and writes with EINTR retried, atomic files, paths longer than
 * sockaddr_un allows. */
#ifndef MINI_IO_H
#define MINI_IO_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Formats into new memory; ends the process when there is none. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The first size bytes of a text, in new memory. */
char *text_slice(const char *text, size_t size);

/* Reads a whole file of at most limit bytes; NUL-terminated. */
int file_read(struct error *e, const char *path, char **text, size_t limit);
int fd_read_all(struct error *e, int fd, char **text, size_t limit);

/* Writes text with one write into an existing file (proc, sysfs, cgroup). */
int file_write(struct error *e, const char *path, const char *text);
int file_write_at(struct error *e, int dir_fd, const char *name, const char *text);

/* Replaces a file in one step, so that readers see the old or the new content. */
int file_replace_at(struct error *e, int dir_fd, const char *name, const char *text);
int file_replace_path(struct error *e, const char *path, const char *text);

/* Writes all bytes, waiting as needed. Returns 0 or -1 with errno. */
int write_all(int fd, const void *data, size_t size);

/* Makes the directory and its parents. */
int make_dirs(struct error *e, const char *path, mode_t mode);

/* Reads no more of it than it must. False when it cannot be read. */
bool dir_is_empty(const char *path);

/* A bound and listening, or a connected, unix stream socket at dir_fd/name (no limit on the path's
 * length). */
int socket_listen_at(struct error *e, int dir_fd, const char *name);
int socket_connect_at(struct error *e, int dir_fd, const char *name);

int fd_set_blocking(int fd, bool is_blocking);

/* Sends one byte sequence with an fd attached, or receives one. */
int fd_send(int socket, int fd);
int fd_receive(int socket);

/* Wall-clock time as RFC 3339 with nanoseconds, in UTC. out holds at least TIME_TEXT_SIZE bytes. */
#define TIME_TEXT_SIZE 40
void time_text(char *out);

#endif
