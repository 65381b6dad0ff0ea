#include "stats.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FILE_SIZE_MAX ((size_t)1 << 20)
#define NS_PER_US 1000
/* Of the times in cpuacct.stat. */
#define NS_PER_TICK 10000000
/* No limit, as v2's "max" is told. */
#define NO_LIMIT INT64_MAX

/* Text of <controller's directory>/<file>, in new memory; NULL when there is none. */
static char *read_text(const struct cgroup *g, const char *controller, const char *file)
{
    struct error ignored;
    char *text = NULL;
    cleanup_free char *dir = cgroup_dir(g, controller);
    cleanup_free char *path = dir == NULL ? NULL : text_format("%s/%s", dir, file);
    return path == NULL || file_read(&ignored, path, &text, FILE_SIZE_MAX) < 0 ? NULL : text;
}

static int64_t number_of(const char *text)
{
    if (strncmp(text, "max", 3) == 0)
        return NO_LIMIT;
    uint64_t number = strtoull(text, NULL, 10);
    return number > INT64_MAX ? NO_LIMIT : (int64_t)number;
}

/* Adds the file's one number under the key, when there is such a file. */
static void put_file(json_object *object, const char *key, const struct cgroup *g,
                     const char *controller, const char *file)
{
    cleanup_free char *text = read_text(g, controller, file);
    if (text != NULL)
        json_put_number(object, key, number_of(text));
}

/* The number after "name " at the beginning of a line, or otherwise. */
static int64_t keyed(const char *text, const char *name, int64_t otherwise)
{
    size_t size = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, size) == 0 && line[size] == ' ')
            return number_of(line + size + 1);
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return otherwise;
}

static json_object *add_object(json_object *parent, const char *key)
{
    json_object *object = json_object_new_object();
    json_object_object_add(parent, key, object);
    return object;
}

static void cpu_v1(json_object *cpu, json_object *usage, const struct cgroup *g)
{
    cleanup_free char *stat = read_text(g, "cpu", "cpu.stat");
    cleanup_free char *times = read_text(g, "cpuacct", "cpuacct.stat");
    cleanup_free char *each = read_text(g, "cpuacct", "cpuacct.usage_percpu");
    json_object *throttling = add_object(cpu, "throttling");
    put_file(usage, "total", g, "cpuacct", "cpuacct.usage");
    json_put_number(usage, "kernel", keyed(times, "system", 0) * NS_PER_TICK);
    json_put_number(usage, "user", keyed(times, "user", 0) * NS_PER_TICK);
    json_object *list = json_object_new_array();
    for (char *at = each; at != NULL && isdigit((unsigned char)*at); at += *at == ' ')
        json_object_array_add(list, json_object_new_int64(strtoll(at, &at, 10)));
    json_object_object_add(usage, "percpu", list);
    json_put_number(throttling, "periods", keyed(stat, "nr_periods", 0));
    json_put_number(throttling, "throttledPeriods", keyed(stat, "nr_throttled", 0));
    json_put_number(throttling, "throttledTime", keyed(stat, "throttled_time", 0));
}

static void cpu_v2(json_object *cpu, json_object *usage, const struct cgroup *g)
{
    cleanup_free char *stat = read_text(g, NULL, "cpu.stat");
    json_object *throttling = add_object(cpu, "throttling");
    json_put_number(usage, "total", keyed(stat, "usage_usec", 0) * NS_PER_US);
    json_put_number(usage, "kernel", keyed(stat, "system_usec", 0) * NS_PER_US);
    json_put_number(usage, "user", keyed(stat, "user_usec", 0) * NS_PER_US);
    json_put_number(throttling, "periods", keyed(stat, "nr_periods", 0));
    json_put_number(throttling, "throttledPeriods", keyed(stat, "nr_throttled", 0));
    json_put_number(throttling, "throttledTime", keyed(stat, "throttled_usec", 0) * NS_PER_US);
}

static void memory_entry_v1(json_object *memory, const char *key, const struct cgroup *g,
                            const char *prefix)
{
    static const struct {
        const char *key, *file;
    } files[] = {{"limit", "limit_in_bytes"},
                 {"usage", "usage_in_bytes"},
                 {"max", "max_usage_in_bytes"},
                 {"failcnt", "failcnt"}};
    json_object *entry = add_object(memory, key);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        cleanup_free char *file = text_format("%s.%s", prefix, files[i].file);
        put_file(entry, files[i].key, g, "memory", file);
    }
}

/* All lines "name number". */
static void put_raw(json_object *memory, char *text)
{
    json_object *raw = add_object(memory, "raw");
    for (char *line; text != NULL && (line = strsep(&text, "\n")) != NULL;) {
        char *space = strchr(line, ' ');
        if (space == NULL)
            continue;
        *space = '\0';
        json_put_number(raw, line, number_of(space + 1));
    }
}

static void memory_v1(json_object *memory, const struct cgroup *g)
{
    cleanup_free char *stat = read_text(g, "memory", "memory.stat");
    json_put_number(memory, "cache", keyed(stat, "cache", 0));
    memory_entry_v1(memory, "usage", g, "memory");
    memory_entry_v1(memory, "swap", g, "memory.memsw");
    memory_entry_v1(memory, "kernel", g, "memory.kmem");
    memory_entry_v1(memory, "kernelTCP", g, "memory.kmem.tcp");
    put_raw(memory, stat);
}

static void memory_v2(json_object *memory, const struct cgroup *g)
{
    cleanup_free char *stat = read_text(g, NULL, "memory.stat");
    cleanup_free char *events = read_text(g, NULL, "memory.events");
    json_put_number(memory, "cache", keyed(stat, "file", 0));
    json_object *usage = add_object(memory, "usage"), *swap = add_object(memory, "swap");
    put_file(usage, "limit", g, NULL, "memory.max");
    put_file(usage, "usage", g, NULL, "memory.current");
    put_file(usage, "max", g, NULL, "memory.peak");
    json_put_number(usage, "failcnt", keyed(events, "max", 0));
    put_file(swap, "limit", g, NULL, "memory.swap.max");
    put_file(swap, "usage", g, NULL, "memory.swap.current");
    put_raw(memory, stat);
}

static void add_io(json_object *list, unsigned int major, unsigned int minor, const char *op,
                   int64_t value)
{
    json_object *entry = json_object_new_object();
    json_put_number(entry, "major", major);
    json_put_number(entry, "minor", minor);
    json_put_text(entry, "op", op);
    json_put_number(entry, "value", value);
    json_object_array_add(list, entry);
}

/* Lines "8:0 Read 4096". */
static void blkio_v1(json_object *blkio, const char *key, const struct cgroup *g, const char *file)
{
    cleanup_free char *text = read_text(g, "blkio", file);
    json_object *list = json_object_new_array();
    char *rest = text, *line;
    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        unsigned int major, minor;
        long long value;
        char op[16];
        if (sscanf(line, "%u:%u %15s %lld", &major, &minor, op, &value) == 4)
            add_io(list, major, minor, op, value);
    }
    json_object_object_add(blkio, key, list);
}

/* Lines "8:0 rbytes=1 wbytes=2 rios=3 wios=4 …". */
static void blkio_v2(json_object *blkio, const struct cgroup *g)
{
    static const struct {
        const char *word, *op;
        bool is_bytes;
    } words[] = {{"rbytes=", "Read", true},
                 {"wbytes=", "Write", true},
                 {"rios=", "Read", false},
                 {"wios=", "Write", false}};
    cleanup_free char *text = read_text(g, NULL, "io.stat");
    json_object *bytes = json_object_new_array(), *counts = json_object_new_array();
    char *rest = text, *line;
    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        unsigned int major, minor;
        if (sscanf(line, "%u:%u ", &major, &minor) != 2)
            continue;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            const char *found = strstr(line, words[i].word);
            if (found != NULL)
                add_io(words[i].is_bytes ? bytes : counts, major, minor, words[i].op,
                       number_of(found + strlen(words[i].word)));
        }
    }
    json_object_object_add(blkio, "ioServiceBytesRecursive", bytes);
    json_object_object_add(blkio, "ioServicedRecursive", counts);
}

json_object *stats_read(const struct cgroup *g)
{
    json_object *stats = json_object_new_object(), *cpu = add_object(stats, "cpu");
    json_object *usage = add_object(cpu, "usage"), *set = add_object(stats, "cpuset");
    json_object *memory = add_object(stats, "memory"), *pids = add_object(stats, "pids");
    json_object *blkio = add_object(stats, "blkio");
    cleanup_free char *cpus =
        read_text(g, "cpuset", g->is_v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus");
    if (cpus != NULL) {
        cpus[strcspn(cpus, "\n")] = '\0';
        json_put_text(set, "cpus", cpus);
    }
    put_file(pids, "current", g, "pids", "pids.current");
    put_file(pids, "limit", g, "pids", "pids.max");
    (void)add_object(stats, "hugetlb");
    if (g->is_v2) {
        cpu_v2(cpu, usage, g);
        memory_v2(memory, g);
        blkio_v2(blkio, g);
    } else {
        cpu_v1(cpu, usage, g);
        memory_v1(memory, g);
        blkio_v1(blkio, "ioServiceBytesRecursive", g, "blkio.throttle.io_service_bytes_recursive");
        blkio_v1(blkio, "ioServicedRecursive", g, "blkio.throttle.io_serviced_recursive");
    }
    return stats;
}
