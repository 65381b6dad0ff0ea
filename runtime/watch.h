/*
 * Hears of the death of shims that earlier daemons have born: they are not this one's children, so
 * nobody else would.
 */
#ifndef MINI_WATCH_H
#define MINI_WATCH_H

#include <sys/types.h>

/*
 * Settles what was left, then watches in a process of its own until the last of those shims or the
 * daemon has ended. Returns its pid, or -1.
 */
pid_t watch_start(const char *run_dir);

/* Writes down, in a process of its own, how containers of killed shims have ended. */
void settle_start(const char *run_dir);

#endif
