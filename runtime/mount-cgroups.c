/* The container's view of cgroups. */
#include "mounts.h"

#include "clean.h"
#include "detached.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* One v1 hierarchy in its own directory of the container's cgroup mount. */
static int mount_hierarchy(struct error *e, int top, const char *name, unsigned long flags)
{
    bool is_v2 = strcmp(name, "unified") == 0, is_named = strcmp(name, "systemd") == 0;
    if (mkdirat(top, name, 0755) < 0)
        return err_set(e, errno, "make directory for cgroup %s", name);
    cleanup_close int dir = openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
    const char *data = is_v2 ? NULL : is_named ? "none,name=systemd" : name;
    if (dir < 0 || mount("cgroup", path, is_v2 ? "cgroup2" : "cgroup", flags, data) < 0)
        return err_set(e, errno, "mount cgroup %s", name);
    return 0;
}

/* v1: a tmpfs with one mount per hierarchy, as seen from the container's cgroup namespace. */
int mounts_cgroups(struct error *e, int target, const struct mount_options *o)
{
    static const char *const options[] = {"mode=755", NULL};
    if (cgroup_is_v2()) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", target);
        if (mount("cgroup", path, "cgroup2", o->flags, NULL) < 0)
            return err_set(e, errno, "mount cgroup2");
        return 0;
    }
    cleanup_close int top =
        detached_tmpfs(e, options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (top < 0 || detached_attach(e, top, target) < 0)
        return err_wrap(e, "mount cgroups");
    cleanup_dir DIR *handle = opendir(CGROUP_ROOT);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        cleanup_free char *host = text_format(CGROUP_ROOT "/%s", entry->d_name);
        struct statx info;
        if (entry->d_name[0] != '.' && statx(AT_FDCWD, host, 0, 0, &info) == 0 &&
            (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 &&
            mount_hierarchy(e, top, entry->d_name, o->flags) < 0)
            return -1;
    }
    return (o->flags & MS_RDONLY) == 0 ? 0 : detached_attributes(e, top, MOUNT_ATTR_RDONLY, false);
}
