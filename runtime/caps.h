/* Linux capabilities by their OCI names, without libcap. */
#ifndef MINI_CAPS_H
#define MINI_CAPS_H

#include "error.h"

#include <json-c/json.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

#define CAP_SYS_ADMIN_BIT ((uint64_t)1 << CAP_SYS_ADMIN)

/*
 * Applied around the change of user. caps_bound drops what the bounding set must lose and keeps the
 * permitted ones across setuid; caps_apply then sets the five sets. Capabilities that this process
 * cannot give are left out.
 */
int caps_bound(struct error *e, json_object *capabilities);
int caps_apply(struct error *e, json_object *capabilities, uint64_t kept);
/* Makes one effective that caps_apply kept besides the permitted ones. */
int caps_raise(struct error *e, uint64_t kept);

/* True when this process can give it. */
bool caps_has(const char *name);
/* Takes out of all five sets what this process cannot give. */
void caps_restrict(json_object *capabilities);

/* All names known here, for `features`; NULL ends the list. */
const char *const *caps_names(void);

#endif
