/* OCI linux.resources in the files of cgroup v1. */
#include "cgroup-limits.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The kernel keeps limit <= memory+swap at every moment, so the order depends on the direction. */
static int put_memory(struct error *e, const struct limits *l)
{
    int64_t limit = json_number(l->resources, "memory.limit", 0);
    int64_t swap = json_number(l->resources, "memory.swap", 0);
    const char *limit_file = "memory.limit_in_bytes", *swap_file = "memory.memsw.limit_in_bytes";
    if (limit != 0 && limit_put_number(e, l, "memory", limit_file, limit) < 0) {
        if (e->code != EINVAL || swap == 0 || limit_put_number(e, l, "memory", swap_file, swap) < 0)
            return -1;
        return limit_put_number(e, l, "memory", limit_file, limit);
    }
    return swap == 0 ? 0 : limit_put_number(e, l, "memory", swap_file, swap);
}

static int memory_v1(struct error *e, const struct limits *l)
{
    json_object *keeps = json_at(l->resources, "memory.disableOOMKiller");
    if (put_memory(e, l) < 0)
        return -1;
    /* Every kernel that mini runs on has hierarchies alone. */
    if (!json_flag(l->resources, "memory.useHierarchy", true))
        limit_warn(l, "memory", "memory.useHierarchy is always true");
    if (keeps == NULL)
        return 0;
    return limit_put(e, l, "memory", "memory.oom_control",
                     json_object_get_boolean(keeps) ? "1" : "0");
}

/* Period and quota have a least ratio: the other order when the first step would go below it. */
static int put_quota(struct error *e, const struct limits *l)
{
    static const struct limit_row rows[] = {
        {"cpu.period", "cpu", "cpu.cfs_period_us", false},
        {"cpu.quota", "cpu", "cpu.cfs_quota_us", false},
        {"cpu.period", "cpu", "cpu.cfs_period_us", false},
    };
    struct error first;
    if (limit_put_rows(&first, l, rows, 2) == 0)
        return 0;
    return limit_put_rows(e, l, rows + 1, 2);
}

static int cpu_v1(struct error *e, const struct limits *l)
{
    static const struct limit_row rows[] = {
        {"cpu.burst", "cpu", "cpu.cfs_burst_us", true},
        {"cpu.shares", "cpu", "cpu.shares", false},
        {"cpu.idle", "cpu", "cpu.idle", true},
        {"cpu.cpus", "cpuset", "cpuset.cpus", false},
        {"cpu.mems", "cpuset", "cpuset.mems", false},
    };
    static const struct limit_row realtime[] = {
        {"cpu.realtimePeriod", "cpu", "cpu.rt_period_us", false},
        {"cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", false},
    };
    /* Never above the quota: out of the way while that changes. */
    if (json_at(l->resources, "cpu.burst") != NULL &&
        limit_put(e, l, "cpu", "cpu.cfs_burst_us", "0") < 0)
        return -1;
    if (put_quota(e, l) < 0 || limit_put_rows(e, l, rows, sizeof rows / sizeof *rows) < 0)
        return -1;
    if (limit_put_rows(e, l, realtime, sizeof realtime / sizeof *realtime) < 0)
        return e->code == EINVAL ? err_wrap(e, "the parent cgroup has no realtime budget to give")
                                 : -1;
    return 0;
}

/* Only BFQ has weights. */
static int io_v1(struct error *e, const struct limits *l)
{
    static const struct limit_devices devices[] = {
        {"blockIO.throttleReadBpsDevice", "rate", "blkio", "blkio.throttle.read_bps_device", ""},
        {"blockIO.throttleWriteBpsDevice", "rate", "blkio", "blkio.throttle.write_bps_device", ""},
        {"blockIO.throttleReadIOPSDevice", "rate", "blkio", "blkio.throttle.read_iops_device", ""},
        {"blockIO.throttleWriteIOPSDevice", "rate", "blkio", "blkio.throttle.write_iops_device",
         ""},
        {"blockIO.weightDevice", "weight", "blkio", "blkio.bfq.weight_device", ""},
    };
    static const struct limit_row rows[] = {
        {"blockIO.weight", "blkio", "blkio.bfq.weight", false},
    };
    if (json_number(l->resources, "blockIO.leafWeight", 0) != 0)
        limit_warn(l, "blkio", "blockIO.leafWeight is obsolete and ignored");
    if (limit_put_rows(e, l, rows, sizeof rows / sizeof *rows) < 0)
        return -1;
    return limit_put_devices(e, l, devices, sizeof devices / sizeof *devices);
}

static int network_v1(struct error *e, const struct limits *l)
{
    int64_t class = json_number(l->resources, "network.classID", 0);
    json_object *priorities = json_at(l->resources, "network.priorities");
    size_t count = json_count(priorities, "");
    if (class != 0 && (limit_need(e, l, "net_cls", "network.classID") < 0 ||
                       limit_put_number(e, l, "net_cls", "net_cls.classid", class) < 0))
        return -1;
    if (count > 0 && limit_need(e, l, "net_prio", "network.priorities") < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        json_object *entry = json_entry(priorities, i);
        cleanup_free char *line = text_format("%s %lld", json_text(entry, "name", ""),
                                              (long long)json_number(entry, "priority", 0));
        if (limit_put(e, l, "net_prio", "net_prio.ifpriomap", line) < 0)
            return err_wrap(e, "linux.resources.network.priorities[%zu]", i);
    }
    return 0;
}

int limits_v1(struct error *e, const struct limits *l)
{
    static const struct limit_row rows[] = {
        {"memory.reservation", "memory", "memory.soft_limit_in_bytes", false},
        {"memory.swappiness", "memory", "memory.swappiness", true},
        {"memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", false},
    };
    json_object *unified = json_at(l->resources, "unified");
    if (unified != NULL && json_object_object_length(unified) > 0)
        return err_set(e, 0, "linux.resources.unified needs cgroup v2, which this host has not");
    if (memory_v1(e, l) < 0 || limit_put_rows(e, l, rows, sizeof rows / sizeof *rows) < 0 ||
        cpu_v1(e, l) < 0 || io_v1(e, l) < 0 || network_v1(e, l) < 0)
        return -1;
    return devices_v1(e, l);
}
