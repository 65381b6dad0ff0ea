/* A process whose stdio the shim holds: its pipes or terminal, and its end. */
#include "shim.h"

#include "clean.h"
#include "exit-file.h"
#include "io.h"
#include "json.h"
#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

int buffer_add(struct buffer *b, const void *data, size_t size)
{
    if (b->begin > 0) {
        memmove(b->data, b->data + b->begin, buffer_size(b));
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->end + size > b->room) {
        size_t room = b->end + size < 1024 ? 1024 : (b->end + size) * 2;
        char *larger = realloc(b->data, room);
        if (larger == NULL)
            return -1;
        b->data = larger;
        b->room = room;
    }
    memcpy(b->data + b->end, data, size);
    b->end += size;
    return 0;
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

/* An idle shim keeps no buffers. */
void buffer_take(struct buffer *b, size_t size)
{
    b->begin += size;
    if (b->begin == b->end)
        buffer_free(b);
}

struct program *program_new(struct shim *shim)
{
    struct program *program = calloc(1, sizeof *program);
    if (program == NULL)
        abort();
    program->in = program->out[0] = program->out[1] = program->failure = program->peer = -1;
    program->next = shim->programs;
    shim->programs = program;
    return program;
}

void program_free(struct program *program)
{
    close_now(&program->in);
    close_now(&program->out[0]);
    close_now(&program->out[1]);
    close_now(&program->failure);
    close_now(&program->peer);
    buffer_free(&program->input);
    free(program->exec_id);
    foreign_exec_free(program);
    free(program);
}

/* Passes output on: the log and all attached clients for the container's own, else the exec's
 * client. */
static void deliver(struct shim *shim, struct program *program, int stream, const char *data,
                    size_t size)
{
    char kind = stream == 0 ? FRAME_OUTPUT : FRAME_ERROR;
    if (program == shim->main)
        log_write(&shim->log, stream, data, size);
    for (struct client *client = shim->clients; client != NULL; client = client->next) {
        if (client->program != program || client->is_dead || client->is_closing)
            continue;
        client_send(client, kind, data, size);
        if (program == shim->main && buffer_size(&client->out) > CLIENT_PENDING_MAX)
            client->is_dead = true;
    }
}

void program_read(struct shim *shim, struct program *program, int stream)
{
    char data[CHUNK_SIZE];
    ssize_t got;
    do
        got = read(program->out[stream], data, sizeof data);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        deliver(shim, program, stream, data, (size_t)got);
        return;
    }
    if (got < 0 && errno == EAGAIN && !program->is_ended)
        return;
    close_now(&program->out[stream]);
    if (program->has_terminal)
        program_end_input(program);
}

int program_pipes(struct error *e, struct program *program, bool has_stdin, int stdio[3])
{
    int pair[2];
    if (has_stdin) {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return err_set(e, errno, "pipe");
        stdio[0] = pair[0];
        program->in = pair[1];
        fd_set_blocking(program->in, false);
    } else if ((stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
        return err_set(e, errno, "open /dev/null");
    }
    for (int stream = 0; stream < 2; stream++) {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return err_set(e, errno, "pipe");
        program->out[stream] = pair[0];
        stdio[stream + 1] = pair[1];
        fd_set_blocking(program->out[stream], false);
    }
    return 0;
}

void program_hold_terminal(struct program *program, int master)
{
    program->out[0] = master;
    program->in = fcntl(master, F_DUPFD_CLOEXEC, 3);
    program->peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    fd_set_blocking(master, false);
}

void program_hang_up(struct program *program)
{
    close_now(&program->out[0]);
    program_end_input(program);
}

void program_end_input(struct program *program)
{
    close_now(&program->in);
    buffer_free(&program->input);
}

void program_write(struct program *program)
{
    size_t size = buffer_size(&program->input);
    if (size > 0 && program->in >= 0) {
        ssize_t put = write(program->in, program->input.data + program->input.begin, size);
        if (put < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (put < 0) {
            program_end_input(program);
            return;
        }
        buffer_take(&program->input, (size_t)put);
    }
    if (buffer_size(&program->input) == 0 && program->ends_input)
        program_end_input(program);
}

void program_resize(struct program *program, json_object *size)
{
    struct winsize wanted = {.ws_col = (unsigned short)json_number(size, "columns", 0),
                             .ws_row = (unsigned short)json_number(size, "rows", 0)};
    if (program->has_terminal && program->out[0] >= 0)
        (void)ioctl(program->out[0], TIOCSWINSZ, &wanted);
}

bool program_is_drained(const struct program *program)
{
    return program->is_ended && program->out[0] < 0 && program->out[1] < 0;
}

static struct program *find_program(struct shim *shim, pid_t pid)
{
    for (struct program *program = shim->programs; program != NULL; program = program->next)
        if (program->pid == pid && !program->is_ended)
            return program;
    return NULL;
}

void program_end(struct shim *shim, struct program *program, int status, const char *finished)
{
    program->is_ended = true;
    program->status = status;
    snprintf(program->finished, sizeof program->finished, "%s", finished);
    if (program == shim->main && !namespace_is_new(shim->container.config, "pid")) {
        /* No pid namespace ends the others with it. */
        struct error ignored;
        (void)cgroup_signal_all(&ignored, &shim->container.cgroup, SIGKILL);
    }
}

void shim_reap(struct shim *shim)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct program *program = find_program(shim, pid);
        char now[TIME_TEXT_SIZE];
        time_text(now);
        if (program != NULL)
            program_end(shim, program, status, now);
        else if (shim->foreign_count > 0)
            foreign_reap(shim, pid, status, now);
        /* Else an orphan that came to us as the subreaper. */
    }
}

/* The kernel kills by SIGKILL, and so does a user: whose it was is marked. */
static bool is_oom_killed(const struct shim *shim, const struct program *program)
{
    if (!WIFSIGNALED(program->status) || WTERMSIG(program->status) != SIGKILL)
        return false;
    return cgroup_oom_kills(&shim->container.cgroup) > program->oom_kills &&
           !container_was_killed(&shim->container);
}

static json_object *describe_exit(struct shim *shim, struct program *program)
{
    json_object *exit = json_object_new_object();
    int status = program->status;
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    json_put_text(exit, "id", shim->container.id);
    if (program->exec_id != NULL)
        json_put_text(exit, "execId", program->exec_id);
    json_put_number(exit, "exitCode", code);
    if (WIFSIGNALED(status))
        json_put_number(exit, "signal", WTERMSIG(status));
    bool is_oom = is_oom_killed(shim, program);
    json_object_object_add(exit, "isOomKilled", json_object_new_boolean(is_oom));
    json_put_text(exit, "startedAt", program->started);
    json_put_text(exit, "finishedAt", program->finished);
    return exit;
}

void shim_report(struct shim *shim, struct program *program)
{
    struct error ignored;
    if (program == shim->main) {
        cleanup_free char *path = text_format("%s/started", shim->container.dir);
        cleanup_free char *started = NULL;
        if (file_read(&ignored, path, &started, TIME_TEXT_SIZE) == 0)
            snprintf(program->started, sizeof program->started, "%s", started);
        log_flush(&shim->log);
    }
    cleanup_json json_object *exit = describe_exit(shim, program);
    const char *text = json_line(exit);
    bool is_told = false;
    if (program == shim->main)
        (void)exit_write(&ignored, &shim->container, text);
    for (struct client *client = shim->clients; client != NULL; client = client->next) {
        if (client->program != program || client->is_dead)
            continue;
        client_send(client, FRAME_EXIT, text, strlen(text));
        client->is_closing = is_told = true;
        client->program = NULL;
    }
    if (program != shim->main && !is_told) {
        /* Its session was lost: kept for whoever asks later. */
        cleanup_free char *name = text_format("exec-%s.json", program->exec_id);
        (void)file_replace_at(&ignored, shim->container.dir_fd, name, text);
    }
}
