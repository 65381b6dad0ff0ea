/*
 * An almost empty mount namespace, of which those of containers are copies. A copy of the host's
 * takes the longer the more is mounted there, and each pod mounts something: in it are only the
 * host's /proc and cgroups, which setting a container up needs. What else of the host is to be seen
 * in the container is opened before the host's namespace is left.
 */
#ifndef MINI_ROOM_H
#define MINI_ROOM_H

#include "container.h"
#include "error.h"

#include <stdbool.h>

/* Makes it. Returns the fd that is all that keeps it. */
int room_make(struct error *e);

/* Whether a container of this config can be set up there: without hooks, which see the host's
 * files, without propagation to or from the host, and with no file systems but the kernel's own. */
bool room_fits(const struct container *c);

/* In a container's first process, in the host's mount namespace: opens what it needs of the host
 * and goes into a copy of the room. Returns an fd of the root, which is mounted there. */
int room_enter(struct error *e, struct container *c);

#endif
