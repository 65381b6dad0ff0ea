/* What the daemon answers. */
#include "clean.h"
#include "io.h"
#include "json.h"
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* How long a client may take to read an error and go. */
#define DRAIN_MAX_S 10
/* How long the request of one that is refused is waited for. */
#define REFUSAL_WAIT_MS 50

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

void reply_patience(int connection, long seconds)
{
    struct timeval patience = {.tv_sec = seconds};
    (void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

void reply_drain(int connection)
{
    char bytes[4096];
    shutdown(connection, SHUT_WR);
    reply_patience(connection, DRAIN_MAX_S);
    while (read(connection, bytes, sizeof bytes) > 0)
        continue;
}

int reply_refusal(int connection, const char *what)
{
    struct error e;
    struct pollfd asked = {.fd = connection, .events = POLLIN};
    char bytes[4096];
    err_set(&e, errno, "%s", what);
    /* One that still writes when the connection is closed would not look for an answer. */
    (void)poll(&asked, 1, REFUSAL_WAIT_MS);
    while (recv(connection, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    reply_error(connection, &e);
    return 0;
}
