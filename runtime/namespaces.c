#include "namespaces.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *type;
    int flag;
} kinds[] = {{"pid", CLONE_NEWPID},   {"network", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC},
             {"uts", CLONE_NEWUTS},   {"mount", CLONE_NEWNS},    {"cgroup", CLONE_NEWCGROUP},
             {"time", CLONE_NEWTIME}, {"user", CLONE_NEWUSER}};

const char *namespace_name(size_t index)
{
    return index < sizeof kinds / sizeof *kinds ? kinds[index].type : NULL;
}

int namespace_flag(const char *type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return kinds[i].flag;
    return 0;
}

static json_object *find(json_object *config, const char *type)
{
    json_object *list = json_at(config, "linux.namespaces");
    size_t count = json_count(list, "");
    for (size_t i = 0; i < count; i++)
        if (strcmp(json_text(json_entry(list, i), "type", ""), type) == 0)
            return json_entry(list, i);
    return NULL;
}

bool namespace_is_listed(json_object *config, const char *type)
{
    return find(config, type) != NULL;
}

const char *namespace_path(json_object *config, const char *type)
{
    const char *path = json_text(find(config, type), "path", "");
    return *path == '\0' ? NULL : path;
}

int namespace_is_new(json_object *config, const char *type)
{
    return find(config, type) != NULL && namespace_path(config, type) == NULL;
}

bool namespace_is_own(json_object *config, const char *type)
{
    static const char *const links[][2] = {{"network", "net"}, {"mount", "mnt"}};
    const char *path = namespace_path(config, type), *link = type;
    struct stat there, here;
    if (path == NULL)
        return namespace_is_listed(config, type);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        link = strcmp(links[i][0], type) == 0 ? links[i][1] : link;
    cleanup_free char *own = text_format("/proc/self/ns/%s", link);
    /* Joining one that is not there fails later. */
    return stat(path, &there) < 0 || stat(own, &here) < 0 || there.st_ino != here.st_ino ||
           there.st_dev != here.st_dev;
}

unsigned int namespaces_new(json_object *config)
{
    unsigned int flags = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((kinds[i].flag & (CLONE_NEWCGROUP | CLONE_NEWTIME | CLONE_NEWUSER)) == 0 &&
            namespace_is_new(config, kinds[i].type))
            flags |= (unsigned int)kinds[i].flag;
    return flags;
}

int namespaces_join(struct error *e, json_object *config)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *path = namespace_path(config, kinds[i].type);
        if (path == NULL || (kinds[i].flag & (CLONE_NEWPID | CLONE_NEWUSER)) != 0)
            continue;
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return err_set(e, errno, "open namespace %s", path);
        if (setns(fd, kinds[i].flag) < 0)
            return err_set(e, errno, "join %s namespace %s", kinds[i].type, path);
    }
    return 0;
}
