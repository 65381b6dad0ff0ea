#include "sysctls.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "namespaces.h"
#include "proc.h"

#include <errno.h>
#include <string.h>

/* Which namespace has its own value of a sysctl. Names that end in '/' are directories. Sources:
 * the kernel's ipc/ipc_sysctl.c, ipc/mq_sysctl.c, kernel/utsname_sysctl.c and kernel/ucount.c. */
static const struct {
    const char *path, *namespace;
} owned[] = {
    {"kernel/msgmax", "ipc"}, {"kernel/msgmnb", "ipc"},          {"kernel/msgmni", "ipc"},
    {"kernel/sem", "ipc"},    {"kernel/shmall", "ipc"},          {"kernel/shmmax", "ipc"},
    {"kernel/shmmni", "ipc"}, {"kernel/shm_rmid_forced", "ipc"}, {"fs/mqueue/", "ipc"},
    {"net/", "network"},      {"kernel/hostname", "uts"},        {"kernel/domainname", "uts"},
    {"user/", "user"},
};

/* Below /proc/sys, in new memory. Either separator may be the one that divides; the other then
 * stands for a part of a name, such as an interface's. */
static char *path_of(const char *key)
{
    char *path = text_format("%s", key);
    bool is_dotted = path[strcspn(path, "./")] == '.';
    for (char *at = path; is_dotted && *at != '\0'; at++)
        *at = *at == '.' ? '/' : *at == '/' ? '.' : *at;
    return path;
}

/* A way back would lead from a sysctl of the container to one of the host. */
static bool is_plain(const char *path)
{
    for (const char *part = path;; part++) {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && *part == '.') || (size == 2 && strncmp(part, "..", 2) == 0))
            return false;
        part += size;
        if (*part == '\0')
            return true;
    }
}

static const char *namespace_of(const char *path)
{
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        size_t size = strlen(owned[i].path);
        bool is_directory = owned[i].path[size - 1] == '/';
        if (strncmp(owned[i].path, path, size) == 0 && (is_directory || path[size] == '\0'))
            return owned[i].namespace;
    }
    return NULL;
}

static int check_one(struct error *e, json_object *config, const char *key)
{
    cleanup_free char *path = path_of(key);
    const char *namespace = is_plain(path) ? namespace_of(path) : NULL;
    if (namespace == NULL)
        return err_set(
            e, 0, "linux.sysctl: \"%s\" is not one that a namespace has its own value of", key);
    if (namespace_is_own(config, namespace))
        return 0;
    return err_set(e, 0,
                   "linux.sysctl: \"%s\" needs a %s namespace of its own in linux.namespaces: it "
                   "would change the host",
                   key, namespace);
}

int sysctls_check(struct error *e, json_object *config)
{
    static const char *const names[] = {"hostname", "domainname"};
    json_object *sysctls = json_at(config, "linux.sysctl");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (*json_text(config, names[i], "") != '\0' && !namespace_is_own(config, "uts"))
            return err_set(e, 0,
                           "%s needs a uts namespace of its own in linux.namespaces: it would "
                           "change the host",
                           names[i]);
    if (sysctls == NULL)
        return 0;
    json_object_object_foreach(sysctls, key, value)
    {
        (void)value;
        if (check_one(e, config, key) < 0)
            return -1;
    }
    return 0;
}

int sysctls_apply(struct error *e, json_object *config)
{
    json_object *sysctls = json_at(config, "linux.sysctl");
    if (sysctls == NULL)
        return 0;
    json_object_object_foreach(sysctls, key, value)
    {
        cleanup_free char *own = path_of(key);
        cleanup_free char *path = text_format("sys/%s", own);
        if (proc_write(e, path, json_object_get_string(value)) < 0)
            return err_wrap(e, "sysctl %s", key);
    }
    return 0;
}
