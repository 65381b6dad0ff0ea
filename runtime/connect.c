#include "connect.h"

#include "clean.h"
#include "io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define RELAY_BUFFER_SIZE 65536

static int attempt(struct sockaddr *address, socklen_t size)
{
    cleanup_close int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address, size) < 0)
        return -1;
    return steal_fd(&fd);
}

int connect_local(struct error *e, int port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)port),
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (port < 1 || port > 65535)
        return err_set(e, EINVAL, "port %d", port);
    int fd = attempt((struct sockaddr *)&v4, sizeof v4);
    int code = errno;
    if (fd < 0)
        fd = attempt((struct sockaddr *)&v6, sizeof v6);
    return fd < 0 ? err_set(e, code, "connect to port %d", port) : fd;
}

/* One direction: what was read from `from` and `to` has not taken yet. */
struct flow {
    int from, to;
    size_t begin, end;
    bool is_over;
    char data[RELAY_BUFFER_SIZE];
};

/* Returns -1 when the connection broke. */
static int flow_write(struct flow *f)
{
    ssize_t put = send(f->to, f->data + f->begin, f->end - f->begin, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    f->begin += (size_t)put;
    if (f->begin == f->end)
        f->begin = f->end = 0;
    return 0;
}

static int flow_read(struct flow *f)
{
    ssize_t got = recv(f->from, f->data, sizeof f->data, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got == 0) {
        f->is_over = true;
        shutdown(f->to, SHUT_WR);
        return 0;
    }
    f->end = (size_t)got;
    return flow_write(f);
}

static short wish(const struct flow *reads, const struct flow *writes)
{
    short events = !reads->is_over && reads->end == 0 ? POLLIN : 0;
    return writes->end > 0 ? (short)(events | POLLOUT) : events;
}

static int serve(struct flow *reads, struct flow *writes, short events)
{
    if (writes->end > 0 && (events & (POLLOUT | POLLERR)) != 0 && flow_write(writes) < 0)
        return -1;
    if (!reads->is_over && reads->end == 0 && (events & (POLLIN | POLLHUP | POLLERR)) != 0)
        return flow_read(reads);
    return 0;
}

void connect_relay(int a, int b, const char *rest, size_t rest_size)
{
    cleanup_free struct flow *there = calloc(1, sizeof *there), *back = calloc(1, sizeof *back);
    if (there == NULL || back == NULL || write_all(b, rest, rest_size) < 0)
        return;
    there->from = back->to = a;
    there->to = back->from = b;
    while (!there->is_over || !back->is_over || there->end > 0 || back->end > 0) {
        struct pollfd polls[2] = {{.fd = a, .events = wish(there, back)},
                                  {.fd = b, .events = wish(back, there)}};
        /* With nothing to wait for on one side, its hang-up must not wake us. */
        for (int i = 0; i < 2; i++)
            polls[i].fd = polls[i].events == 0 ? -1 : polls[i].fd;
        if (poll(polls, 2, -1) < 0 && errno != EINTR)
            return;
        if (serve(there, back, polls[0].revents) < 0 || serve(back, there, polls[1].revents) < 0)
            return;
    }
}
