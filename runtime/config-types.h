/* What kind of value each property of a config.json has; errors name the property. */
#ifndef MINI_CONFIG_TYPES_H
#define MINI_CONFIG_TYPES_H

#include "error.h"

#include <json-c/json.h>

int config_types_check(struct error *e, json_object *config);
/* Of an exec; name: what stands before its properties in an error. */
int process_types_check(struct error *e, const char *name, json_object *process);
/* Of an update. */
int resources_types_check(struct error *e, const char *name, json_object *resources);

#endif
