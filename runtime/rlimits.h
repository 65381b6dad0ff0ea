/* OCI process.rlimits. */
#ifndef MINI_RLIMITS_H
#define MINI_RLIMITS_H

#include "error.h"

#include <json-c/json.h>

/* A limit above what this process may set is lowered to the highest that it may. */
int rlimits_apply(struct error *e, json_object *process);

#endif
