/*
 * The sample image's program: an HTTP server on port 8080 (or $PORT) that says which pod and node
 * it is and what it was asked, as text, or as JSON on /json or when the client accepts JSON.
 * /healthz answers ok. Ends on SIGTERM.
 */
#include "kernel.h"

#define DEFAULT_PORT 8080
#define MAX_CONNECTIONS 64
#define MAX_REQUEST 8192
/* A byte of the request takes at most six in JSON. */
#define MAX_ANSWER (MAX_REQUEST * 6 + 2048)
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

struct text {
    char *at;
    size_t size, room;
};

/* A piece of the request, not terminated. */
struct piece {
    const char *at;
    size_t size;
};

struct request {
    struct piece method, path, headers;
};

struct server {
    const char *pod, *node;
    int listener, signals;
    struct connection connections[MAX_CONNECTIONS];
};

static struct server the_server; /* Too large for a stack; passed to whoever needs it. */

/* The compiler may call these on its own. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
_Noreturn void begin(long *stack);

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((char *)to)[i] = (char)value;
    return to;
}

static size_t length(const char *text)
{
    size_t size = 0;
    while (text[size] != '\0')
        size++;
    return size;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static struct piece whole(const char *text)
{
    return (struct piece){text, length(text)};
}

static int begins(struct piece p, const char *prefix)
{
    size_t size = length(prefix);
    if (p.size < size)
        return 0;
    for (size_t i = 0; i < size; i++)
        if (lower(p.at[i]) != prefix[i])
            return 0;
    return 1;
}

static int contains(struct piece p, const char *what)
{
    for (; p.size > 0; p.at++, p.size--)
        if (begins(p, what))
            return 1;
    return 0;
}

static void put_byte(struct text *t, char c)
{
    if (t->size < t->room)
        t->at[t->size++] = c;
}

static void put(struct text *t, const char *text)
{
    while (*text != '\0')
        put_byte(t, *text++);
}

static void put_piece(struct text *t, struct piece p)
{
    for (size_t i = 0; i < p.size; i++)
        put_byte(t, p.at[i]);
}

static void put_number(struct text *t, uint64_t number, unsigned base)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    while (count > 0)
        put_byte(t, digits[--count]);
}

static void put_json(struct text *t, struct piece p)
{
    put_byte(t, '"');
    for (size_t i = 0; i < p.size; i++) {
        unsigned char c = (unsigned char)p.at[i];
        if (c == '"' || c == '\\') {
            put_byte(t, '\\');
            put_byte(t, (char)c);
        } else if (c < 0x20 || c >= 0x7f) {
            put(t, "\\u00");
            put_byte(t, "0123456789abcdef"[c >> 4]);
            put_byte(t, "0123456789abcdef"[c & 15]);
        } else {
            put_byte(t, (char)c);
        }
    }
    put_byte(t, '"');
}

static void put_dotted(struct text *t, const uint8_t *host)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            put_byte(t, '.');
        put_number(t, host[i], 10);
    }
}

static void put_peer(struct text *t, const union address *peer)
{
    const uint8_t *host = peer->v6.host;
    uint16_t port = peer->v4.port; /* In network order. */
    int is_mapped = peer->v6.family == AF_INET6 && host[10] == 0xff && host[11] == 0xff;
    for (int i = 0; i < 10; i++)
        is_mapped = is_mapped && host[i] == 0;
    if (peer->v4.family == AF_INET) {
        put_dotted(t, peer->v4.host);
    } else if (is_mapped) {
        put_dotted(t, host + 12);
    } else {
        put_byte(t, '[');
        for (int i = 0; i < 16; i += 2) {
            if (i > 0)
                put_byte(t, ':');
            put_number(t, (unsigned)host[i] << 8 | host[i + 1], 16);
        }
        put_byte(t, ']');
    }
    put_byte(t, ':');
    put_number(t, (uint16_t)((port >> 8) | (port << 8)), 10);
}

/* Cuts up to a separator; the rest begins behind it. */
static struct piece cut(struct piece *rest, char separator)
{
    struct piece head = {rest->at, 0};
    while (head.size < rest->size && rest->at[head.size] != separator)
        head.size++;
    size_t used = head.size < rest->size ? head.size + 1 : head.size;
    rest->at += used;
    rest->size -= used;
    return head;
}

/* The next header: 0 at the end. */
static int next_header(struct piece *rest, struct piece *name, struct piece *value)
{
    struct piece line = cut(rest, '\n');
    if (line.size > 0 && line.at[line.size - 1] == '\r')
        line.size--;
    if (line.size == 0)
        return 0;
    *name = cut(&line, ':');
    while (line.size > 0 && (*line.at == ' ' || *line.at == '\t')) {
        line.at++;
        line.size--;
    }
    *value = line;
    return 1;
}

static struct request parse(struct piece bytes)
{
    struct request r;
    struct piece first = cut(&bytes, '\n');
    r.method = cut(&first, ' ');
    r.path = cut(&first, ' ');
    r.headers = bytes;
    return r;
}

static int wants_json(const struct request *r)
{
    struct piece rest = r->headers, name, value;
    if (begins(r->path, "/json") &&
        (r->path.size == 5 || r->path.at[5] == '?' || r->path.at[5] == '/'))
        return 1;
    while (next_header(&rest, &name, &value))
        if (name.size == 6 && begins(name, "accept") && contains(value, "application/json"))
            return 1;
    return 0;
}

static void write_text(struct text *t, const struct server *s, const struct connection *c,
                       const struct request *r)
{
    struct piece rest = r->headers, name, value;
    put(t, "Hello from mini\n\npod:     ");
    put(t, s->pod);
    if (*s->node != '\0') {
        put(t, "\nnode:    ");
        put(t, s->node);
    }
    put(t, "\npeer:    ");
    put_peer(t, &c->peer);
    put(t, "\nrequest: ");
    put_piece(t, r->method);
    put_byte(t, ' ');
    put_piece(t, r->path);
    put(t, "\n\n");
    while (next_header(&rest, &name, &value)) {
        put_piece(t, name);
        put(t, ": ");
        put_piece(t, value);
        put_byte(t, '\n');
    }
}

static void write_json(struct text *t, const struct server *s, const struct connection *c,
                       const struct request *r)
{
    struct piece rest = r->headers, name, value;
    put(t, "{\"pod\":");
    put_json(t, whole(s->pod));
    put(t, ",\"node\":");
    put_json(t, whole(s->node));
    put(t, ",\"peer\":\"");
    put_peer(t, &c->peer);
    put(t, "\",\"method\":");
    put_json(t, r->method);
    put(t, ",\"path\":");
    put_json(t, r->path);
    put(t, ",\"headers\":{");
    for (int i = 0; next_header(&rest, &name, &value); i++) {
        if (i > 0)
            put_byte(t, ',');
        put_json(t, name);
        put_byte(t, ':');
        put_json(t, value);
    }
    put(t, "}}\n");
}

static void log_request(const struct connection *c, const struct request *r, const char *status)
{
    char line[1024];
    struct text t = {line, 0, sizeof line - 1};
    struct piece path = r->path;
    if (path.size > 512)
        path.size = 512;
    put_peer(&t, &c->peer);
    put_byte(&t, ' ');
    put_piece(&t, r->method.size > 32 ? whole("?") : r->method);
    put_byte(&t, ' ');
    put_piece(&t, path);
    put_byte(&t, ' ');
    put(&t, status);
    line[t.size++] = '\n';
    CALL(SYS_WRITE, 1, line, t.size);
}

static void answer(const struct server *s, struct connection *c, const char *failure)
{
    static char body[MAX_ANSWER - 512];
    struct text b = {body, 0, sizeof body}, head = {c->answer, 0, sizeof c->answer};
    struct request r = parse((struct piece){c->request, c->have});
    int is_json = failure == NULL && wants_json(&r);
    if (failure != NULL)
        put(&b, failure);
    else if (begins(r.path, "/healthz"))
        put(&b, "ok\n");
    else if (is_json)
        write_json(&b, s, c, &r);
    else
        write_text(&b, s, c, &r);
    put(&head, failure == NULL ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 431 Too Large\r\n");
    put(&head, is_json ? "Content-Type: application/json\r\n"
                       : "Content-Type: text/plain; charset=utf-8\r\n");
    put(&head, "Connection: close\r\nContent-Length: ");
    put_number(&head, b.size, 10);
    put(&head, "\r\n\r\n");
    if (!(r.method.size == 4 && begins(r.method, "head")))
        put_piece(&head, (struct piece){body, b.size});
    c->answer_size = head.size;
    c->sent = 0;
    c->state = WRITING;
    log_request(c, &r, failure == NULL ? "200" : "431");
}

static int is_complete(const struct connection *c)
{
    for (size_t i = 0; i + 1 < c->have; i++) {
        if (c->request[i] != '\n')
            continue;
        if (c->request[i + 1] == '\n' ||
            (i + 2 < c->have && c->request[i + 1] == '\r' && c->request[i + 2] == '\n'))
            return 1;
    }
    return 0;
}

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
    if (is_complete(c))
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
    s->pod = pod != NULL ? pod : names.nodename;
    s->node = node != NULL ? node : "";
    call6(SYS_RT_SIGPROCMASK, SIG_BLOCK, (long)&blocked, 0, sizeof blocked, 0, 0);
    s->signals = (int)call6(SYS_SIGNALFD4, -1, (long)&ends, sizeof ends, SOCK_CLOEXEC, 0, 0);
    s->listener = listen_on(port_from(environment(env, "PORT")));
    if (s->signals < 0 || s->listener < 0)
        finish(1, "hello: cannot listen\n");
    CALL(SYS_WRITE, 1, "hello: listening\n", 17);
    serve(s);
    finish(0, "hello: ended\n");
}
