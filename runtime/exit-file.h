/*
 * How a container ended: exit.json in its state directory, and a notice of the same content in
 * <run dir>/exits. The space for both is taken when it begins, so that no full tmpfs can lose an
 * exit.
 */
#ifndef MINI_EXIT_FILE_H
#define MINI_EXIT_FILE_H

#include "container.h"
#include "error.h"

int exit_reserve(struct error *e, const struct container *c);
/* For a container that never began. */
void exit_unreserve(const struct container *c);
/* The notice comes after exit.json: whoever sees it finds the exit. */
int exit_write(struct error *e, const struct container *c, const char *text);
/*
 * When the shim was killed, nobody holds the container's stdio or learns how it ends: ends it, and
 * writes an exit that says so (isLost). Nothing to do in all other cases.
 */
int exit_settle(struct error *e, struct container *c);

#endif
