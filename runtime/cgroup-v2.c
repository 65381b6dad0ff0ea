/* OCI linux.resources in the files of cgroup v2. */
#include "cgroup-limits.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_MAX 10000
#define DEFAULT_PERIOD_US 100000

/*
 * Shares 2..262144 onto weights 1..10000 such that 1024, the weight of a processor, is 100, the
 * default. Source: the conversion that runc 1.3.2 and crun 1.23 have agreed on.
 */
static int64_t weight_of(int64_t shares)
{
    if (shares <= SHARES_MIN)
        return 1;
    if (shares >= SHARES_MAX)
        return WEIGHT_MAX;
    double l = log2((double)shares);
    return (int64_t)ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34));
}

static int put_quota(struct error *e, const struct limits *l)
{
    int64_t quota = json_number(l->resources, "cpu.quota", 0);
    int64_t period = json_number(l->resources, "cpu.period", 0);
    char text[64];
    if (quota == 0 && period == 0)
        return 0;
    if (quota <= 0)
        snprintf(text, sizeof text, "max %lld",
                 (long long)(period > 0 ? period : DEFAULT_PERIOD_US));
    else if (period == 0) /* The present one stays. */
        snprintf(text, sizeof text, "%lld", (long long)quota);
    else
        snprintf(text, sizeof text, "%lld %lld", (long long)quota, (long long)period);
    return limit_put(e, l, "cpu", "cpu.max", text);
}

static int cpu_v2(struct error *e, const struct limits *l)
{
    int64_t shares = json_number(l->resources, "cpu.shares", 0);
    json_object *burst = json_at(l->resources, "cpu.burst");
    if (shares > 0 && limit_put_number(e, l, "cpu", "cpu.weight", weight_of(shares)) < 0)
        return -1;
    if (json_number(l->resources, "cpu.realtimeRuntime", 0) != 0 ||
        json_number(l->resources, "cpu.realtimePeriod", 0) != 0)
        limit_warn(l, "cpu", "realtime budgets need cgroup v1, not applied");
    /* Never above the quota: out of the way while that changes. */
    if (burst != NULL && limit_put(e, l, "cpu", "cpu.max.burst", "0") < 0)
        return -1;
    return put_quota(e, l);
}

/* v1 counts memory+swap, v2 swap alone. */
static int put_swap(struct error *e, const struct limits *l)
{
    int64_t limit = json_number(l->resources, "memory.limit", 0);
    int64_t swap = json_number(l->resources, "memory.swap", 0);
    if (swap == 0)
        return 0;
    if (swap < 0)
        return limit_put(e, l, "memory", "memory.swap.max", "max");
    if (limit == 0) {
        cleanup_free char *dir = cgroup_dir(l->cgroup, "memory"), *text = NULL;
        cleanup_free char *file = text_format("%s/memory.max", dir);
        if (file_read(e, file, &text, 64) < 0)
            return -1;
        limit = strtoll(text, NULL, 10);
    }
    if (limit <= 0)
        return err_set(e, 0, "linux.resources.memory.swap counts memory and needs memory.limit");
    if (swap < limit)
        return err_set(e, 0, "linux.resources.memory.swap %lld is below memory.limit %lld",
                       (long long)swap, (long long)limit);
    return limit_put_number(e, l, "memory", "memory.swap.max", swap - limit);
}

static int memory_v2(struct error *e, const struct limits *l)
{
    int64_t limit = json_number(l->resources, "memory.limit", 0);
    if (limit != 0 && (limit < 0 ? limit_put(e, l, "memory", "memory.max", "max")
                                 : limit_put_number(e, l, "memory", "memory.max", limit)) < 0)
        return -1;
    if (json_at(l->resources, "memory.swappiness") != NULL)
        limit_warn(l, "memory", "memory.swappiness needs cgroup v1, not applied");
    if (json_flag(l->resources, "memory.disableOOMKiller", false))
        limit_warn(l, "memory", "memory.disableOOMKiller needs cgroup v1, not applied");
    if (json_number(l->resources, "memory.kernelTCP", 0) != 0)
        limit_warn(l, "memory", "memory.kernelTCP needs cgroup v1, not applied");
    return put_swap(e, l);
}

/* BFQ's file has v1's weights, io.weight 1..10000. */
static int io_v2(struct error *e, const struct limits *l)
{
    static const struct limit_devices throttles[] = {
        {"blockIO.throttleReadBpsDevice", "rate", "io", "io.max", "rbps="},
        {"blockIO.throttleWriteBpsDevice", "rate", "io", "io.max", "wbps="},
        {"blockIO.throttleReadIOPSDevice", "rate", "io", "io.max", "riops="},
        {"blockIO.throttleWriteIOPSDevice", "rate", "io", "io.max", "wiops="},
        {"blockIO.weightDevice", "weight", "io", "io.bfq.weight", ""},
    };
    int64_t weight = json_number(l->resources, "blockIO.weight", 0);
    int result = 0;
    if (weight != 0 && limit_has(l, "io", "io.bfq.weight"))
        result = limit_put_number(e, l, "io", "io.bfq.weight", weight);
    else if (weight != 0)
        result = limit_put_number(e, l, "io", "io.weight", 1 + (weight - 10) * 9999 / 990);
    if (json_number(l->resources, "blockIO.leafWeight", 0) != 0)
        limit_warn(l, "io", "blockIO.leafWeight is obsolete and ignored");
    return result < 0 ? -1
                      : limit_put_devices(e, l, throttles, sizeof throttles / sizeof *throttles);
}

/* One line of a value after the other: some files take one device at a time. */
static int put_lines(struct error *e, const struct limits *l, const char *file, const char *value)
{
    cleanup_free char *copy = text_format("%s", value);
    char *rest = copy, *line;
    while ((line = strsep(&rest, "\n")) != NULL)
        if ((*line != '\0' || rest == NULL) && limit_put(e, l, "unified", file, line) < 0)
            return err_wrap(e, "linux.resources.unified");
    return 0;
}

static int unified(struct error *e, const struct limits *l)
{
    json_object *files = json_at(l->resources, "unified");
    cleanup_free char *dir = cgroup_dir(l->cgroup, NULL), *present = NULL;
    cleanup_free char *list = text_format("%s/cgroup.controllers", dir);
    if (files == NULL)
        return 0;
    if (file_read(e, list, &present, 4096) < 0)
        return -1;
    json_object_object_foreach(files, file, value)
    {
        size_t size = strcspn(file, ".");
        cleanup_free char *controller = text_slice(file, size);
        if (strchr(file, '/') != NULL || file[size] != '.')
            return err_set(e, 0, "unified key \"%s\" must be a file name", file);
        if (strcmp(controller, "cgroup") != 0 && strstr(present, controller) == NULL)
            return err_set(e, 0,
                           "linux.resources.unified: \"%s\" needs the cgroup controller %s, which "
                           "is not available",
                           file, controller);
        if (put_lines(e, l, file, json_object_get_string(value)) < 0)
            return -1;
    }
    return 0;
}

int limits_v2(struct error *e, const struct limits *l)
{
    static const struct limit_row rows[] = {
        {"memory.reservation", "memory", "memory.low", false},
        {"cpu.burst", "cpu", "cpu.max.burst", true},
        {"cpu.idle", "cpu", "cpu.idle", true},
        {"cpu.cpus", "cpuset", "cpuset.cpus", false},
        {"cpu.mems", "cpuset", "cpuset.mems", false},
    };
    if (json_number(l->resources, "network.classID", 0) != 0 ||
        json_count(l->resources, "network.priorities") > 0)
        return err_set(e, 0,
                       "linux.resources.network needs the cgroup controllers net_cls and "
                       "net_prio, which cgroup v2 has not");
    if (memory_v2(e, l) < 0 || cpu_v2(e, l) < 0 ||
        limit_put_rows(e, l, rows, sizeof rows / sizeof *rows) < 0 || io_v2(e, l) < 0 ||
        devices_v2(e, l) < 0)
        return -1;
    return unified(e, l);
}
