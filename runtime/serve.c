#include "serve.h"

#include "clean.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "making.h"
#include "room.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* What a job keeps of the daemon's fds. */
#define CONNECTION_FD 3
#define SLOT_FD 4
#define ROOM_FD 5
#define FIRST_FREE_FD 6
#define FIXED_POLLS 3

/* How long the daemon before may take to end. */
#define PREDECESSOR_MAX_S 5
/* How long the next connection waits when none could be taken for want of descriptors or memory. */
#define ACCEPT_REST_MS 100
/* How long a client may take to send its request. */
#define REQUEST_MAX_S 30

struct server {
    const char *run_dir;
    pid_t pid, watch;
    int listener, signals, lock;
    int room; /* see room.h, or -1 */
    /* One for each job at work: its other side is closed when the job is done. */
    int slots[JOBS_MAX];
    unsigned int slot_count;
};

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
    reply_patience(job->connection, REQUEST_MAX_S);
    if (read_request(e, job->connection, &line, &job->rest, &job->rest_size) < 0)
        return -1;
    reply_patience(job->connection, 0);
    if (json_parse(e, line, &job->request) < 0)
        return -1;
    const char *verb = json_text(job->request, "verb", "");
    const struct job_row *row = job_find(verb);
    if (row == NULL)
        return err_set(e, 0, "unknown verb \"%s\"", verb);
    return row->run(e, job);
}

/* The job keeps nothing of the daemon but connection and slot, so that it can outlive it. */
static int detach(struct error *e, int connection, int slot, int room)
{
    cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        return err_set(e, errno, "open /dev/null");
    /* Out of the way of each other first. */
    connection = fcntl(connection, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    slot = fcntl(slot, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    int moved = room < 0 ? -1 : fcntl(room, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (connection < 0 || slot < 0 || dup3(connection, CONNECTION_FD, O_CLOEXEC) < 0 ||
        dup3(slot, SLOT_FD, O_CLOEXEC) < 0 ||
        (room >= 0 && (moved < 0 || dup3(moved, ROOM_FD, O_CLOEXEC) < 0)))
        return err_set(e, errno, "move connection");
    null = -1;
    if (close_range(room >= 0 ? FIRST_FREE_FD : ROOM_FD, UINT_MAX, 0) < 0)
        return err_set(e, errno, "close other fds");
    return 0;
}

int job_check_daemon(struct error *e, const struct job *job)
{
    return getppid() == job->daemon ? 0 : err_set(e, ECONNRESET, "the daemon has ended");
}

void job_release(struct job *job)
{
    close(job->slot);
    job->slot = -1;
}

static _Noreturn void job_main(const struct server *server, int connection, int slot)
{
    struct error e = {0};
    struct job job = {.connection = CONNECTION_FD,
                      .slot = SLOT_FD,
                      .daemon = server->pid,
                      .room = server->room >= 0 ? ROOM_FD : -1,
                      .run_dir = server->run_dir};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "mini-job", 0, 0, 0);
    job.root = text_format("%s/containers", server->run_dir);
    int result = detach(&e, connection, slot, server->room);
    if (result == 0)
        result = run_job(&e, &job);
    if (result < 0) {
        reply_error(CONNECTION_FD, &e);
        reply_drain(CONNECTION_FD);
    } else {
        (void)reply_result(CONNECTION_FD, job.result);
    }
    _exit(result < 0);
}

/* -1: none could be taken, and the one that waits goes on waiting. */
static int accept_job(struct server *server)
{
    cleanup_close int connection = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    int pair[2];
    if (connection < 0)
        return -1;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return reply_refusal(connection, "pipe");
    cleanup_close int ours = pair[0], slot = pair[1];
    pid_t pid = fork();
    if (pid == 0)
        job_main(server, connection, slot);
    if (pid < 0)
        return reply_refusal(connection, "fork");
    server->slots[server->slot_count++] = steal_fd(&ours);
    return 0;
}

/* Jobs need no more than to be taken away, but a shim that was killed leaves a container behind. */
static void reap(struct server *server)
{
    struct signalfd_siginfo info;
    while (read(server->signals, &info, sizeof info) == (ssize_t)sizeof info)
        continue;
    bool is_killed = false, is_unwatched = false;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        is_unwatched |= WIFSIGNALED(status) && pid == server->watch;
        is_killed |= WIFSIGNALED(status) && pid != server->watch;
    }
    if (is_killed)
        settle_start(server->run_dir);
    if (is_unwatched)
        server->watch = watch_start(server->run_dir);
}

static int open_server(struct error *e, struct server *server)
{
    const char *run_dir = server->run_dir;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (make_dirs(e, run_dir, 0700) < 0)
        return -1;
    cleanup_close int dir = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno, "open %s", run_dir);
    /* One that is about to end, as its agent has: what it still begins must be seen from here. */
    server->lock = openat(dir, "serve.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (server->lock < 0)
        return err_set(e, errno, "open %s/serve.lock", run_dir);
    if (lock_within(e, server->lock, LOCK_EX, PREDECESSOR_MAX_S) < 0)
        return err_wrap(e, "another daemon serves %s", run_dir);
    server->listener = socket_listen_at(e, dir, "runtime.sock");
    if (server->listener < 0)
        return -1;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &child, NULL) < 0 ||
        (server->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return err_set(e, errno, "set signals");
    return 0;
}

static void free_slots(struct server *server, const struct pollfd *polls)
{
    unsigned int kept = 0;
    for (unsigned int i = 0; i < server->slot_count; i++)
        if (polls[i].revents != 0)
            close(server->slots[i]);
        else
            server->slots[kept++] = server->slots[i];
    server->slot_count = kept;
}

int serve(struct error *e, const char *run_dir, bool follows_stdin)
{
    struct server server = {
        .run_dir = run_dir, .pid = getpid(), .listener = -1, .signals = -1, .lock = -1, .room = -1};
    struct error ignored;
    if (open_server(e, &server) < 0)
        return -1;
    prctl(PR_SET_NAME, "mini-serve", 0, 0, 0);
    /* The C library reads the time zone now, once for all jobs. */
    char now[TIME_TEXT_SIZE];
    time_text(now);
    server.watch = watch_start(run_dir);
    if (follows_stdin && write_all(STDOUT_FILENO, "ready\n", strlen("ready\n")) < 0)
        return err_set(e, errno, "tell the client");
    /* Without one a start is slower the more is mounted on the host, and that is all. */
    server.room = room_make(&ignored);
    for (bool rests = false;;) {
        struct pollfd polls[FIXED_POLLS + JOBS_MAX] = {
            {.fd = server.signals, .events = POLLIN},
            {.fd = rests || server.slot_count == JOBS_MAX ? -1 : server.listener, .events = POLLIN},
            {.fd = follows_stdin ? 0 : -1, .events = POLLIN}};
        for (unsigned int i = 0; i < server.slot_count; i++)
            polls[FIXED_POLLS + i].fd = server.slots[i];
        if (poll(polls, FIXED_POLLS + server.slot_count, rests ? ACCEPT_REST_MS : -1) < 0) {
            if (errno == EINTR)
                continue;
            return err_set(e, errno, "poll");
        }
        char byte;
        if (polls[2].revents != 0 && read(0, &byte, 1) <= 0)
            return 0;
        if (polls[0].revents != 0)
            reap(&server);
        free_slots(&server, polls + FIXED_POLLS);
        rests = polls[1].revents != 0 && accept_job(&server) < 0;
    }
}
