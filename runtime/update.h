/* The flags of `update`: each a number or text somewhere in linux.resources. */
#ifndef MINI_UPDATE_H
#define MINI_UPDATE_H

#include "error.h"

#include <json-c/json.h>

/* Takes one at argv[*at] into resources. Returns 1, 0 when it is none, or -1. */
int update_option(struct error *e, json_object *const *resources, char **argv, int *at);

#endif
