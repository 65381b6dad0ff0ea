/* state.json and its companions in a container's state directory, and what they say about its
 * status. */
#ifndef MINI_STATE_H
#define MINI_STATE_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

/* Start time of a process in ticks since boot: with the pid it names a process for ever. 0 = no
 * such process. */
long long process_birth(pid_t pid);
/* It runs no more code of its own, though its end may not have been told yet. */
bool process_is_ending(pid_t pid);
/* A pidfd of this very process, or -1 when it has gone (also as a zombie). */
int process_find(pid_t pid, long long birth);

/* In state.json when the container's processes stay in the session keyring of who made it. */
#define KEEPS_KEYRING "keepsKeyring"

/* What later execs need of config.json's linux part. */
json_object *state_linux(json_object *config);
/* What state.json is to say of the container with this first process, in new memory. */
char *state_text(const struct container *c, pid_t pid);
int state_write(struct error *e, const struct container *c, const char *text);
int state_read(struct error *e, const struct container *c, json_object **state);
int state_mark_started(struct error *e, const struct container *c);
/* "created", "running", "paused" or "stopped". */
const char *state_status(const struct container *c, json_object *state);
/* What `state` and the daemon answer: OCI's fields, startedAt and exit. */
int state_describe(struct error *e, const struct container *c, json_object **answer);
/* A pidfd of the first process, or -1 with *e set when it does not live. */
int state_process(struct error *e, const struct container *c, json_object *state);
void container_cgroup(struct container *c, json_object *state);

#endif
