/*
 * What the kernel tells of by itself: that memory gets short, and that somebody took our nftables
 * table. Both ends of the connection speak in lines: "memory", "rules" to the client; from it the
 * use of memory in bytes from which on it wants to be told.
 */
#ifndef MINI_HOST_WATCH_H
#define MINI_HOST_WATCH_H

#include "error.h"

#include <stdint.h>

/* What one line to us may hold. */
#define HOST_WATCH_LINE_MAX 32

struct host_watch {
    const char *table;
    int usage;    /* v1: memory.usage_in_bytes; -1 = none */
    int level;    /* v1: eventfd, readable when use crosses the level */
    int stall;    /* processes wait for memory (PSI) */
    int events;   /* v2: memory.events of the cgroup that this machine is */
    int rulesets; /* netlink: changes of nftables */
    char line[HOST_WATCH_LINE_MAX];
    unsigned int line_size;
};

/* Opens what this kernel has; fails only when there is nothing to watch at all. */
int host_watch_open(struct error *e, struct host_watch *w, const char *table);
/* v1: tells when the use of memory crosses this many bytes; 0 = not. */
void host_watch_memory(struct host_watch *w, int64_t bytes);
/* Until the client has gone. */
void host_watch_tell(struct host_watch *w, int connection);

#endif
