/* The shim's one loop: wait for anything, serve it, report what has ended. */
#include "shim.h"

#include "clean.h"
#include "json.h"
#include "sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define FIXED_POLLS 2
/* How long the next client waits when none could be taken for want of descriptors or memory. */
#define ACCEPT_REST_MS 100

static struct pollfd *add_poll(struct pollfd *next, int fd, short events)
{
    *next = (struct pollfd){.fd = fd, .events = events};
    return next;
}

/* An exec's output waits while its client is slow; the container's own never does. */
static bool may_read(const struct shim *shim, const struct program *program)
{
    /* What the runtime itself prints is not the program's. */
    if (program->foreign != NULL)
        return false;
    if (program == shim->main || program->client == NULL)
        return true;
    return buffer_size(&program->client->out) < PIPE_PENDING_MAX;
}

static struct pollfd *poll_program(const struct shim *shim, struct program *p, struct pollfd *next)
{
    bool reads = may_read(shim, p);
    p->poll_in = p->poll_out[0] = p->poll_out[1] = p->poll_failure = NULL;
    for (int stream = 0; stream < 2; stream++)
        if (p->out[stream] >= 0 && reads)
            p->poll_out[stream] = add_poll(next++, p->out[stream], POLLIN);
    if (p->in >= 0 && buffer_size(&p->input) > 0)
        p->poll_in = add_poll(next++, p->in, POLLOUT);
    if (p->failure >= 0)
        p->poll_failure = add_poll(next++, p->failure, POLLIN);
    return next;
}

static struct pollfd *poll_clients(struct shim *shim, struct pollfd *next)
{
    for (struct client *client = shim->clients; client != NULL; client = client->next) {
        short events = client_wants_input(client) ? POLLIN : 0;
        if (buffer_size(&client->out) > 0)
            events |= POLLOUT;
        client->poll = add_poll(next++, client->fd, events);
    }
    return next;
}

static bool is_ready(const struct pollfd *entry)
{
    return entry != NULL && entry->revents != 0;
}

static void answer_exec(struct program *program)
{
    struct error e = {0};
    int master = -1;
    int result = sync_next(&e, program->failure, &master);
    if (result == 1) {
        program_hold_terminal(program, master);
        return;
    }
    bool has_failed = result < 0;
    close(program->failure);
    program->failure = -1;
    program->is_started = !has_failed;
    if (program->client == NULL)
        return;
    if (has_failed) {
        client_answer_error(program->client, &e);
        program->client->program = NULL;
        program->client = NULL;
        return;
    }
    cleanup_json json_object *object = json_object_new_object();
    json_put_number(object, "pid", program->pid);
    const char *text = json_line(object);
    client_send(program->client, FRAME_ANSWER, text, strlen(text));
}

static void serve_program(struct shim *shim, struct program *program)
{
    if (is_ready(program->poll_failure))
        answer_exec(program);
    if (is_ready(program->poll_in))
        program_write(program);
    for (int stream = 0; stream < 2; stream++)
        if (is_ready(program->poll_out[stream]))
            program_read(shim, program, stream);
    /* Ended: what it wrote before is in the pipe already; others that hold the pipe are not waited
     * for. */
    while (program->is_ended && !program_is_drained(program) && may_read(shim, program))
        for (int stream = 0; stream < 2; stream++)
            if (program->out[stream] >= 0)
                program_read(shim, program, stream);
}

static void drop_clients(struct shim *shim)
{
    for (struct client **at = &shim->clients; *at != NULL;) {
        struct client *client = *at;
        if (!client->is_dead) {
            at = &client->next;
            continue;
        }
        struct program *program = client->program;
        if (program != NULL && program != shim->main) {
            program->client = NULL;
            program->ends_input = true;
            program_write(program);
            /* A terminal without a user hangs up, as a lost line would. */
            if (program->has_terminal)
                program_hang_up(program);
        } else if (program != NULL && client->has_stdin && shim->is_stdin_once) {
            program->ends_input = true;
            program_write(program);
        }
        *at = client->next;
        shim->client_count--;
        client_free(client);
    }
}

/* Who has asked for nothing by now waits for the end only. */
static void dismiss_idle(struct shim *shim)
{
    for (struct client *client = shim->clients; client != NULL; client = client->next)
        if (client->program == NULL && !client->is_closing)
            client->is_dead = true;
}

static void finish_programs(struct shim *shim)
{
    for (struct program **at = &shim->programs; *at != NULL;) {
        struct program *program = *at;
        if (!program_is_drained(program) || program->failure >= 0) {
            at = &program->next;
            continue;
        }
        if (program == shim->main || program->is_started)
            shim_report(shim, program);
        *at = program->next;
        if (program == shim->main) {
            shim->main = NULL;
            close(shim->listener);
            shim->listener = -1;
            dismiss_idle(shim);
        }
        program_free(program);
    }
    shim->is_done = shim->programs == NULL && shim->clients == NULL;
}

static struct pollfd *make_polls(struct shim *shim, size_t *count)
{
    size_t programs = 0;
    for (struct program *p = shim->programs; p != NULL; p = p->next)
        programs++;
    struct pollfd *polls = calloc(FIXED_POLLS + programs * 4 + shim->client_count, sizeof *polls);
    if (polls == NULL)
        abort();
    struct pollfd *next = polls;
    add_poll(next++, shim->signals, POLLIN);
    add_poll(next++, shim->rests ? -1 : shim->listener, POLLIN);
    for (struct program *p = shim->programs; p != NULL; p = p->next)
        next = poll_program(shim, p, next);
    next = poll_clients(shim, next);
    *count = (size_t)(next - polls);
    return polls;
}

static void serve_clients(struct shim *shim)
{
    for (struct client *client = shim->clients; client != NULL; client = client->next) {
        short events = client->poll->revents;
        if ((events & POLLOUT) != 0)
            client_flush(client);
        if ((events & POLLIN) != 0)
            client_serve(shim, client);
        else if ((events & (POLLHUP | POLLERR)) != 0)
            client->is_dead = true;
    }
}

static void serve_signals(struct shim *shim)
{
    struct signalfd_siginfo info;
    while (read(shim->signals, &info, sizeof info) == (ssize_t)sizeof info)
        continue;
    shim_reap(shim);
}

void shim_loop(struct shim *shim)
{
    while (!shim->is_done) {
        size_t count;
        cleanup_free struct pollfd *polls = make_polls(shim, &count);
        if (poll(polls, count, shim->rests ? ACCEPT_REST_MS : -1) < 0) {
            if (errno == EINTR)
                continue;
            abort();
        }
        shim->rests = false;
        /* Ends first: what a program wrote before its end is then drained in this round. */
        if (is_ready(&polls[0]))
            serve_signals(shim);
        for (struct program *p = shim->programs; p != NULL; p = p->next)
            serve_program(shim, p);
        serve_clients(shim);
        /* Programs that these clients began have no entries in this round's polls. */
        if (is_ready(&polls[1]))
            client_accept(shim);
        finish_programs(shim);
        drop_clients(shim);
        finish_programs(shim);
    }
}
