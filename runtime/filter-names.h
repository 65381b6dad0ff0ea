/* The specification's words about seccomp and what they stand for; private to filter-*.c. */
#ifndef MINI_FILTER_NAMES_H
#define MINI_FILTER_NAMES_H

#include "error.h"

#include <json-c/json.h>
#include <seccomp.h>
#include <stdint.h>

#define FILTER_ARCHITECTURES_MAX 24

struct filter_name {
    const char *name;
    uint32_t value;
};

/* The entry of this name in a table that ends with NULL, or NULL. */
const struct filter_name *filter_find(const struct filter_name *table, const char *name);
extern const struct filter_name filter_architectures[];

/* The action of a rule (or "defaultAction"), with its errno. */
int filter_action(struct error *e, const char *name, int64_t code, uint32_t *action);
/* Of a checked profile: */
enum scmp_compare filter_compare(const char *operator);
uint32_t filter_flag(const char *name);

#endif
