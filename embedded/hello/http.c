#include "http.h"

struct request {
    struct piece method, path, headers;
};

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

static void write_text(struct text *t, const struct identity *self, const union address *peer,
                       const struct request *r)
{
    struct piece rest = r->headers, name, value;
    put(t, "Hello from mini\n\npod:     ");
    put(t, self->pod);
    if (*self->node != '\0') {
        put(t, "\nnode:    ");
        put(t, self->node);
    }
    put(t, "\npeer:    ");
    put_peer(t, peer);
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

static void write_json(struct text *t, const struct identity *self, const union address *peer,
                       const struct request *r)
{
    struct piece rest = r->headers, name, value;
    put(t, "{\"pod\":");
    put_json(t, whole(self->pod));
    put(t, ",\"node\":");
    put_json(t, whole(self->node));
    put(t, ",\"peer\":\"");
    put_peer(t, peer);
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

static void log_request(const union address *peer, const struct request *r, const char *status)
{
    char line[1024];
    struct text t = {line, 0, sizeof line - 1};
    struct piece path = r->path;
    if (path.size > 512)
        path.size = 512;
    put_peer(&t, peer);
    put_byte(&t, ' ');
    put_piece(&t, r->method.size > 32 ? whole("?") : r->method);
    put_byte(&t, ' ');
    put_piece(&t, path);
    put_byte(&t, ' ');
    put(&t, status);
    line[t.size++] = '\n';
    CALL(SYS_WRITE, 1, line, t.size);
}

size_t http_answer(const struct identity *self, const union address *peer, struct piece bytes,
                   const char *failure, char *out)
{
    static char body[MAX_ANSWER - 512];
    struct text b = {body, 0, sizeof body}, head = {out, 0, MAX_ANSWER};
    struct request r = parse(bytes);
    int is_json = failure == NULL && wants_json(&r);
    if (failure != NULL)
        put(&b, failure);
    else if (begins(r.path, "/healthz"))
        put(&b, "ok\n");
    else if (is_json)
        write_json(&b, self, peer, &r);
    else
        write_text(&b, self, peer, &r);
    put(&head, failure == NULL ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 431 Too Large\r\n");
    put(&head, is_json ? "Content-Type: application/json\r\n"
                       : "Content-Type: text/plain; charset=utf-8\r\n");
    put(&head, "Connection: close\r\nContent-Length: ");
    put_number(&head, b.size, 10);
    put(&head, "\r\n\r\n");
    if (!(r.method.size == 4 && begins(r.method, "head")))
        put_piece(&head, (struct piece){body, b.size});
    log_request(peer, &r, failure == NULL ? "200" : "431");
    return head.size;
}

int http_is_complete(struct piece bytes)
{
    const char *at = bytes.at;
    for (size_t i = 0; i + 1 < bytes.size; i++) {
        if (at[i] != '\n')
            continue;
        if (at[i + 1] == '\n' || (i + 2 < bytes.size && at[i + 1] == '\r' && at[i + 2] == '\n'))
            return 1;
    }
    return 0;
}
