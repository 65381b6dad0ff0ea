/* Texts that are put together in a buffer; what does not fit is left out. */
#ifndef HELLO_TEXT_H
#define HELLO_TEXT_H

#include "kernel.h"

struct text {
    char *at;
    size_t size, room;
};

/* A piece of a text, not terminated. */
struct piece {
    const char *at;
    size_t size;
};

size_t length(const char *text);
struct piece whole(const char *text);
/* Both take what they look for in lower case, and find it in any. */
int begins(struct piece p, const char *prefix);
int contains(struct piece p, const char *what);

void put_byte(struct text *t, char c);
void put(struct text *t, const char *text);
void put_piece(struct text *t, struct piece p);
void put_number(struct text *t, uint64_t number, unsigned base);
/* With quotes, and as JSON wants it. */
void put_json(struct text *t, struct piece p);
/* "address:port" */
void put_peer(struct text *t, const union address *peer);

#endif
