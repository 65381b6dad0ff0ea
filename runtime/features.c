/* `features`: what this runtime can do, as the specification's features document has it. */
#include "caps.h"
#include "clean.h"
#include "cli.h"
#include "filter.h"
#include "hooks.h"
#include "json.h"
#include "mounts.h"
#include "namespaces.h"

#include <stdio.h>
#include <string.h>

/* Parts that are there or not, by their path in the document. */
static const struct {
    const char *path;
    bool is_there;
} parts[] = {
    {"linux.cgroup.v1", true},           {"linux.cgroup.v2", true},
    {"linux.cgroup.systemd", false},     {"linux.cgroup.systemdUser", false},
    {"linux.cgroup.rdma", true},         {"linux.seccomp.enabled", true},
    {"linux.apparmor.enabled", true},    {"linux.selinux.enabled", true},
    {"linux.intelRdt.enabled", false},   {"linux.mountExtensions.idmap.enabled", true},
    {"linux.netDevices.enabled", false},
};

static const char *array_entry(const char *const *names, size_t index)
{
    return names[index];
}

static const char *capability(size_t index)
{
    return array_entry(caps_names(), index);
}

static const char *action(size_t index)
{
    return array_entry(filter_actions, index);
}

static const char *operator(size_t index)
{
    return array_entry(filter_operators, index);
}

static const char *hook(size_t index)
{
    return array_entry(hook_kinds, index);
}

static const char *flag(size_t index)
{
    return array_entry(filter_flags, index);
}

/* Names known here, each list from where they are used. The function ends it with NULL. */
static const struct {
    const char *path;
    const char *(*name)(size_t index);
} lists[] = {
    {"hooks", hook},
    {"mountOptions", mount_option_name},
    {"linux.namespaces", namespace_name},
    {"linux.capabilities", capability},
    {"linux.seccomp.actions", action},
    {"linux.seccomp.operators", operator},
    {"linux.seccomp.archs", filter_architecture},
    {"linux.seccomp.knownFlags", flag},
    {"linux.seccomp.supportedFlags", flag},
};

/* Adds the value at "a.b.c", making the objects on the way. */
static void put(json_object *object, const char *path, json_object *value)
{
    char key[64];
    for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        json_object *next = NULL;
        snprintf(key, sizeof key, "%.*s", (int)(dot - path), path);
        if (!json_object_object_get_ex(object, key, &next)) {
            next = json_object_new_object();
            json_object_object_add(object, key, next);
        }
        object = next;
    }
    json_object_object_add(object, path, value);
}

int verb_features(struct error *e, struct cli *cli)
{
    (void)e;
    (void)cli;
    cleanup_json json_object *features = json_object_new_object();
    json_put_text(features, "ociVersionMin", "1.0.0");
    json_put_text(features, "ociVersionMax", "1.2.0");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_object *names = json_object_new_array();
        for (size_t k = 0; lists[i].name(k) != NULL; k++)
            json_object_array_add(names, json_object_new_string(lists[i].name(k)));
        put(features, lists[i].path, names);
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        put(features, parts[i].path, json_object_new_boolean(parts[i].is_there));
    json_print(features);
    return 0;
}
