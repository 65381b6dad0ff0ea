/*
 * The shim: one process per container, parent of its first process and of its execs. It holds their
 * stdio, writes the log, answers at <state dir>/shim.sock and leaves exit.json and a notice when
 * the container ends.
 *
 * Frames on shim.sock, both ways: kind (1 byte), size (4 bytes, big-endian), data. Sync with
 * pkg/runtime/shim-frames.ts.
 */
#ifndef MINI_SHIM_H
#define MINI_SHIM_H

#include "container.h"
#include "error.h"
#include "serve.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FRAME_HELLO 'H'  /* client: JSON {op: attach|exec|reopen, …}, first frame */
#define FRAME_INPUT 'I'  /* client: bytes for stdin; empty = end of it */
#define FRAME_RESIZE 'R' /* client: JSON {columns, rows} */
#define FRAME_ANSWER 'A' /* shim: JSON {} or {pid}, or {error: {code, message}} */
#define FRAME_OUTPUT 'O' /* shim: bytes of stdout */
#define FRAME_ERROR 'E'  /* shim: bytes of stderr */
#define FRAME_EXIT 'X'   /* shim: JSON of the exit; last frame */

#define FRAME_HEADER_SIZE ((size_t)5)
#define FRAME_SIZE_MAX ((size_t)1 << 20)
#define CLIENTS_MAX 64
/* An attached client that lets this much pile up is cut off: it must not hold the container up. */
#define CLIENT_PENDING_MAX ((size_t)1 << 20)
/* More than this unread by a program's stdin, or by an exec's client: its source is not read. */
#define PIPE_PENDING_MAX ((size_t)64 << 10)
#define CHUNK_SIZE ((size_t)16 << 10)

struct buffer {
    char *data;
    size_t begin, end, room;
};
int buffer_add(struct buffer *b, const void *data, size_t size);
static inline size_t buffer_size(const struct buffer *b)
{
    return b->end - b->begin;
}
void buffer_take(struct buffer *b, size_t size);
void buffer_free(struct buffer *b);

/* One log line being gathered, per stream. */
struct log_stream {
    const char *name;
    size_t used;
    char line[CHUNK_SIZE];
};
struct log {
    char *path; /* NULL = no log */
    int fd;
    long long size, size_max;
    int files_max;
    unsigned long dropped;
    struct log_stream streams[2];
};
void log_open(struct log *log, json_object *options);
void log_write(struct log *log, int stream, const char *data, size_t size);
/* Writes what has no newline yet. */
void log_flush(struct log *log);
int log_reopen(struct error *e, struct log *log);

struct client;

/* The container's own process, or one exec. */
struct program {
    struct program *next;
    struct client *client; /* of an exec; NULL once it has gone */
    char *exec_id;         /* NULL = the container's own */
    pid_t pid;
    int in, out[2]; /* with a terminal in and out[0] are its master */
    int peer;       /* the terminal's other side, held so that reading the master never fails */
    bool has_terminal, ends_input, is_ended, is_started;
    long oom_kills;               /* in the cgroup when it began */
    int failure;                  /* of an exec that has not executed yet */
    struct foreign_exec *foreign; /* the runtime that is about to execute it, or NULL */
    int status;
    struct buffer input;
    char started[40], finished[40];
    struct pollfd *poll_in, *poll_out[2], *poll_failure;
};

struct client {
    struct client *next;
    int fd;
    struct program *program; /* NULL until HELLO */
    bool has_stdin, is_closing, is_dead;
    struct buffer in, out;
    struct pollfd *poll;
};

/* A process that ended before it was known whose it is. */
#define STRAYS_MAX 64
struct stray {
    pid_t pid;
    int status;
    char finished[40];
};

struct shim {
    struct container container;
    json_object *process; /* config.json's process */
    int listener, signals;
    bool is_stdin_once;
    struct log log;
    struct program *programs; /* the container's own is `main` */
    struct program *main;
    struct client *clients;
    unsigned int client_count;
    bool is_done;
    bool rests;                      /* no client could be taken just now */
    unsigned int foreign_count;      /* execs that another runtime is about to make */
    struct stray strays[STRAYS_MAX]; /* the last ones while there are such */
    unsigned int stray_count;
};

/* Runs a create or run request in this process, answers it, then is the shim until the end. */
_Noreturn void shim_request(struct job *job, bool starts);

/* shim-loop.c */
void shim_loop(struct shim *shim);
/* shim-client.c */
void client_accept(struct shim *shim);
void client_serve(struct shim *shim, struct client *client);
void client_send(struct client *client, char kind, const void *data, size_t size);
void client_flush(struct client *client);
bool client_wants_input(const struct client *client);
void client_free(struct client *client);
void client_answer_error(struct client *client, const struct error *e);
/* shim-exec.c */
int exec_begin(struct error *e, struct shim *shim, struct client *client, json_object *request);
/* shim-foreign.c: a container of another runtime */
int foreign_exec_begin(struct error *e, struct shim *shim, struct client *client,
                       json_object *request);
/* Takes the end of a process that is no program's yet. */
void foreign_reap(struct shim *shim, pid_t pid, int status, const char *finished);
void foreign_exec_free(struct program *program);
void foreign_exec_resize(struct program *program, json_object *size);
/* shim-program.c */
struct program *program_new(struct shim *shim);
void program_free(struct program *program);
void program_read(struct shim *shim, struct program *program, int stream);
void program_write(struct program *program);
void program_resize(struct program *program, json_object *size);
void program_end_input(struct program *program);
void program_hold_terminal(struct program *program, int master);
void program_hang_up(struct program *program);
/* Pipes for in (or /dev/null), out and err: ours go into the program, theirs into stdio. */
int program_pipes(struct error *e, struct program *program, bool has_stdin, int stdio[3]);
/* True when all that it wrote before its end has been passed on. */
bool program_is_drained(const struct program *program);
/* It has ended so. */
void program_end(struct shim *shim, struct program *program, int status, const char *finished);
void shim_reap(struct shim *shim);
void shim_report(struct shim *shim, struct program *program);

#endif
