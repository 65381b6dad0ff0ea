/*
 * config.json's hooks. prestart, createRuntime, poststart and poststop run in the runtime's
 * namespaces; createContainer in the container's before its root is entered; startContainer inside
 * it. Each is given the container's state on standard input.
 */
#ifndef MINI_HOOKS_H
#define MINI_HOOKS_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

/* All six kinds, NULL-terminated, for `features`. */
extern const char *const hook_kinds[];

int hooks_check(struct error *e, json_object *config);
/* True when config (or a state) has hooks of this kind. */
bool hooks_has(json_object *config, const char *kind);

struct hook_call {
    const struct container *container;
    json_object *config; /* or the state: what has `hooks` and `annotations` */
    const char *kind, *status;
    pid_t pid;       /* of the container's process, as the hook sees it; 0 = none */
    const char *cwd; /* NULL = the bundle */
};
/* In order; the first that fails ends it. */
int hooks_run(struct error *e, const struct hook_call *call);
/* In order; a failure becomes a warning of the container, and the next one runs. */
void hooks_run_all(const struct hook_call *call);

#endif
