/* OCI linux.namespaces: which are made, which are joined. */
#ifndef MINI_NAMESPACES_H
#define MINI_NAMESPACES_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>

/* The clone flag of an OCI namespace type, or 0. */
int namespace_flag(const char *type);
/* Types known here; NULL after the last. */
const char *namespace_name(size_t index);
/* Clone flags of those that the config wants new, without those that the process makes itself
 * (cgroup, time) or is born in (user). */
unsigned int namespaces_new(json_object *config);
/* Path of the namespace of this type to be joined; NULL = it is made or the host's. */
const char *namespace_path(json_object *config, const char *type);
/* True when it is listed, and not by a path that leads to the one of this process. */
bool namespace_is_own(json_object *config, const char *type);
/* True when the config lists the type without a path. */
int namespace_is_new(json_object *config, const char *type);
/* True when the config lists the type: it is not the host's. */
bool namespace_is_listed(json_object *config, const char *type);
/* Joins all that have a path, besides the pid and user namespaces. */
int namespaces_join(struct error *e, json_object *config);

#endif
