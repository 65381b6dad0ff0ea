/* Connections to a shim: attach, exec and small requests. */
#include "shim.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void refuse(int fd)
{
    struct client client = {.fd = fd};
    struct error e;
    err_set(&e, EBUSY, "more than %d sessions with one container", CLIENTS_MAX);
    client_answer_error(&client, &e);
    buffer_free(&client.out);
    close(fd);
}

void client_accept(struct shim *shim)
{
    int fd = accept4(shim->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    shim->rests = fd < 0;
    if (fd < 0)
        return;
    if (shim->client_count >= CLIENTS_MAX) {
        refuse(fd);
        return;
    }
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        abort();
    client->fd = fd;
    client->next = shim->clients;
    shim->clients = client;
    shim->client_count++;
}

void client_free(struct client *client)
{
    close(client->fd);
    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

void client_send(struct client *client, char kind, const void *data, size_t size)
{
    char header[FRAME_HEADER_SIZE] = {kind};
    uint32_t length = htonl((uint32_t)size);
    memcpy(header + 1, &length, sizeof length);
    if (buffer_add(&client->out, header, sizeof header) < 0 ||
        buffer_add(&client->out, data, size) < 0)
        client->is_dead = true;
    client_flush(client);
}

void client_flush(struct client *client)
{
    while (!client->is_dead && buffer_size(&client->out) > 0) {
        ssize_t put = send(client->fd, client->out.data + client->out.begin,
                           buffer_size(&client->out), MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EAGAIN)
            return;
        if (put < 0)
            client->is_dead = true;
        else
            buffer_take(&client->out, (size_t)put);
    }
    if (client->is_closing && buffer_size(&client->out) == 0)
        client->is_dead = true;
}

static void answer(struct client *client, json_object *object)
{
    const char *text = json_line(object);
    client_send(client, FRAME_ANSWER, text, strlen(text));
}

void client_answer_error(struct client *client, const struct error *e)
{
    cleanup_json json_object *object = json_object_new_object();
    json_object *error = json_object_new_object();
    json_put_text(error, "code", err_name(e->code));
    json_put_text(error, "message", e->message);
    json_object_object_add(object, "error", error);
    client->is_closing = true;
    answer(client, object);
}

static int hello(struct error *e, struct shim *shim, struct client *client, json_object *request)
{
    const char *op = json_text(request, "op", "");
    if (strcmp(op, "exec") == 0)
        return exec_begin(e, shim, client, request); /* Answers when it has executed. */
    cleanup_json json_object *object = json_object_new_object();
    if (strcmp(op, "attach") == 0) {
        client->program = shim->main;
        client->has_stdin = json_flag(request, "hasStdin", false) && shim->main->in >= 0;
        json_object_object_add(object, "hasTerminal",
                               json_object_new_boolean(shim->main->has_terminal));
    } else if (strcmp(op, "reopen") == 0) {
        if (log_reopen(e, &shim->log) < 0)
            return -1;
        client->is_closing = true;
    } else {
        return err_set(e, 0, "unknown operation \"%s\"", op);
    }
    answer(client, object);
    return 0;
}

static void take_input(struct shim *shim, struct client *client, const char *data, size_t size)
{
    struct program *program = client->program;
    if (program == NULL || !client->has_stdin || program->in < 0)
        return;
    if (size > 0 && buffer_add(&program->input, data, size) < 0)
        client->is_dead = true;
    /* A container's stdin outlives its clients, unless it was made for one only. */
    if (size == 0 && !program->has_terminal && (program != shim->main || shim->is_stdin_once))
        program->ends_input = true;
    program_write(program);
}

static void take_frame(struct shim *shim, struct client *client, char kind, const char *data,
                       size_t size)
{
    struct error e = {0};
    if (kind == FRAME_INPUT) {
        take_input(shim, client, data, size);
        return;
    }
    cleanup_free char *text = text_slice(data, size);
    cleanup_json json_object *object = NULL;
    if (json_parse(&e, text, &object) < 0) {
        client->is_dead = true;
        return;
    }
    if (kind == FRAME_RESIZE && client->program != NULL && client->program->foreign != NULL)
        foreign_exec_resize(client->program, object);
    else if (kind == FRAME_RESIZE && client->program != NULL)
        program_resize(client->program, object);
    else if (kind == FRAME_HELLO && client->program == NULL && hello(&e, shim, client, object) < 0)
        client_answer_error(client, &e);
}

bool client_wants_input(const struct client *client)
{
    return client->program == NULL || buffer_size(&client->program->input) < PIPE_PENDING_MAX;
}

static void take_frames(struct shim *shim, struct client *client)
{
    while (!client->is_dead && buffer_size(&client->in) >= FRAME_HEADER_SIZE) {
        const char *next = client->in.data + client->in.begin;
        uint32_t length;
        memcpy(&length, next + 1, sizeof length);
        size_t size = ntohl(length);
        if (size > FRAME_SIZE_MAX) {
            client->is_dead = true;
            return;
        }
        if (buffer_size(&client->in) < FRAME_HEADER_SIZE + size)
            return;
        take_frame(shim, client, *next, next + FRAME_HEADER_SIZE, size);
        buffer_take(&client->in, FRAME_HEADER_SIZE + size);
    }
}

void client_serve(struct shim *shim, struct client *client)
{
    char data[CHUNK_SIZE];
    ssize_t got;
    do
        got = recv(client->fd, data, sizeof data, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        client->is_dead = true;
        return;
    }
    if (buffer_add(&client->in, data, (size_t)got) < 0)
        client->is_dead = true;
    take_frames(shim, client);
}
