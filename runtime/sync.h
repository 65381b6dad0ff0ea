/* Messages between a new process and the one that made it. Each is one packet; see container.h for
 * their order. */
#ifndef MINI_SYNC_H
#define MINI_SYNC_H

#include "error.h"

#include <stddef.h>

int sync_pair(struct error *e, int pair[2]);
int sync_send(struct error *e, int fd, char kind);
void sync_send_error(int fd, const struct error *e);
/* Waits for this kind. An error sent instead becomes *e. */
int sync_expect(struct error *e, int fd, char kind);
/* Waits for size bytes. */
int sync_expect_data(struct error *e, int fd, void *data, size_t size);
/* Waits for the end of file that a successful exec leaves. */
int sync_expect_end(struct error *e, int fd);
/* 0 at the end of file, 1 when a terminal's master came, -1 with the error that was sent. */
int sync_next(struct error *e, int fd, int *master);
/* SYNC_READY, or the terminal's master before it. */
int sync_expect_ready(struct error *e, int fd, int *master);

#endif
