#include "room.h"

#include "clean.h"
#include "detached.h"
#include "hooks.h"
#include "io.h"
#include "json.h"
#include "mounts.h"
#include "namespaces.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where a container's root is mounted before it becomes "/". */
#define ROOT_PLACE "root"

/* A copy of what is mounted at path, under the same name in the room. */
static int bring(struct error *e, int room, const char *path, unsigned int flags)
{
    cleanup_close int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
    if (tree < 0)
        return err_set(e, errno, "copy mount %s", path);
    cleanup_close int place = openat(room, path + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return place < 0 ? err_set(e, errno, "open %s", path) : detached_attach(e, tree, place);
}

static int make_places(struct error *e, int room)
{
    static const char *const places[] = {ROOT_PLACE, "proc", "sys", "sys/fs", CGROUP_ROOT + 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (mkdirat(room, places[i], 0555) < 0)
            return err_set(e, errno, "make %s", places[i]);
    return 0;
}

/* In a process of its own, whose mount namespace becomes the room. */
static int become_room(struct error *e)
{
    static const char *const options[] = {"mode=555", "size=64k", NULL};
    /* What comes to the host's cgroups later is to be here, too; nothing goes back. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return err_set(e, errno, "make mount namespace");
    cleanup_close int room =
        detached_tmpfs(e, options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (room < 0)
        return -1;
    if (move_mount(room, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, errno, "mount room");
    if (make_places(e, room) < 0 || bring(e, room, "/proc", 0) < 0 ||
        bring(e, room, CGROUP_ROOT, AT_RECURSIVE) < 0 ||
        detached_attributes(e, room, MOUNT_ATTR_RDONLY, false) < 0)
        return -1;
    return mounts_pivot(e, room);
}

static _Noreturn void run_room(int socket)
{
    struct error e = {0};
    /* Before: in the room it is a namespace of whatever it is then. */
    int own = -1, result = become_room(&e);
    if (result == 0 && (own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)) < 0)
        result = err_set(&e, errno, "open own mount namespace");
    _exit(result < 0 || fd_send(socket, own) < 0);
}

int room_make(struct error *e)
{
    int pair[2];
    if (sync_pair(e, pair) < 0)
        return -1;
    cleanup_close int own = pair[0], other = pair[1];
    pid_t pid = fork();
    if (pid == 0)
        run_room(other);
    if (pid < 0)
        return err_set(e, errno, "fork");
    close_now(&other);
    int room = fd_receive(own);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return room < 0 ? err_set(e, 0, "no room for mounts could be made") : room;
}

/* Those of the kernel's own, and what is bound without any propagation. */
static bool fits(json_object *mount)
{
    static const char *const types[] = {"proc",   "sysfs",  "tmpfs",  "mqueue",
                                        "devpts", "cgroup", "cgroup2"};
    struct error ignored;
    struct mount_options o;
    if (mount_options_parse(&ignored, mount, &o) < 0 ||
        (o.propagation != 0 && (o.propagation | MS_REC) != (MS_PRIVATE | MS_REC)))
        return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(json_text(mount, "type", ""), types[i]) == 0)
            return true;
    return o.is_bind;
}

bool room_fits(const struct container *c)
{
    if (c->room < 0 || c->users != NULL || !namespace_is_new(c->config, "mount") ||
        container_waits_mounted(c->config) || hooks_has(c->config, "createContainer") ||
        *json_text(c->config, "linux.rootfsPropagation", "") != '\0')
        return false;
    if (c->overlay != NULL && (json_count(c->overlay, "lower") > OVERLAY_DETACHED_MAX ||
                               *json_text(c->overlay, OVERLAY_LABEL, "") != '\0'))
        return false;
    json_object *mounts = json_at(c->config, "mounts");
    size_t count = json_count(mounts, "");
    for (size_t i = 0; i < count; i++)
        if (!fits(json_entry(mounts, i)))
            return false;
    return true;
}

int room_enter(struct error *e, struct container *c)
{
    if (sources_open(e, c) < 0)
        return -1;
    if (setns(c->room, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
        return err_set(e, errno, "make mount namespace");
    if (move_mount(c->sources->root, "", AT_FDCWD, "/" ROOT_PLACE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, errno, "mount root file system");
    return fcntl(c->sources->root, F_DUPFD_CLOEXEC, 3);
}
