/* config.json for another runtime. What this host cannot do is left out, as this helper's own
 * containers go without it: other runtimes would fail. */
#include "foreign.h"

#include "caps.h"
#include "clean.h"
#include "io.h"
#include "json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* All that mini writes is in it, and older runtimes refuse a newer one. */
#define OCI_VERSION "1.0.2"

static void warn(const struct container *c, const char *text)
{
    json_object_array_add(c->warnings, json_object_new_string(text));
}

static long own_oom_score(void)
{
    struct error ignored;
    cleanup_free char *text = NULL;
    return file_read(&ignored, "/proc/self/oom_score_adj", &text, 64) < 0 ? 0
                                                                          : strtol(text, NULL, 10);
}

void foreign_adapt_process(json_object *process)
{
    json_object *capabilities = json_at(process, "capabilities");
    if (capabilities != NULL)
        caps_restrict(capabilities);
    /* Going below the present value needs a capability. */
    if (json_at(process, "oomScoreAdj") != NULL && !caps_has("CAP_SYS_RESOURCE") &&
        json_number(process, "oomScoreAdj", 0) < own_oom_score())
        json_object_object_del(process, "oomScoreAdj");
}

static bool has_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

void foreign_adapt_resources(const struct container *c, json_object *resources)
{
    json_object *memory = json_at(resources, "memory");
    if (cgroup_is_v2())
        return;
    if (json_at(memory, "swap") != NULL &&
        !has_file(CGROUP_ROOT "/memory/memory.memsw.limit_in_bytes")) {
        warn(c, "linux.resources.memory.swap: this kernel does not account for swap");
        json_object_object_del(memory, "swap");
    }
    if (json_at(resources, "hugepageLimits") != NULL && !has_file(CGROUP_ROOT "/hugetlb")) {
        warn(c, "linux.resources.hugepageLimits: the hugetlb controller is not available");
        json_object_object_del(resources, "hugepageLimits");
    }
}

static void remove_option(json_object *mount, const char *name)
{
    json_object *options = json_at(mount, "options");
    for (size_t i = json_count(options, ""); i > 0; i--)
        if (strcmp(json_entry_text(options, i - 1), name) == 0)
            json_object_array_del_idx(options, i - 1, 1);
}

static void adapt_mounts(const struct container *c, json_object *mounts)
{
    size_t count = json_count(mounts, "");
    for (size_t i = 0; i < count; i++) {
        json_object *mount = json_entry(mounts, i);
        if (!foreign_mounts_source(c, mount))
            continue;
        cleanup_free char *name = text_format(FOREIGN_BIND "%zu", i);
        cleanup_free char *place = foreign_place(c, name);
        json_put_text(mount, "source", place);
        json_object_object_del(mount, "sourceRoot");
        json_object_object_del(mount, "uidMappings");
        json_object_object_del(mount, "gidMappings");
        remove_option(mount, "idmap");
        remove_option(mount, "ridmap");
        remove_option(mount, "rro");
    }
}

/* c->config stays as it was but for the process; the mounts are made from it. */
int foreign_adapt(struct error *e, const struct container *c)
{
    json_object *config = NULL;
    foreign_adapt_process(json_at(c->config, "process"));
    if (json_object_deep_copy(c->config, &config, NULL) < 0)
        return err_set(e, 0, "copy config.json");
    cleanup_json json_object *owned = config;
    json_put_text(config, "ociVersion", OCI_VERSION);
    if (c->overlay != NULL) {
        cleanup_free char *root = foreign_place(c, FOREIGN_ROOT);
        json_put_text(json_at(config, "root"), "path", root);
    }
    foreign_adapt_resources(c, json_at(config, "linux.resources"));
    adapt_mounts(c, json_at(config, "mounts"));
    return file_replace_at(e, c->dir_fd, "config.json", json_line(config));
}
