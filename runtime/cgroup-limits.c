/* OCI linux.resources written into cgroup files. */
#include "cgroup-limits.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int limit_put_number(struct error *e, const struct limits *l, const char *controller,
                     const char *file, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return limit_put(e, l, controller, file, text);
}

bool limit_has(const struct limits *l, const char *controller, const char *file)
{
    cleanup_free char *dir = cgroup_dir(l->cgroup, controller);
    cleanup_free char *path = dir == NULL ? NULL : text_format("%s/%s", dir, file);
    return path != NULL && access(path, F_OK) == 0;
}

int limit_need(struct error *e, const struct limits *l, const char *controller, const char *what)
{
    cleanup_free char *dir = cgroup_dir(l->cgroup, controller);
    if (dir != NULL)
        return 0;
    return err_set(e, 0, "linux.resources.%s: the cgroup controller %s is not mounted on this host",
                   what, controller);
}

static bool is_given(json_object *value, const struct limit_row *row)
{
    if (value == NULL || *json_object_get_string(value) == '\0')
        return false;
    return row->is_zero_meant || json_object_is_type(value, json_type_string) ||
           json_object_get_int64(value) != 0;
}

int limit_put_rows(struct error *e, const struct limits *l, const struct limit_row *rows,
                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_object *value = json_at(l->resources, rows[i].path);
        if (!is_given(value, &rows[i]))
            continue;
        if (limit_put(e, l, rows[i].controller, rows[i].file, json_object_get_string(value)) < 0)
            return err_wrap(e, "linux.resources.%s", rows[i].path);
    }
    return 0;
}

int limit_put_devices(struct error *e, const struct limits *l, const struct limit_devices *rows,
                      size_t count)
{
    for (size_t row = 0; row < count; row++) {
        json_object *list = json_at(l->resources, rows[row].path);
        size_t devices = json_count(list, "");
        for (size_t i = 0; i < devices; i++) {
            json_object *device = json_entry(list, i);
            int64_t value = json_number(device, rows[row].key, -1);
            if (value < 0)
                continue;
            cleanup_free char *line = text_format(
                "%lld:%lld %s%lld", (long long)json_number(device, "major", 0),
                (long long)json_number(device, "minor", 0), rows[row].prefix, (long long)value);
            if (limit_put(e, l, rows[row].controller, rows[row].file, line) < 0)
                return err_wrap(e, "linux.resources.%s[%zu]", rows[row].path, i);
        }
    }
    return 0;
}

/* hugetlb.<size>.<…>: pages, and the reservations that lead to them where the kernel counts those.
 */
static int put_huge_pages(struct error *e, const struct limits *l)
{
    json_object *list = json_at(l->resources, "hugepageLimits");
    size_t count = json_count(list, "");
    const char *end = l->cgroup->is_v2 ? "max" : "limit_in_bytes";
    for (size_t i = 0; i < count; i++) {
        json_object *entry = json_entry(list, i);
        const char *size = json_text(entry, "pageSize", "");
        int64_t limit = json_number(entry, "limit", 0);
        if (*size == '\0' || strchr(size, '/') != NULL)
            return err_set(e, 0, "linux.resources.hugepageLimits[%zu]: pageSize is missing", i);
        cleanup_free char *pages = text_format("hugetlb.%s.%s", size, end);
        cleanup_free char *reserved = text_format("hugetlb.%s.rsvd.%s", size, end);
        if (limit_put_number(e, l, "hugetlb", pages, limit) < 0 ||
            (limit_has(l, "hugetlb", reserved) &&
             limit_put_number(e, l, "hugetlb", reserved, limit) < 0))
            return err_wrap(e, "linux.resources.hugepageLimits[%zu]", i);
    }
    return 0;
}

static int put_rdma(struct error *e, const struct limits *l)
{
    json_object *devices = json_at(l->resources, "rdma");
    if (devices == NULL || json_object_object_length(devices) == 0)
        return 0;
    if (limit_need(e, l, "rdma", "rdma") < 0)
        return -1;
    json_object_object_foreach(devices, name, entry)
    {
        int64_t handles = json_number(entry, "hcaHandles", -1);
        int64_t objects = json_number(entry, "hcaObjects", -1);
        cleanup_free char *handle =
            handles < 0 ? text_format("max") : text_format("%lld", (long long)handles);
        cleanup_free char *object =
            objects < 0 ? text_format("max") : text_format("%lld", (long long)objects);
        cleanup_free char *line =
            text_format("%s hca_handle=%s hca_object=%s", name, handle, object);
        if (limit_put(e, l, "rdma", "rdma.max", line) < 0)
            return err_wrap(e, "linux.resources.rdma");
    }
    return 0;
}

/* memory.checkBeforeUpdate: a limit below what is used would have something killed. */
static int check_memory(struct error *e, const struct limits *l)
{
    int64_t limit = json_number(l->resources, "memory.limit", 0);
    cleanup_free char *dir = cgroup_dir(l->cgroup, "memory");
    if (limit <= 0 || dir == NULL || !json_flag(l->resources, "memory.checkBeforeUpdate", false))
        return 0;
    cleanup_free char *text = NULL;
    cleanup_free char *file =
        text_format("%s/%s", dir, l->cgroup->is_v2 ? "memory.current" : "memory.usage_in_bytes");
    if (file_read(e, file, &text, 64) < 0)
        return -1;
    int64_t used = strtoll(text, NULL, 10);
    if (used <= limit)
        return 0;
    return err_set(e, 0,
                   "linux.resources.memory.limit %lld is below the %lld bytes in use, and "
                   "checkBeforeUpdate is set",
                   (long long)limit, (long long)used);
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
    if (json_at(resources, "memory.kernel") != NULL)
        limit_warn(&l, "memory", "memory.kernel is obsolete and ignored");
    if (pids != 0 && (pids < 0 ? limit_put(e, &l, "pids", "pids.max", "max")
                               : limit_put_number(e, &l, "pids", "pids.max", pids)) < 0)
        return -1;
    if (check_memory(e, &l) < 0 || put_huge_pages(e, &l) < 0 || put_rdma(e, &l) < 0)
        return -1;
    return g->is_v2 ? limits_v2(e, &l) : limits_v1(e, &l);
}
