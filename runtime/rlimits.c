#include "rlimits.h"

#include "json.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

static const struct {
    const char *name;
    __rlimit_resource_t resource;
} limits[] = {
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

static int rlimit_apply(struct error *e, json_object *entry)
{
    const char *name = json_text(entry, "type", "");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (strcmp(limits[i].name, name) != 0)
            continue;
        struct rlimit wanted = {
            .rlim_cur = json_object_get_uint64(json_at(entry, "soft")),
            .rlim_max = json_object_get_uint64(json_at(entry, "hard")),
        };
        struct rlimit present;
        if (setrlimit(limits[i].resource, &wanted) == 0)
            return 0;
        if (errno != EPERM || getrlimit(limits[i].resource, &present) < 0)
            return err_set(e, errno, "set %s", name);
        if (wanted.rlim_max > present.rlim_max)
            wanted.rlim_max = present.rlim_max;
        if (wanted.rlim_cur > wanted.rlim_max)
            wanted.rlim_cur = wanted.rlim_max;
        if (setrlimit(limits[i].resource, &wanted) < 0)
            return err_set(e, errno, "set %s", name);
        return 0;
    }
    return err_set(e, 0, "unknown rlimit \"%s\"", name);
}

int rlimits_apply(struct error *e, json_object *process)
{
    json_object *list = json_at(process, "rlimits");
    size_t count = json_count(list, "");
    for (size_t i = 0; i < count; i++)
        if (rlimit_apply(e, json_entry(list, i)) < 0)
            return -1;
    return 0;
}
