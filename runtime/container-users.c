#include "container-users.h"

#include "attributes.h"
#include "clean.h"
#include "io.h"
#include "json.h"
#include "mounts.h"
#include "namespaces.h"
#include "proc.h"
#include "process.h"
#include "rlimits.h"
#include "sync.h"
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MAP_SIZE_MAX ((size_t)12 << 10)

/* From the process between: where the first process is, and how ids are mapped for it. */
struct birth {
    pid_t pid;
    char uid_map[MAP_SIZE_MAX];
};

int users_prepare(struct error *e, struct container *c)
{
    int fd;
    if (userns_of(e, c->config, &fd) < 0)
        return -1;
    if (fd < 0)
        return 0;
    c->users = calloc(1, sizeof *c->users);
    if (c->users == NULL) {
        close(fd);
        return err_set(e, ENOMEM, "user namespace");
    }
    c->users->fd = fd;
    if (sources_open(e, c) < 0) {
        users_release(c);
        return -1;
    }
    return 0;
}

void users_release(struct container *c)
{
    struct users *users = c->users;
    if (users == NULL)
        return;
    c->users = NULL;
    sources_close(c);
    close_now(&users->fd);
    free(users);
}

/* Takes on with the host's rights what would be refused inside. */
static int take_on(struct error *e, struct container *c)
{
    json_object *process = json_at(c->config, "process");
    if (cgroup_enter(e, &c->cgroup) < 0 || proc_hold(e) < 0 ||
        attributes_apply(e, c->config, process) < 0 || rlimits_apply(e, process) < 0 ||
        namespaces_join(e, c->config) < 0)
        return -1;
    const char *pids = namespace_path(c->config, "pid");
    cleanup_close int fd = pids == NULL ? -1 : open(pids, O_RDONLY | O_CLOEXEC);
    if (pids != NULL && (fd < 0 || setns(fd, CLONE_NEWPID) < 0))
        return err_set(e, errno, "join pid namespace %s", pids);
    return 0;
}

static int read_map(struct error *e, int process_fd, char *map)
{
    cleanup_close int fd = openat(process_fd, "uid_map", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, map, MAP_SIZE_MAX - 1);
    if (size < 0)
        return err_set(e, errno, "read uid_map");
    map[size] = '\0';
    return 0;
}

static int give_birth(struct error *e, struct container *c, struct init *init, struct birth *birth)
{
    struct clone_args args = {.flags = namespaces_new(c->config) | CLONE_PARENT};
    cleanup_free char *place = mounts_root_path(c);
    /* Of this procfs: another mount namespace need not have one that shows us. */
    cleanup_close int own = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (own < 0)
        return err_set(e, errno, "open /proc/self");
    if (take_on(e, c) < 0)
        return -1;
    /* The directory where the root will be mounted goes along as the working directory: the way to
     * it may be closed to the user namespace. */
    if (chdir(place) < 0)
        return err_set(e, errno, "enter %s", place);
    if (userns_enter(e, c->users->fd) < 0 || read_map(e, own, birth->uid_map) < 0)
        return -1;
    birth->pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (birth->pid == 0)
        init_run(init);
    return birth->pid < 0 ? err_set(e, errno, "make process in the user namespace") : 0;
}

/* The process between. */
static _Noreturn void run_between(struct container *c, struct init *init)
{
    struct error e = {0};
    struct birth birth = {0};
    if (give_birth(&e, c, init, &birth) < 0) {
        sync_send_error(init->sync, &e);
        _exit(1);
    }
    _exit(send(init->sync, &birth, sizeof birth, MSG_NOSIGNAL) == sizeof birth ? 0 : 1);
}

pid_t users_fork(struct error *e, struct container *c, struct init *init, int host_end)
{
    struct birth birth;
    pid_t between = cgroup_fork(e, &c->cgroup, 0);
    if (between == 0) {
        close(host_end);
        run_between(c, init);
    }
    if (between < 0)
        return -1;
    close_now(&init->sync);
    int result = sync_expect_data(e, host_end, &birth, sizeof birth);
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (result < 0)
        return -1;
    birth.uid_map[MAP_SIZE_MAX - 1] = '\0';
    userns_own_pipes(init->launch->stdio, birth.uid_map,
                     json_number(c->config, "process.user.uid", 0));
    return birth.pid;
}

int users_root(struct error *e, struct container *c)
{
    int tree = c->sources->root;
    struct userns_root root;
    /* All that came from the host's namespace is a slave of it already. */
    if (userns_root_ids(e, "/proc/self", &root) < 0)
        return -1;
    if (move_mount(tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, errno, "mount root file system");
    if (userns_become_root(e, &root) < 0)
        return -1;
    return fcntl(tree, F_DUPFD_CLOEXEC, 3);
}
