#include "serve.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define CONNECTION_FD 3
/* How long a client may take to read an error and go. */
#define DRAIN_MAX_S 10

int reply_result(int connection, json_object *result)
{
    cleanup_free char *line =
        text_format("{\"result\":%s}\n", result == NULL ? "{}" : json_line(result));
    return write_all(connection, line, strlen(line));
}

void reply_error(int connection, const struct error *e)
{
    cleanup_json json_object *answer = json_object_new_object();
    json_object *error = json_object_new_object();
    json_put_text(error, "code", err_name(e->code));
    json_put_text(error, "message", e->message);
    json_object_object_add(answer, "error", error);
    cleanup_free char *line = text_format("%s\n", json_line(answer));
    (void)write_all(connection, line, strlen(line));
}

/* Reads up to the first newline; what follows it already is *rest. */
static int read_request(struct error *e, int connection, char **line, const char **rest,
                        size_t *rest_size)
{
    size_t size = 0, room = 8192;
    char *buffer = malloc(room), *newline = NULL;
    while (buffer != NULL && newline == NULL) {
        ssize_t got = read(connection, buffer + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            free(buffer);
            return err_set(e, got < 0 ? errno : EPIPE, "read request");
        }
        newline = memchr(buffer + size, '\n', (size_t)got);
        size += (size_t)got;
        if (newline == NULL && size == room) {
            char *larger = room < REQUEST_SIZE_MAX ? realloc(buffer, room *= 2) : NULL;
            if (larger == NULL) {
                free(buffer);
                return err_set(e, EMSGSIZE, "read request");
            }
            buffer = larger;
        }
    }
    if (buffer == NULL)
        return err_set(e, ENOMEM, "read request");
    *newline = '\0';
    *line = buffer;
    *rest = newline + 1;
    *rest_size = size - (size_t)(newline + 1 - buffer);
    return 0;
}

static int run_job(struct error *e, struct job *job)
{
    cleanup_free char *line = NULL;
    if (read_request(e, job->connection, &line, &job->rest, &job->rest_size) < 0 ||
        json_parse(e, line, &job->request) < 0)
        return -1;
    const char *verb = json_text(job->request, "verb", "");
    const struct job_row *row = job_find(verb);
    if (row == NULL)
        return err_set(e, 0, "unknown verb \"%s\"", verb);
    return row->run(e, job);
}

/* The job keeps nothing of the daemon but the connection, so that it can outlive it. */
static int detach(struct error *e, int connection)
{
    cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        return err_set(e, errno, "open /dev/null");
    if (connection != CONNECTION_FD && dup3(connection, CONNECTION_FD, O_CLOEXEC) < 0)
        return err_set(e, errno, "move connection");
    null = -1;
    if (close_range(CONNECTION_FD + 1, UINT_MAX, 0) < 0)
        return err_set(e, errno, "close other fds");
    return 0;
}

/* Closing with bytes unread would cut the answer off: takes them until the client has read it and
 * gone. */
static void drain(int connection)
{
    struct timeval patience = {.tv_sec = DRAIN_MAX_S};
    char bytes[4096];
    shutdown(connection, SHUT_WR);
    (void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (read(connection, bytes, sizeof bytes) > 0)
        continue;
}

static _Noreturn void job_main(int connection, const char *run_dir)
{
    struct error e = {0};
    struct job job = {.connection = CONNECTION_FD, .run_dir = run_dir};
    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_NAME, "mini-job", 0, 0, 0);
    job.root = text_format("%s/containers", run_dir);
    int result = detach(&e, connection);
    if (result == 0)
        result = run_job(&e, &job);
    if (result < 0) {
        reply_error(CONNECTION_FD, &e);
        drain(CONNECTION_FD);
    } else {
        (void)reply_result(CONNECTION_FD, job.result);
    }
    _exit(result < 0);
}

static void accept_job(int listener, const char *run_dir)
{
    cleanup_close int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    pid_t pid = fork();
    if (pid == 0)
        job_main(connection, run_dir);
    if (pid < 0) {
        struct error e;
        err_set(&e, errno, "fork");
        reply_error(connection, &e);
    }
}

int serve(struct error *e, const char *run_dir, bool follows_stdin)
{
    if (make_dirs(e, run_dir, 0700) < 0)
        return -1;
    cleanup_close int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno, "open %s", run_dir);
    cleanup_close int listener = socket_listen_at(e, dir, "runtime.sock");
    if (listener < 0)
        return -1;
    /* Jobs are not waited for: the kernel takes them away. */
    if (signal(SIGCHLD, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return err_set(e, errno, "set signals");
    prctl(PR_SET_NAME, "mini-serve", 0, 0, 0);
    if (follows_stdin && write_all(STDOUT_FILENO, "ready\n", strlen("ready\n")) < 0)
        return err_set(e, errno, "tell the client");
    for (;;) {
        struct pollfd polls[2] = {{.fd = listener, .events = POLLIN},
                                  {.fd = follows_stdin ? 0 : -1, .events = POLLIN}};
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            return err_set(e, errno, "poll");
        char byte;
        if (polls[1].revents != 0 && read(0, &byte, 1) <= 0)
            return 0;
        if (polls[0].revents != 0)
            accept_job(listener, run_dir);
    }
}
