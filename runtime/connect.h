/* A byte pipe between the caller and a TCP port inside a network namespace. */
#ifndef MINI_CONNECT_H
#define MINI_CONNECT_H

#include "error.h"

#include <stddef.h>

/* Connects to 127.0.0.1, then ::1, in the caller's network namespace. Returns the socket. */
int connect_local(struct error *e, int port);
/* Carries bytes both ways until both sides have ended. `rest`: bytes already read from a. */
void connect_relay(int a, int b, const char *rest, size_t rest_size);

#endif
