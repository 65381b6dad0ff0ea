/*
 * A container in a user namespace. Inside, nothing of the host's may be opened: what it mounts is
 * opened before, by the host, and its first process is born in two steps, so that it has the
 * host's rights for joining and limiting and none of them for the rest.
 */
#ifndef MINI_CONTAINER_USERS_H
#define MINI_CONTAINER_USERS_H

#include "container.h"
#include "error.h"

struct users {
    int fd; /* the user namespace */
};

/* Sets c->users when the config has a user namespace. */
int users_prepare(struct error *e, struct container *c);
/* Like cgroup_fork for the first process, and runs init_run in it. */
pid_t users_fork(struct error *e, struct container *c, struct init *init, int host_end);
void users_release(struct container *c);
/* In the first process: makes the prepared mount the root, and becomes root inside. Its fd. */
int users_root(struct error *e, struct container *c);

#endif
