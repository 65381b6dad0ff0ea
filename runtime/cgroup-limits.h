/* What the writers of limits share: cgroup-limits.c for values in files, cgroup-devices.c for
 * device rules. */
#ifndef MINI_CGROUP_LIMITS_H
#define MINI_CGROUP_LIMITS_H

#include "cgroup.h"
#include "error.h"

#include <json-c/json.h>

struct limits {
    const struct cgroup *cgroup;
    json_object *resources;
    json_object *warnings;
};

/* Adds to the warnings that a part of the limits is not applied. */
void limit_warn(const struct limits *l, const char *controller, const char *what);
/* Writes one value; a missing controller or file is a warning, not a failure. */
int limit_put(struct error *e, const struct limits *l, const char *controller, const char *file,
              const char *value);

/* resources.devices, if there are any; then what every container may use. */
int devices_v1(struct error *e, const struct limits *l);
/* The same as a program that the kernel asks; replaces the one of an earlier call. */
int devices_v2(struct error *e, const struct limits *l);

#endif
