/* What the writers of limits share: cgroup-limits.c for what both versions have alike, cgroup-v1.c
 * and cgroup-v2.c for the rest, cgroup-devices.c for device rules. */
#ifndef MINI_CGROUP_LIMITS_H
#define MINI_CGROUP_LIMITS_H

#include "cgroup.h"
#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

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
int limit_put_number(struct error *e, const struct limits *l, const char *controller,
                     const char *file, int64_t value);
/* Whether the controller has such a file. */
bool limit_has(const struct limits *l, const char *controller, const char *file);
/* Fails, by name, where the machine has no such controller. */
int limit_need(struct error *e, const struct limits *l, const char *controller, const char *what);

/* A value of the config into a file of the same meaning, if it is given. */
struct limit_row {
    const char *path;
    const char *controller;
    const char *file;
    bool is_zero_meant; /* else 0 is how engines say that it is not given */
};
int limit_put_rows(struct error *e, const struct limits *l, const struct limit_row *rows,
                   size_t count);

/* Lines "<major>:<minor> <prefix><value>" for each device of a list at path. */
struct limit_devices {
    const char *path, *key; /* list, and the value's name in its entries */
    const char *controller, *file, *prefix;
};
int limit_put_devices(struct error *e, const struct limits *l, const struct limit_devices *rows,
                      size_t count);

int limits_v1(struct error *e, const struct limits *l);
int limits_v2(struct error *e, const struct limits *l);

/* resources.devices, if there are any; then what every container may use. */
int devices_v1(struct error *e, const struct limits *l);
/* The same as a program that the kernel asks; replaces the one of an earlier call. */
int devices_v2(struct error *e, const struct limits *l);

#endif
