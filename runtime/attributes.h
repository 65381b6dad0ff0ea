/* What a container's process is given besides user and capabilities: scheduling, personality,
 * security labels, the time it sees. */
#ifndef MINI_ATTRIBUTES_H
#define MINI_ATTRIBUTES_H

#include "error.h"

#include <json-c/json.h>

/* Refuses values that no kernel knows, and what this one lacks, by their names in config.json. */
int attributes_check(struct error *e, json_object *config);
/* In the process itself, a member of its cgroup, while /proc is still the host's. */
int attributes_apply(struct error *e, json_object *config, json_object *process);
/* process.execCPUAffinity: at the beginning of an exec, and once it is in its cgroup. */
int attributes_affinity(struct error *e, json_object *process, const char *moment);
/* A new time namespace with linux.timeOffsets; this process moves into it. */
int attributes_time(struct error *e, json_object *config);

#endif
