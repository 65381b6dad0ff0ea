/* What kind of value each property of a config.json has. Others are left alone, as the
 * specification wants; but one that is known and of another kind would silently not hold, such as a
 * user id that is a text: the process would be root. */
#include "config-types.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 256

enum kind { TEXT, FLAG, ANY, NATURAL, WORD, ID, MODE, SCORE };

/* The highest id means "leave it" to the kernel. */
static const struct {
    int64_t min, max;
} ranges[] = {[ANY] = {INT64_MIN, INT64_MAX}, [NATURAL] = {0, INT64_MAX}, [WORD] = {0, UINT32_MAX},
              [ID] = {0, UINT32_MAX - 1},     [MODE] = {0, 07777},        [SCORE] = {-1000, 1000}};

/* "[]" behind a name: each entry of a list; "{}": each value of an object. */
struct row {
    const char *path;
    enum kind kind;
};

static const struct row process_rows[] = {
    {"terminal", FLAG},
    {"consoleSize.height", WORD},
    {"consoleSize.width", WORD},
    {"user.uid", ID},
    {"user.gid", ID},
    {"user.umask", MODE},
    {"user.additionalGids[]", ID},
    {"args[]", TEXT},
    {"env[]", TEXT},
    {"cwd", TEXT},
    {"capabilities.bounding[]", TEXT},
    {"capabilities.effective[]", TEXT},
    {"capabilities.inheritable[]", TEXT},
    {"capabilities.permitted[]", TEXT},
    {"capabilities.ambient[]", TEXT},
    {"noNewPrivileges", FLAG},
    {"apparmorProfile", TEXT},
    {"selinuxLabel", TEXT},
    {"oomScoreAdj", SCORE},
    {"rlimits[].type", TEXT},
    {"rlimits[].soft", NATURAL},
    {"rlimits[].hard", NATURAL},
    {"scheduler.policy", TEXT},
    {"scheduler.nice", ANY},
    {"scheduler.priority", ANY},
    {"scheduler.flags[]", TEXT},
    {"scheduler.runtime", NATURAL},
    {"scheduler.deadline", NATURAL},
    {"scheduler.period", NATURAL},
    {"ioPriority.class", TEXT},
    {"ioPriority.priority", ANY},
    {"execCPUAffinity.initial", TEXT},
    {"execCPUAffinity.final", TEXT},
};

static const struct row resources_rows[] = {
    {"devices[].allow", FLAG},
    {"devices[].type", TEXT},
    {"devices[].major", ANY},
    {"devices[].minor", ANY},
    {"devices[].access", TEXT},
    {"memory.limit", ANY},
    {"memory.reservation", ANY},
    {"memory.swap", ANY},
    {"memory.kernel", ANY},
    {"memory.kernelTCP", ANY},
    {"memory.swappiness", NATURAL},
    {"memory.disableOOMKiller", FLAG},
    {"memory.useHierarchy", FLAG},
    {"memory.checkBeforeUpdate", FLAG},
    {"cpu.shares", NATURAL},
    {"cpu.quota", ANY},
    {"cpu.burst", NATURAL},
    {"cpu.period", NATURAL},
    {"cpu.realtimeRuntime", ANY},
    {"cpu.realtimePeriod", NATURAL},
    {"cpu.cpus", TEXT},
    {"cpu.mems", TEXT},
    {"cpu.idle", ANY},
    {"pids.limit", ANY},
    {"blockIO.weight", WORD},
    {"blockIO.leafWeight", WORD},
    {"blockIO.weightDevice[].major", WORD},
    {"blockIO.weightDevice[].minor", WORD},
    {"blockIO.weightDevice[].weight", WORD},
    {"blockIO.throttleReadBpsDevice[].rate", NATURAL},
    {"blockIO.throttleWriteBpsDevice[].rate", NATURAL},
    {"blockIO.throttleReadIOPSDevice[].rate", NATURAL},
    {"blockIO.throttleWriteIOPSDevice[].rate", NATURAL},
    {"hugepageLimits[].pageSize", TEXT},
    {"hugepageLimits[].limit", NATURAL},
    {"network.classID", WORD},
    {"network.priorities[].name", TEXT},
    {"network.priorities[].priority", WORD},
    {"rdma{}.hcaHandles", WORD},
    {"rdma{}.hcaObjects", WORD},
    {"unified{}", TEXT},
};

static const struct row config_rows[] = {
    {"ociVersion", TEXT},
    {"root.path", TEXT},
    {"root.readonly", FLAG},
    {"hostname", TEXT},
    {"domainname", TEXT},
    {"mounts[].destination", TEXT},
    {"mounts[].type", TEXT},
    {"mounts[].source", TEXT},
    {"mounts[].options[]", TEXT},
    {"mounts[].uidMappings[].hostID", WORD},
    {"mounts[].gidMappings[].hostID", WORD},
    {"annotations{}", TEXT},
    {"hooks{}[].path", TEXT},
    {"hooks{}[].args[]", TEXT},
    {"hooks{}[].env[]", TEXT},
    {"hooks{}[].timeout", ANY},
    {"linux.namespaces[].type", TEXT},
    {"linux.namespaces[].path", TEXT},
    {"linux.uidMappings[].hostID", WORD},
    {"linux.gidMappings[].hostID", WORD},
    {"linux.timeOffsets{}.secs", ANY},
    {"linux.timeOffsets{}.nanosecs", WORD},
    {"linux.devices[].path", TEXT},
    {"linux.devices[].type", TEXT},
    {"linux.devices[].major", WORD},
    {"linux.devices[].minor", WORD},
    {"linux.devices[].fileMode", WORD},
    {"linux.devices[].uid", ID},
    {"linux.devices[].gid", ID},
    {"linux.cgroupsPath", TEXT},
    {"linux.rootfsPropagation", TEXT},
    {"linux.maskedPaths[]", TEXT},
    {"linux.readonlyPaths[]", TEXT},
    {"linux.mountLabel", TEXT},
    {"linux.personality.domain", TEXT},
    {"linux.personality.flags[]", TEXT},
    {"linux.sysctl{}", TEXT},
    {"linux.seccomp.defaultAction", TEXT},
    {"linux.seccomp.defaultErrnoRet", WORD},
    {"linux.seccomp.architectures[]", TEXT},
    {"linux.seccomp.flags[]", TEXT},
    {"linux.seccomp.listenerPath", TEXT},
    {"linux.seccomp.syscalls[].names[]", TEXT},
    {"linux.seccomp.syscalls[].action", TEXT},
    {"linux.seccomp.syscalls[].errnoRet", WORD},
    {"linux.seccomp.syscalls[].args[].index", WORD},
    {"linux.seccomp.syscalls[].args[].value", NATURAL},
    {"linux.seccomp.syscalls[].args[].valueTwo", NATURAL},
    {"linux.seccomp.syscalls[].args[].op", TEXT},
};

/* The way to the value that is looked at, for the error. */
struct place {
    char text[PATH_SIZE];
};

static int refuse(struct error *e, const struct place *at, const char *what)
{
    return err_set(e, 0, "%s must be %s", at->text, what);
}

static int check_number(struct error *e, const struct place *at, json_object *value, enum kind kind)
{
    char what[80];
    int64_t number = json_object_get_int64(value);
    if (json_object_is_type(value, json_type_int) && number >= ranges[kind].min &&
        number <= ranges[kind].max)
        return 0;
    if (kind == ANY || kind == NATURAL)
        return refuse(e, at, kind == ANY ? "a whole number" : "a whole number of at least 0");
    snprintf(what, sizeof what, "a whole number from %lld to %lld", (long long)ranges[kind].min,
             (long long)ranges[kind].max);
    return refuse(e, at, what);
}

static int check_value(struct error *e, const struct place *at, json_object *value, enum kind kind)
{
    if (kind == FLAG)
        return json_object_is_type(value, json_type_boolean) ? 0 : refuse(e, at, "true or false");
    if (kind != TEXT)
        return check_number(e, at, value, kind);
    if (!json_object_is_type(value, json_type_string))
        return refuse(e, at, "a text");
    /* Its end would be cut off. */
    bool has_null =
        strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value);
    return has_null ? refuse(e, at, "a text without null bytes") : 0;
}

/* The same place with more behind it, as far as it fits. */
__attribute__((format(printf, 2, 3))) static struct place below(const struct place *at,
                                                                const char *format, ...)
{
    struct place deeper = *at;
    size_t used = strlen(deeper.text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(deeper.text + used, sizeof deeper.text - used, format, args);
    va_end(args);
    return deeper;
}

static int check(struct error *e, const struct place *at, json_object *value, const char *path,
                 enum kind kind);

static int check_entries(struct error *e, const struct place *at, json_object *value,
                         const char *path, enum kind kind)
{
    if (!json_object_is_type(value, json_type_array))
        return refuse(e, at, "a list");
    size_t count = json_count(value, "");
    for (size_t i = 0; i < count; i++) {
        struct place deeper = below(at, "[%zu]", i);
        if (check(e, &deeper, json_entry(value, i), path, kind) < 0)
            return -1;
    }
    return 0;
}

static int check_members(struct error *e, const struct place *at, json_object *value,
                         const char *path, enum kind kind)
{
    json_object_object_foreach(value, key, member)
    {
        struct place deeper = below(at, ".%s", key);
        if (check(e, &deeper, member, path, kind) < 0)
            return -1;
    }
    return 0;
}

/* path: what of the row's is still to go. What is absent or null is as it is without it. */
static int check(struct error *e, const struct place *at, json_object *value, const char *path,
                 enum kind kind)
{
    if (value == NULL)
        return 0;
    if (*path == '\0')
        return check_value(e, at, value, kind);
    if (*path == '[')
        return check_entries(e, at, value, path + strlen("[]"), kind);
    if (!json_object_is_type(value, json_type_object))
        return refuse(e, at, "an object");
    if (*path == '{')
        return check_members(e, at, value, path + strlen("{}"), kind);
    path += *path == '.';
    size_t size = strcspn(path, ".[{");
    cleanup_free char *name = text_slice(path, size);
    struct place deeper = below(at, *at->text == '\0' ? "%s" : ".%s", name);
    return check(e, &deeper, json_at(value, name), path + size, kind);
}

static int check_rows(struct error *e, const char *name, json_object *value, const struct row *rows,
                      size_t count)
{
    struct place at = {0};
    (void)snprintf(at.text, sizeof at.text, "%s", name);
    for (size_t i = 0; i < count; i++)
        if (check(e, &at, value, rows[i].path, rows[i].kind) < 0)
            return -1;
    return 0;
}

int config_types_check(struct error *e, json_object *config)
{
    if (!json_object_is_type(config, json_type_object))
        return err_set(e, 0, "it must be an object");
    if (check_rows(e, "", config, config_rows, sizeof config_rows / sizeof *config_rows) < 0 ||
        resources_types_check(e, "linux.resources", json_at(config, "linux.resources")) < 0)
        return -1;
    return process_types_check(e, "process", json_at(config, "process"));
}

int process_types_check(struct error *e, const char *name, json_object *process)
{
    const char *cwd = json_text(process, "cwd", "/");
    if (check_rows(e, name, process, process_rows, sizeof process_rows / sizeof *process_rows) < 0)
        return -1;
    return *cwd == '/' ? 0
                       : err_set(e, 0, "%s%scwd \"%s\" must be absolute", name,
                                 *name == '\0' ? "" : ".", cwd);
}

int resources_types_check(struct error *e, const char *name, json_object *resources)
{
    return check_rows(e, name, resources, resources_rows,
                      sizeof resources_rows / sizeof *resources_rows);
}
