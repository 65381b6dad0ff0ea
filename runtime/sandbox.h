/* Namespaces that outlive processes: made, pinned by bind mounts below <run dir>/sandboxes/<id>/,
 * removed. */
#ifndef MINI_SANDBOX_H
#define MINI_SANDBOX_H

#include "error.h"

#include <json-c/json.h>

struct job;

/* The request: {id, hostname, namespaces, uidMappings?, gidMappings?, interface?, sysctls?} → {id,
 * namespaces: {net: path, …}}. Leaves the caller inside. */
int sandbox_create(struct error *e, const struct job *job, json_object **result);
/* Succeeds when some or all of it is gone. */
int sandbox_delete(struct error *e, const char *run_dir, const char *id);
int sandbox_list(struct error *e, const char *run_dir, json_object **list);
/* Enters its network namespace; without one of its own this is the host's already. */
int sandbox_enter_network(struct error *e, const char *run_dir, const char *id);

#endif
