/* Requests and what they are answered. */
#ifndef HELLO_HTTP_H
#define HELLO_HTTP_H

#include "text.h"

#define MAX_REQUEST 8192
/* A byte of the request takes at most six in JSON. */
#define MAX_ANSWER (MAX_REQUEST * 6 + 2048)

struct identity {
    const char *pod, *node; /* node: "" when it is not known */
};

/* True once all headers are there. */
int http_is_complete(struct piece bytes);
/* Writes the answer to the request, or the failure, into MAX_ANSWER bytes, and a line to the log.
 * Returns its size. */
size_t http_answer(const struct identity *self, const union address *peer, struct piece bytes,
                   const char *failure, char *out);

#endif
