/*
 * Process 1 of a process namespace that the containers of a sandbox share: their orphans become its
 * children, and when it ends, all of them end. It sees nothing of the host.
 */
#ifndef MINI_REAPER_H
#define MINI_REAPER_H

#include "error.h"

#include <sys/types.h>

/* Starts one in a new process namespace, which belongs to userns (-1 = the host's). It is on its
 * own when this returns its pid. */
pid_t reaper_start(struct error *e, int userns);
/* `reaper`: what reaper_start executes. Tells its parent through READY_FD. */
int reaper_run(struct error *e);

#endif
