/* What a container's cgroups have counted, in the form of runc's `events`. */
#ifndef MINI_STATS_H
#define MINI_STATS_H

#include "cgroup.h"

#include <json-c/json.h>

/* {cpu, cpuset, memory, pids, blkio, hugetlb}; what the machine does not count is left out. */
json_object *stats_read(const struct cgroup *g);

#endif
