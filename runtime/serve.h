/*
 * The daemon: one connection per request at <run dir>/runtime.sock, one process per connection. The
 * first line is the request, JSON {verb, …}; the answer is one line, {result} or {error: {code,
 * message}}. Some verbs go on with raw bytes on the same connection. It holds no state. Sync with
 * pkg/runtime/daemon.ts.
 */
#ifndef MINI_SERVE_H
#define MINI_SERVE_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

/* Bytes that one answered request line may have. */
#define REQUEST_SIZE_MAX ((size_t)16 << 20)

/* Jobs at a time; further requests wait in the socket's queue. Shims and relays do not count. */
#define JOBS_MAX 64

struct job {
    int connection;
    int slot;     /* open while it counts as a job */
    pid_t daemon; /* its parent */
    int room;     /* see room.h, or -1 */
    const char *run_dir;
    char *root; /* <run dir>/containers */
    json_object *request;
    json_object *result; /* to be answered; NULL = {} */
    const char *rest;    /* bytes of the connection that were read beyond the request line */
    size_t rest_size;
};

struct job_row {
    const char *verb;
    int (*run)(struct error *e, struct job *job);
};
const struct job_row *job_find(const char *verb);

/* Serves until killed, or until standard input ends when follows_stdin. Returns only on failure or
 * that end. */
int serve(struct error *e, const char *run_dir, bool follows_stdin);

/*
 * Whether the daemon still lives. What is made is begun only then: the next daemon, and who asks
 * it, can rely on knowing of all that earlier ones have begun.
 */
int job_check_daemon(struct error *e, const struct job *job);

/* It goes on as something else than a job: a shim, a relay. */
void job_release(struct job *job);

/* reply.c. Returns -1 when the client has gone. */
int reply_result(int connection, json_object *result);
void reply_error(int connection, const struct error *e);
/* Longest wait of a read; 0 = for ever. */
void reply_patience(int connection, long seconds);
/* Closing with bytes unread would cut the answer off: takes them until the client has gone. */
void reply_drain(int connection);
/* For a request that no process can be made for, with errno's reason. Returns 0. */
int reply_refusal(int connection, const char *what);

#endif
