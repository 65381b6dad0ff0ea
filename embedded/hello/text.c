#include "text.h"

size_t length(const char *text)
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

struct piece whole(const char *text)
{
    return (struct piece){text, length(text)};
}

int begins(struct piece p, const char *prefix)
{
    size_t size = length(prefix);
    if (p.size < size)
        return 0;
    for (size_t i = 0; i < size; i++)
        if (lower(p.at[i]) != prefix[i])
            return 0;
    return 1;
}

int contains(struct piece p, const char *what)
{
    for (; p.size > 0; p.at++, p.size--)
        if (begins(p, what))
            return 1;
    return 0;
}

void put_byte(struct text *t, char c)
{
    if (t->size < t->room)
        t->at[t->size++] = c;
}

void put(struct text *t, const char *text)
{
    while (*text != '\0')
        put_byte(t, *text++);
}

void put_piece(struct text *t, struct piece p)
{
    for (size_t i = 0; i < p.size; i++)
        put_byte(t, p.at[i]);
}

void put_number(struct text *t, uint64_t number, unsigned base)
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

void put_json(struct text *t, struct piece p)
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

void put_peer(struct text *t, const union address *peer)
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
