/* OCI linux.resources written into cgroup files. */
#include "cgroup-limits.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SHARES_MIN 2
#define SHARES_MAX 262144
#define WEIGHT_MAX 10000

void limit_warn(const struct limits *l, const char *controller, const char *what)
{
    cleanup_free char *text = text_format("cgroup controller %s: %s", controller, what);
    json_object_array_add(l->warnings, json_object_new_string(text));
}

int limit_put(struct error *e, const struct limits *l, const char *controller, const char *file,
              const char *value)
{
    cleanup_free char *dir = cgroup_dir(l->cgroup, controller);
    if (dir == NULL) {
        limit_warn(l, controller, "not available, limit not applied");
        return 0;
    }
    cleanup_free char *path = text_format("%s/%s", dir, file);
    if (file_write(e, path, value) == 0)
        return 0;
    if (e->code != ENOENT)
        return -1;
    limit_warn(l, controller, file);
    return 0;
}

static int put_number(struct error *e, const struct limits *l, const char *controller,
                      const char *file, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return limit_put(e, l, controller, file, text);
}

/* A value of the config into a file of the same meaning, if it is given. */
struct row {
    const char *path;
    const char *controller;
    const char *file;
    bool is_zero_meant; /* else 0 is how engines say that it is not given */
};

static bool is_given(json_object *value, const struct row *row)
{
    if (value == NULL || *json_object_get_string(value) == '\0')
        return false;
    return row->is_zero_meant || json_object_is_type(value, json_type_string) ||
           json_object_get_int64(value) != 0;
}

static int put_rows(struct error *e, const struct limits *l, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_object *value = json_at(l->resources, rows[i].path);
        if (!is_given(value, &rows[i]))
            continue;
        if (limit_put(e, l, rows[i].controller, rows[i].file, json_object_get_string(value)) < 0)
            return -1;
    }
    return 0;
}

/* v1 keeps limit <= memory+swap at every moment, so the order depends on the direction. */
static int memory_v1(struct error *e, const struct limits *l)
{
    int64_t limit = json_number(l->resources, "memory.limit", 0);
    int64_t swap = json_number(l->resources, "memory.swap", 0);
    const char *limit_file = "memory.limit_in_bytes", *swap_file = "memory.memsw.limit_in_bytes";
    if (limit != 0 && put_number(e, l, "memory", limit_file, limit) < 0) {
        if (e->code != EINVAL || swap == 0 || put_number(e, l, "memory", swap_file, swap) < 0 ||
            put_number(e, l, "memory", limit_file, limit) < 0)
            return -1;
    } else if (swap != 0 && put_number(e, l, "memory", swap_file, swap) < 0) {
        return -1;
    }
    if (json_flag(l->resources, "memory.disableOOMKiller", false))
        return limit_put(e, l, "memory", "memory.oom_control", "1");
    return 0;
}

static int apply_v1(struct error *e, const struct limits *l)
{
    static const struct row rows[] = {
        {"memory.reservation", "memory", "memory.soft_limit_in_bytes", false},
        {"memory.swappiness", "memory", "memory.swappiness", true},
        {"cpu.shares", "cpu", "cpu.shares", false},
        {"cpu.period", "cpu", "cpu.cfs_period_us", false},
        {"cpu.quota", "cpu", "cpu.cfs_quota_us", false},
        {"cpu.burst", "cpu", "cpu.cfs_burst_us", true},
        {"cpu.idle", "cpu", "cpu.idle", true},
        {"cpu.cpus", "cpuset", "cpuset.cpus", false},
        {"cpu.mems", "cpuset", "cpuset.mems", false},
        {"blockIO.weight", "blkio", "blkio.bfq.weight", false},
    };
    if (memory_v1(e, l) < 0 || put_rows(e, l, rows, sizeof rows / sizeof *rows) < 0)
        return -1;
    return devices_v1(e, l);
}

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

static int cpu_v2(struct error *e, const struct limits *l)
{
    int64_t shares = json_number(l->resources, "cpu.shares", 0);
    int64_t quota = json_number(l->resources, "cpu.quota", 0);
    int64_t period = json_number(l->resources, "cpu.period", 100000);
    if (shares > 0 && put_number(e, l, "cpu", "cpu.weight", weight_of(shares)) < 0)
        return -1;
    if (quota == 0 && json_at(l->resources, "cpu.period") == NULL)
        return 0;
    char text[64];
    if (quota > 0)
        snprintf(text, sizeof text, "%lld %lld", (long long)quota, (long long)period);
    else
        snprintf(text, sizeof text, "max %lld", (long long)period);
    return limit_put(e, l, "cpu", "cpu.max", text);
}

static int memory_v2(struct error *e, const struct limits *l)
{
    int64_t limit = json_number(l->resources, "memory.limit", 0);
    int64_t swap = json_number(l->resources, "memory.swap", 0);
    if (limit != 0 && (limit < 0 ? limit_put(e, l, "memory", "memory.max", "max")
                                 : put_number(e, l, "memory", "memory.max", limit)) < 0)
        return -1;
    /* v1 counts memory+swap, v2 swap alone. */
    if (swap != 0 && (swap < 0 || limit <= 0 || swap < limit
                          ? limit_put(e, l, "memory", "memory.swap.max", swap < 0 ? "max" : "0")
                          : put_number(e, l, "memory", "memory.swap.max", swap - limit)) < 0)
        return -1;
    return 0;
}

static int apply_v2(struct error *e, const struct limits *l)
{
    static const struct row rows[] = {
        {"memory.reservation", "memory", "memory.low", false},
        {"cpu.burst", "cpu", "cpu.max.burst", true},
        {"cpu.idle", "cpu", "cpu.idle", true},
        {"cpu.cpus", "cpuset", "cpuset.cpus", false},
        {"cpu.mems", "cpuset", "cpuset.mems", false},
        {"blockIO.weight", "io", "io.bfq.weight", false},
    };
    if (memory_v2(e, l) < 0 || cpu_v2(e, l) < 0 ||
        put_rows(e, l, rows, sizeof rows / sizeof *rows) < 0)
        return -1;
    if (devices_v2(e, l) < 0)
        return -1;
    json_object *unified = json_at(l->resources, "unified");
    if (unified == NULL)
        return 0;
    json_object_object_foreach(unified, file, value)
    {
        if (strchr(file, '/') != NULL)
            return err_set(e, 0, "unified key \"%s\" must be a file name", file);
        if (limit_put(e, l, "unified", file, json_object_get_string(value)) < 0)
            return -1;
    }
    return 0;
}

int cgroup_keep(struct error *e, const char *path, json_object *resources, json_object *warnings)
{
    struct cgroup g;
    cleanup_json json_object *config = json_object_new_object();
    json_object *part = json_object_new_object();
    json_put_text(part, "cgroupsPath", path);
    if (resources != NULL)
        json_object_object_add(part, "resources", json_object_get(resources));
    json_object_object_add(config, "linux", part);
    if (cgroup_plan(e, &g, config, "") < 0)
        return -1;
    int result = cgroup_make(e, &g);
    for (unsigned int i = 0; result == 0 && i < (g.is_v2 ? 1 : g.count); i++) {
        cleanup_free char *dir = cgroup_dir(&g, g.is_v2 ? NULL : g.controllers[i]);
        if (chmod(dir, S_ISVTX | 0755) < 0)
            result = err_set(e, errno, "chmod %s", dir);
    }
    if (result == 0)
        result = cgroup_limit(e, &g, resources, warnings);
    cgroup_free(&g);
    return result;
}

int cgroup_limit(struct error *e, const struct cgroup *g, json_object *resources,
                 json_object *warnings)
{
    struct limits l = {.cgroup = g, .resources = resources, .warnings = warnings};
    int64_t pids = json_number(resources, "pids.limit", 0);
    if (resources == NULL)
        return 0;
    if (pids != 0 && (pids < 0 ? limit_put(e, &l, "pids", "pids.max", "max")
                               : put_number(e, &l, "pids", "pids.max", pids)) < 0)
        return -1;
    if (json_count(resources, "hugepageLimits") > 0)
        limit_warn(&l, "hugetlb", "huge page limits not applied");
    if (json_at(resources, "network") != NULL)
        limit_warn(&l, "net_cls", "network class and priority not applied");
    if (!g->is_v2 && json_at(resources, "unified") != NULL)
        limit_warn(&l, "unified", "needs cgroup v2, not applied");
    return g->is_v2 ? apply_v2(e, &l) : apply_v1(e, &l);
}
