#include "userns.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The kernel's own limit of ranges in one map. */
#define RANGES_MAX 340
#define MAP_SIZE_MAX ((size_t)RANGES_MAX * 36)

static int check_ranges(struct error *e, const char *name, json_object *list)
{
    size_t count = json_count(list, "");
    if (count == 0 || count > RANGES_MAX)
        return err_set(e, 0, "%s must have 1 to %d entries", name, RANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        json_object *range = json_entry(list, i);
        int64_t inside = json_number(range, "containerID", -1),
                outside = json_number(range, "hostID", -1), size = json_number(range, "size", 0);
        if (inside < 0 || outside < 0 || size <= 0 || inside + size > UINT32_MAX ||
            outside + size > UINT32_MAX)
            return err_set(e, 0, "%s[%zu]: containerID, hostID and size must be ids", name, i);
    }
    return 0;
}

static char *map_text(json_object *list)
{
    size_t count = json_count(list, "");
    char *text = text_format("%s", "");
    for (size_t i = 0; i < count; i++) {
        json_object *range = json_entry(list, i);
        char *longer = text_format(
            "%s%lld %lld %lld\n", text, (long long)json_number(range, "containerID", 0),
            (long long)json_number(range, "hostID", 0), (long long)json_number(range, "size", 0));
        free(text);
        text = longer;
    }
    return text;
}

/* Tells how /proc names this process, and stays until the channel is closed. */
static _Noreturn void hold(int channel)
{
    char self[16] = "", byte;
    ssize_t size = readlink("/proc/self", self, sizeof self - 1);
    if (size <= 0 || write_all(channel, self, (size_t)size) < 0)
        _exit(1);
    (void)!read(channel, &byte, 1);
    _exit(0);
}

static int write_maps(struct error *e, const char *process, json_object *uids, json_object *gids)
{
    cleanup_free char *uid_path = text_format("/proc/%s/uid_map", process);
    cleanup_free char *gid_path = text_format("/proc/%s/gid_map", process);
    cleanup_free char *user_path = text_format("/proc/%s/ns/user", process);
    cleanup_free char *uid_map = map_text(uids), *gid_map = map_text(gids);
    if (file_write(e, uid_path, uid_map) < 0 || file_write(e, gid_path, gid_map) < 0)
        return err_wrap(e, "map ids of the user namespace");
    int fd = open(user_path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open user namespace") : fd;
}

int userns_make(struct error *e, json_object *uids, json_object *gids)
{
    int pair[2];
    if (check_ranges(e, "uidMappings", uids) < 0 || check_ranges(e, "gidMappings", gids) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, errno, "socketpair");
    cleanup_close int own = pair[0], other = pair[1];
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        close(own);
        hold(other);
    }
    if (pid < 0)
        return err_set(e, errno, "make user namespace%s",
                       errno == ENOSPC ? " (sysctl user.max_user_namespaces)" : "");
    close_now(&other);
    char process[16] = "";
    int fd = -1;
    if (recv(own, process, sizeof process - 1, 0) <= 0)
        err_set(e, 0, "make user namespace: /proc does not show its process");
    else
        fd = write_maps(e, process, uids, gids);
    close_now(&own);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return fd;
}

int userns_check(struct error *e, json_object *config)
{
    json_object *uids = json_at(config, "linux.uidMappings");
    json_object *gids = json_at(config, "linux.gidMappings");
    bool has_maps = json_count(uids, "") > 0 || json_count(gids, "") > 0;
    if (namespace_is_new(config, "user")) {
        if (check_ranges(e, "linux.uidMappings", uids) < 0 ||
            check_ranges(e, "linux.gidMappings", gids) < 0)
            return err_wrap(e, "config.json: a new user namespace needs mappings");
    } else if (has_maps && namespace_path(config, "user") == NULL) {
        return err_set(e, 0,
                       "config.json: linux.uidMappings and linux.gidMappings need a user "
                       "namespace in linux.namespaces");
    }
    return 0;
}

int userns_of(struct error *e, json_object *config, int *fd)
{
    const char *path = namespace_path(config, "user");
    *fd = -1;
    if (path != NULL) {
        struct stat there, here;
        cleanup_close int found = open(path, O_RDONLY | O_CLOEXEC);
        if (found < 0 || fstat(found, &there) < 0 || stat("/proc/self/ns/user", &here) < 0)
            return err_set(e, errno, "open namespace %s", path);
        if (there.st_ino != here.st_ino || there.st_dev != here.st_dev)
            *fd = steal_fd(&found);
        return 0;
    }
    if (!namespace_is_new(config, "user"))
        return 0;
    *fd =
        userns_make(e, json_at(config, "linux.uidMappings"), json_at(config, "linux.gidMappings"));
    return *fd < 0 ? -1 : 0;
}

int userns_enter(struct error *e, int fd)
{
    /* Groups of the host's must not go along: inside they could not be dropped any more. */
    if (setgroups(0, NULL) < 0)
        return err_set(e, errno, "drop groups");
    if (setns(fd, CLONE_NEWUSER) < 0)
        return err_set(e, errno, "join user namespace");
    return 0;
}

static long first_inside(struct error *e, const char *process, const char *name)
{
    cleanup_free char *path = text_format("%s/%s", process, name);
    cleanup_free char *text = NULL;
    if (file_read(e, path, &text, MAP_SIZE_MAX) < 0)
        return -1;
    if (*text == '\0')
        return err_set(e, 0, "the user namespace has no ids mapped");
    return userns_outside(text, 0) >= 0 ? 0 : strtol(text, NULL, 10);
}

int userns_root_ids(struct error *e, const char *process, struct userns_root *root)
{
    root->uid = first_inside(e, process, "uid_map");
    root->gid = root->uid < 0 ? -1 : first_inside(e, process, "gid_map");
    return root->gid < 0 ? -1 : 0;
}

int userns_become_root(struct error *e, const struct userns_root *root)
{
    gid_t gid = (gid_t)root->gid;
    uid_t uid = (uid_t)root->uid;
    if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return err_set(e, errno, "become root of the user namespace");
    return 0;
}

int64_t userns_outside(const char *map, int64_t inside)
{
    long long begin, outside, size;
    int used;
    while (sscanf(map, "%lld %lld %lld%n", &begin, &outside, &size, &used) == 3) {
        if (begin < 0 || outside < 0 || outside > UINT32_MAX)
            return -1; /* No map of the kernel's. */
        if (inside >= begin && inside - begin < size)
            return outside + inside - begin;
        map += used;
    }
    return -1;
}

bool userns_differs(pid_t pid)
{
    char path[64];
    struct stat there, here;
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    return stat(path, &there) == 0 && stat("/proc/self/ns/user", &here) == 0 &&
           (there.st_ino != here.st_ino || there.st_dev != here.st_dev);
}

void userns_own_pipes(const int stdio[3], const char *map, int64_t uid)
{
    int64_t owner = userns_outside(map, uid);
    for (int fd = 0; owner >= 0 && fd < 3; fd++) {
        struct stat info;
        int pipe = stdio[fd] >= 0 ? stdio[fd] : fd;
        /* What cannot be given away stays usable through its fd. */
        if (fstat(pipe, &info) == 0 && S_ISFIFO(info.st_mode))
            (void)!fchown(pipe, (uid_t)owner, (gid_t)-1);
    }
}
