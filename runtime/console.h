/* The caller's terminal joined to a container's, for a process in the foreground. */
#ifndef MINI_CONSOLE_H
#define MINI_CONSOLE_H

#include "error.h"

#include <sys/types.h>

/*
 * Carries bytes, sizes and signals both ways until the process, a child of ours, ends. Returns the
 * shell's exit code. All signals are blocked by then.
 */
int console_relay(struct error *e, int master, pid_t pid);

#endif
