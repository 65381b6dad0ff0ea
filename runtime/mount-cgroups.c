/* The container's view of cgroups. */
#include "mounts.h"

#include "clean.h"
#include "detached.h"
#include "io.h"
#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Binds a directory of the host's cgroup mounts. */
static int bind_host(struct error *e, int target, const char *host, const struct mount_options *o)
{
    cleanup_close int tree = open_tree(AT_FDCWD, host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return err_set(e, errno, "bind %s", host);
    if (mount_set_attributes(e, tree, &o->own, false) < 0 || detached_attach(e, tree, target) < 0)
        return err_wrap(e, "bind %s", host);
    return 0;
}

/* One hierarchy; name: "" on a machine with v2 alone. Without a cgroup namespace it would show all
 * of the machine's cgroups: then the container's own is bound. A user namespace may be refused it:
 * then the host's is bound. */
static int mount_hierarchy(struct error *e, const struct container *c, int target, const char *name,
                           const struct mount_options *o)
{
    bool is_v2 = *name == '\0' || strcmp(name, "unified") == 0;
    const char *data = is_v2 ? NULL : strcmp(name, "systemd") == 0 ? "none,name=systemd" : name;
    cleanup_free char *host = text_format(CGROUP_ROOT "/%s", name);
    cleanup_free char *own = cgroup_dir(&c->cgroup, name);
    if (own != NULL && !namespace_is_new(c->config, "cgroup"))
        return bind_host(e, target, own, o);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount("cgroup", path, is_v2 ? "cgroup2" : "cgroup", o->flags, data) == 0)
        return 0;
    return errno == EPERM ? bind_host(e, target, host, o)
                          : err_set(e, errno, "mount cgroup %s", name);
}

/* The link of a controller that shares a hierarchy (cpu -> cpu,cpuacct). */
static int make_link(struct error *e, int top, const char *host, const char *name)
{
    char to[256] = "";
    if (readlink(host, to, sizeof to - 1) < 0 || symlinkat(to, top, name) < 0)
        return err_set(e, errno, "make link for cgroup %s", name);
    return 0;
}

static int mount_entry(struct error *e, const struct container *c, int top, const char *name,
                       const struct mount_options *o)
{
    cleanup_free char *host = text_format(CGROUP_ROOT "/%s", name);
    struct statx info;
    if (*name == '.' || statx(AT_FDCWD, host, AT_SYMLINK_NOFOLLOW, 0, &info) < 0)
        return 0;
    if (S_ISLNK(info.stx_mode))
        return make_link(e, top, host, name);
    if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
        return 0;
    if (mkdirat(top, name, 0755) < 0)
        return err_set(e, errno, "make directory for cgroup %s", name);
    cleanup_close int dir = openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir < 0 ? err_set(e, errno, "open cgroup %s", name)
                   : mount_hierarchy(e, c, dir, name, o);
}

/* v1: a tmpfs with one mount per hierarchy, as seen from the container's cgroup namespace. */
int mounts_cgroups(struct error *e, const struct container *c, int target,
                   const struct mount_options *o)
{
    static const char *const options[] = {"mode=755", NULL};
    if (cgroup_is_v2())
        return mount_hierarchy(e, c, target, "", o);
    cleanup_close int top =
        detached_tmpfs(e, options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (top < 0 || detached_attach(e, top, target) < 0)
        return err_wrap(e, "mount cgroups");
    cleanup_dir DIR *handle = opendir(CGROUP_ROOT);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL)
        if (mount_entry(e, c, top, entry->d_name, o) < 0)
            return -1;
    return (o->flags & MS_RDONLY) == 0 ? 0 : detached_attributes(e, top, MOUNT_ATTR_RDONLY, false);
}
