/* linux.sysctl, host name and domain name: only what the container has a namespace of its own for.
 */
#ifndef MINI_SYSCTLS_H
#define MINI_SYSCTLS_H

#include "error.h"

#include <json-c/json.h>

/* Refuses what would change the host. */
int sysctls_check(struct error *e, json_object *config);
/* In the first process, by the /proc that it holds. */
int sysctls_apply(struct error *e, json_object *config);

#endif
