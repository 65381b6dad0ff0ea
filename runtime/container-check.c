/* What of a config.json cannot be done, said before anything is made. */
#include "container.h"

#include "attributes.h"
#include "config-types.h"
#include "filter.h"
#include "hooks.h"
#include "json.h"
#include "namespaces.h"
#include "sysctls.h"
#include "userns.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

static int check_label(struct error *e, json_object *config)
{
    struct statfs info;
    if (*json_text(config, "linux.mountLabel", "") == '\0')
        return 0;
    if (statfs("/sys/fs/selinux", &info) == 0 && info.f_type == SELINUX_MAGIC)
        return 0;
    return err_set(e, 0, "config.json: linux.mountLabel needs SELinux, which this host has not");
}

/* Entries of a list are of different types. */
static int check_once(struct error *e, json_object *config, const char *path)
{
    json_object *list = json_at(config, path);
    size_t count = json_count(list, "");
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            const char *type = json_text(json_entry(list, i), "type", "");
            if (strcmp(json_text(json_entry(list, k), "type", ""), type) == 0)
                return err_set(e, 0, "%s lists \"%s\" more than once", path, type);
        }
    return 0;
}

int container_check(struct error *e, json_object *config)
{
    static const char *const refused[] = {"linux.intelRdt",
                                          "linux.memoryPolicy",
                                          "linux.netDevices",
                                          "vm",
                                          "windows",
                                          "solaris",
                                          "zos"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_object *value = json_at(config, refused[i]);
        if (value != NULL && *json_text(value, "", "set") != '\0' &&
            !(json_object_is_type(value, json_type_array) && json_count(value, "") == 0))
            return err_set(e, 0, "config.json: %s is not supported", refused[i]);
    }
    if (config_types_check(e, config) < 0)
        return err_wrap(e, "config.json");
    if (json_count(config, "process.args") == 0)
        return err_set(e, 0, "config.json: process.args must not be empty");
    if (!namespace_is_new(config, "mount") && namespace_path(config, "mount") == NULL)
        return err_set(e, 0, "config.json: linux.namespaces needs a mount namespace");
    if (userns_check(e, config) < 0 || check_label(e, config) < 0)
        return -1;
    json_object *list = json_at(config, "linux.namespaces");
    size_t count = json_count(list, "");
    for (size_t i = 0; i < count; i++) {
        const char *type = json_text(json_entry(list, i), "type", "");
        if (namespace_flag(type) == 0)
            return err_set(e, 0, "config.json: namespace \"%s\" is not supported", type);
    }
    if (check_once(e, config, "linux.namespaces") < 0 ||
        check_once(e, config, "process.rlimits") < 0 || sysctls_check(e, config) < 0)
        return err_wrap(e, "config.json");
    if (attributes_check(e, config) < 0 || filter_check(e, json_at(config, "linux.seccomp")) < 0 ||
        hooks_check(e, config) < 0)
        return err_wrap(e, "config.json");
    return 0;
}
