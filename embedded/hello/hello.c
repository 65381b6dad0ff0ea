/*
 * The sample image's program: an HTTP server on port 8080 (or $PORT) that says which pod and node
 * it is and what it was asked, as text, or as JSON on /json or when the client accepts JSON.
 * /healthz answers ok. Ends on SIGTERM.
 */
#include "http.h"

#define DEFAULT_PORT 8080
#define MAX_CONNECTIONS 64
#define IDLE_SECONDS 30
#define BACKLOG 128

enum state { FREE, READING, WRITING, DRAINING };

struct connection {
    int fd;
    enum state state;
    int64_t deadline;
    union address peer;
    size_t have, answer_size, sent;
    char request[MAX_REQUEST];
    char answer[MAX_ANSWER];
};

struct server {
    struct identity self;
    int listener, signals;
    struct connection connections[MAX_CONNECTIONS];
};

static struct server the_server; /* Too large for a stack; passed to whoever needs it. */

_Noreturn void begin(long *stack);

static int64_t now(void)
{
    struct timespec t = {0, 0};
    CALL(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, &t, 0);
    return t.seconds;
}

static void drop(struct connection *c)
{
    CALL(SYS_CLOSE, c->fd, 0, 0);
    c->state = FREE;
}

/* Closing with unread input would reset the connection, and the client might lose the answer. */
static void send_answer(struct connection *c)
{
    long size = call6(SYS_SENDTO, c->fd, (long)(c->answer + c->sent),
                      (long)(c->answer_size - c->sent), MSG_NOSIGNAL, 0, 0);
    if (size < 0 && size != -EAGAIN && size != -EINTR) {
        drop(c);
        return;
    }
    if (size > 0)
        c->sent += (size_t)size;
    if (c->sent == c->answer_size) {
        CALL(SYS_SHUTDOWN, c->fd, SHUT_WR, 0);
        c->state = DRAINING;
    }
}

static void answer(const struct server *s, struct connection *c, const char *failure)
{
    struct piece bytes = {c->request, c->have};
    c->answer_size = http_answer(&s->self, &c->peer, bytes, failure, c->answer);
    c->sent = 0;
    c->state = WRITING;
}

static void receive(const struct server *s, struct connection *c)
{
    char *to = c->state == READING ? c->request + c->have : c->request;
    size_t room = c->state == READING ? MAX_REQUEST - c->have : MAX_REQUEST;
    long size = CALL(SYS_READ, c->fd, to, room);
    if (size == -EAGAIN || size == -EINTR)
        return;
    if (size <= 0) {
        drop(c);
        return;
    }
    if (c->state != READING)
        return;
    c->have += (size_t)size;
    if (http_is_complete((struct piece){c->request, c->have}))
        answer(s, c, NULL);
    else if (c->have == MAX_REQUEST)
        answer(s, c, "request headers of more than 8 KiB\n");
    if (c->state == WRITING)
        send_answer(c);
}

static void accept_one(struct server *s)
{
    struct connection *c = s->connections;
    while (c < s->connections + MAX_CONNECTIONS && c->state != FREE)
        c++;
    if (c == s->connections + MAX_CONNECTIONS)
        return;
    uint32_t size = sizeof c->peer;
    long fd = call6(SYS_ACCEPT4, s->listener, (long)&c->peer, (long)&size,
                    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0);
    if (fd < 0)
        return;
    c->fd = (int)fd;
    c->state = READING;
    c->have = 0;
    c->deadline = now() + IDLE_SECONDS;
}

/* Returns once a signal asks for the end. */
static void serve(struct server *s)
{
    struct pollfd polls[MAX_CONNECTIONS + 2];
    for (;;) {
        int used = 0;
        for (int i = 0; i < MAX_CONNECTIONS; i++) {
            const struct connection *c = &s->connections[i];
            used += c->state != FREE;
            polls[i + 2] = (struct pollfd){c->state == FREE ? -1 : c->fd,
                                           c->state == WRITING ? POLLOUT : POLLIN, 0};
        }
        polls[0] = (struct pollfd){s->signals, POLLIN, 0};
        polls[1] = (struct pollfd){used < MAX_CONNECTIONS ? s->listener : -1, POLLIN, 0};
        struct timespec wait = {IDLE_SECONDS, 0};
        long ready =
            call6(SYS_PPOLL, (long)polls, MAX_CONNECTIONS + 2, used > 0 ? (long)&wait : 0, 0, 0, 0);
        if (ready < 0)
            continue;
        if (polls[0].revents != 0)
            return;
        for (int i = 0; i < MAX_CONNECTIONS; i++) {
            struct connection *c = &s->connections[i];
            if (c->state != FREE && polls[i + 2].revents != 0)
                c->state == WRITING ? send_answer(c) : receive(s, c);
            if (c->state != FREE && now() > c->deadline)
                drop(c);
        }
        if (polls[1].revents != 0)
            accept_one(s);
    }
}

/* All addresses of both families; of IPv4 alone where the kernel has no IPv6. */
static int listen_on(uint16_t port)
{
    union address address;
    int one = 1, zero = 0, type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    memset(&address, 0, sizeof address);
    long fd = CALL(SYS_SOCKET, AF_INET6, type, 0);
    int is_v6 = fd >= 0;
    if (!is_v6)
        fd = CALL(SYS_SOCKET, AF_INET, type, 0);
    if (fd < 0)
        return -1;
    address.v4.family = is_v6 ? AF_INET6 : AF_INET;
    address.v4.port = (uint16_t)((port >> 8) | (port << 8));
    call6(SYS_SETSOCKOPT, fd, SOL_SOCKET, SO_REUSEADDR, (long)&one, sizeof one, 0);
    if (is_v6)
        call6(SYS_SETSOCKOPT, fd, IPPROTO_IPV6, IPV6_V6ONLY, (long)&zero, sizeof zero, 0);
    if (CALL(SYS_BIND, fd, &address, is_v6 ? sizeof address.v6 : sizeof address.v4) < 0 ||
        CALL(SYS_LISTEN, fd, BACKLOG, 0) < 0)
        return -1;
    return (int)fd;
}

static const char *environment(char **env, const char *name)
{
    size_t size = length(name);
    for (; *env != NULL; env++) {
        size_t i = 0;
        while (i < size && (*env)[i] == name[i])
            i++;
        if (i == size && (*env)[i] == '=' && (*env)[i + 1] != '\0')
            return *env + i + 1;
    }
    return NULL;
}

static uint16_t port_from(const char *text)
{
    unsigned port = 0;
    for (; text != NULL && *text >= '0' && *text <= '9' && port < 65536; text++)
        port = port * 10 + (unsigned)(*text - '0');
    return port > 0 && port < 65536 ? (uint16_t)port : DEFAULT_PORT;
}

static _Noreturn void finish(int code, const char *message)
{
    CALL(SYS_WRITE, code == 0 ? 1 : 2, message, length(message));
    for (;;)
        CALL(SYS_EXIT_GROUP, code, 0, 0);
}

_Noreturn void begin(long *stack)
{
    static struct utsname names;
    struct server *s = &the_server;
    char **env = (char **)(stack + 1 + *stack + 1);
    uint64_t ends = 1ull << (SIGTERM - 1) | 1ull << (SIGINT - 1);
    uint64_t blocked = ends | 1ull << (SIGPIPE - 1);
    CALL(SYS_UNAME, &names, 0, 0);
    const char *pod = environment(env, "POD_NAME"), *node = environment(env, "NODE_NAME");
    if (pod == NULL)
        pod = environment(env, "HOSTNAME");
    s->self.pod = pod != NULL ? pod : names.nodename;
    s->self.node = node != NULL ? node : "";
    call6(SYS_RT_SIGPROCMASK, SIG_BLOCK, (long)&blocked, 0, sizeof blocked, 0, 0);
    s->signals = (int)call6(SYS_SIGNALFD4, -1, (long)&ends, sizeof ends, SOCK_CLOEXEC, 0, 0);
    s->listener = listen_on(port_from(environment(env, "PORT")));
    if (s->signals < 0 || s->listener < 0)
        finish(1, "hello: cannot listen\n");
    CALL(SYS_WRITE, 1, "hello: listening\n", 17);
    serve(s);
    finish(0, "hello: ended\n");
}
