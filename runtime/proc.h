/*
 * Writes to the host's own procfs. What lies at /proc in a container may be another file system
 * that swallows or redirects what is written, so nothing is ever written to or read from there.
 */
#ifndef MINI_PROC_H
#define MINI_PROC_H

#include "error.h"

/* Holds the host's /proc; for a process that is about to enter a container's mount namespace or to
 * make one. */
int proc_hold(struct error *e);

/* Writes text to path below the held /proc ("self/oom_score_adj", "sys/net/ipv4/ip_forward").
 * Must come before the fds are closed: no fd of the host may stay when the working directory is
 * entered. */
int proc_write(struct error *e, const char *path, const char *text);

/* True when fd lies in a procfs. */
int proc_has(int fd);

#endif
