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

#define MEMBERSHIPS_MAX ((size_t)64 << 10)

/* Binds a directory of the host's cgroup mounts. Returns an fd of the detached copy. */
static int copy_host(struct error *e, const char *host, const struct mount_options *o)
{
    cleanup_close int tree = open_tree(AT_FDCWD, host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return err_set(e, errno, "bind %s", host);
    if (mount_set_attributes(e, tree, &o->own, false) < 0)
        return err_wrap(e, "bind %s", host);
    return steal_fd(&tree);
}

/* The part of a line "number:names:/path" of /proc/self/cgroup behind the names, or NULL when it is
 * of another hierarchy. name: of the directory it is mounted at, "" on a machine with v2 alone. */
static const char *path_of(const char *line, const char *name)
{
    const char *wanted = strcmp(name, "unified") == 0 ? "" : name;
    const char *names = strchr(line, ':');
    if (names == NULL)
        return NULL;
    names++;
    if (strcmp(wanted, "systemd") == 0 && strncmp(names, "name=", strlen("name=")) == 0)
        names += strlen("name=");
    size_t size = strlen(wanted);
    return strncmp(names, wanted, size) == 0 && names[size] == ':' ? names + size + 1 : NULL;
}

/* The directory of the container's own cgroup in a hierarchy, in new memory; or NULL. */
static char *own_dir(const struct container *c, const char *name)
{
    for (const char *line = c->memberships; line != NULL && *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *path = path_of(line, name);
        if (path != NULL)
            return text_format(CGROUP_ROOT "%s%s%.*s", *name == '\0' ? "" : "/", name,
                               (int)(line + size - path), path);
        line += size + (line[size] == '\n');
    }
    return NULL;
}

int mounts_read_memberships(struct error *e, struct container *c)
{
    return file_read(e, "/proc/self/cgroup", &c->memberships, MEMBERSHIPS_MAX);
}

/* One hierarchy; name: "" on a machine with v2 alone. The container's own cgroup is bound: it costs
 * less than a mount of its own, and shows no more when there is no cgroup namespace. Where that is
 * not to be seen, as in a container, it is mounted, which a user namespace may be refused: then the
 * host's is bound. */
static int mount_hierarchy(struct error *e, const struct container *c, int target, const char *name,
                           const struct mount_options *o)
{
    struct error ignored;
    bool is_v2 = *name == '\0' || strcmp(name, "unified") == 0;
    const char *data = is_v2 ? NULL : strcmp(name, "systemd") == 0 ? "none,name=systemd" : name;
    cleanup_free char *own = own_dir(c, name);
    cleanup_close int tree = own == NULL ? -1 : copy_host(&ignored, own, o);
    if (tree >= 0)
        return detached_attach(e, tree, target);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount("cgroup", path, is_v2 ? "cgroup2" : "cgroup", o->flags, data) == 0)
        return 0;
    if (errno != EPERM)
        return err_set(e, errno, "mount cgroup %s", name);
    cleanup_free char *host = text_format(CGROUP_ROOT "/%s", name);
    cleanup_close int all = copy_host(e, host, o);
    return all < 0 ? -1 : detached_attach(e, all, target);
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
