/* The kernel's table of connections. */
#ifndef MINI_CONNTRACK_H
#define MINI_CONNTRACK_H

#include "error.h"

#include <json-c/json.h>

/*
 * Forgets the UDP flows to these ports: the kernel sends what belongs to a known flow where it sent
 * it before, whatever the rules say since. A kernel without the table has none.
 */
int conntrack_forget(struct error *e, json_object *ports);

#endif
