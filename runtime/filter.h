/*
 * The seccomp filter of a container. It is compiled once for each profile, in a process of its own,
 * so that no shim carries the compiler's memory; compiled filters are kept in <root>/.seccomp, and
 * the container's own in its state directory, for its first process and for execs.
 */
#ifndef MINI_FILTER_H
#define MINI_FILTER_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>
#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* Names of the specification, NULL-terminated, for `features`. */
extern const char *const filter_actions[], *const filter_operators[], *const filter_flags[];
const char *filter_architecture(size_t index);

struct filter {
    struct sock_filter *code; /* NULL = none */
    uint32_t count;
    uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};

/* Refuses what the profile may not say, by name. */
int filter_check(struct error *e, json_object *profile);
/* Puts linux.seccomp, compiled, into the state directory; nothing when there is none. */
int filter_prepare(struct error *e, const struct container *c);
/* Reads it back, if this config (or state) says that there is one. */
int filter_read(struct error *e, const struct container *c, json_object *config,
                struct filter *filter);
/* From now on for this process and its children. */
int filter_load(struct error *e, const struct filter *filter);

/* filter-compile.c: the profile as a program of the kernel, in new memory. */
int filter_compile(struct error *e, json_object *profile, struct filter *filter);

#endif
