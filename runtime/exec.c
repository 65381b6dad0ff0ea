#include "exec.h"

#include "attributes.h"
#include "clean.h"
#include "config-types.h"
#include "filter.h"
#include "io.h"
#include "json.h"
#include "keyring.h"
#include "namespaces.h"
#include "proc.h"
#include "process.h"
#include "rlimits.h"
#include "state.h"
#include "sync.h"
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>

/* Above stdio and what is preserved. */
#define FIRST_FREE_FD 3

json_object *exec_process(json_object *config, json_object *request)
{
    static const char *const replaced[] = {"args", "env", "cwd", "user", "consoleSize"};
    json_object *own = json_at(config, "process"), *process = json_object_new_object();
    if (json_object_is_type(own, json_type_object)) {
        json_object_object_foreach(own, key, value)
            json_object_object_add(process, key, json_object_get(value));
    }
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++)
        if (json_at(request, replaced[i]) != NULL)
            json_object_object_add(process, replaced[i],
                                   json_object_get(json_at(request, replaced[i])));
    json_object_object_add(process, "terminal",
                           json_object_new_boolean(json_flag(request, "hasTerminal", false)));
    json_object *more = json_at(request, "process");
    if (json_object_is_type(more, json_type_object)) {
        json_object_object_foreach(more, key, value)
            json_object_object_add(process, key, json_object_get(value));
    }
    return process;
}

/* What is refused inside a user namespace, or could not be found there. */
static int prepare_users(struct error *e, const struct exec *exec, struct userns_root *root)
{
    cleanup_free char *process = text_format("/proc/%d", (int)exec->container_pid);
    cleanup_free char *path = text_format("%s/uid_map", process);
    cleanup_free char *map = NULL;
    if (userns_root_ids(e, process, root) < 0 || file_read(e, path, &map, 65536) < 0 ||
        rlimits_apply(e, exec->process) < 0)
        return -1;
    userns_own_pipes(exec->stdio, map, json_number(exec->process, "user.uid", 0));
    return setgroups(0, NULL) < 0 ? err_set(e, errno, "drop groups") : 0;
}

static int join(struct error *e, const struct container *c, const struct exec *exec, int pidfd)
{
    int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
    bool has_users = userns_differs(exec->container_pid);
    struct userns_root root = {0};
    if (namespace_is_listed(exec->config, "time"))
        flags |= CLONE_NEWTIME;
    if (has_users)
        flags |= CLONE_NEWUSER;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setsid() < 0)
        return err_set(e, errno, "begin process");
    /* Before the cgroup namespace: it is entered as a member. */
    if (attributes_affinity(e, exec->process, "initial") < 0 || cgroup_enter(e, &c->cgroup) < 0 ||
        attributes_affinity(e, exec->process, "final") < 0 || proc_hold(e) < 0 ||
        attributes_apply(e, exec->config, exec->process) < 0)
        return -1;
    if (has_users && prepare_users(e, exec, &root) < 0)
        return -1;
    if (setns(pidfd, flags) < 0)
        return err_set(e, errno, "join the container's namespaces");
    return has_users ? userns_become_root(e, &root) : 0;
}

static int set_up(struct error *e, const struct exec *exec, const struct filter *filter, int *sync,
                  char **program)
{
    if (json_flag(exec->process, "terminal", false)) {
        cleanup_close int master = process_terminal(e, exec->process);
        if (master < 0)
            return -1;
        if (fd_send(*sync, master) < 0)
            return err_set(e, errno, "send terminal");
    } else if (process_stdio(e, exec->stdio) < 0) {
        return -1;
    }
    /* No fd of the host may be reachable when the working directory is entered. */
    int place = FIRST_FREE_FD + exec->preserve_fds;
    if (*sync != place && dup3(*sync, place, O_CLOEXEC) < 0)
        return err_set(e, errno, "move socket");
    *sync = place;
    if (close_range((unsigned int)place + 1, UINT_MAX, 0) < 0)
        return err_set(e, errno, "close other fds");
    return process_become(e, exec->process, filter, program);
}

static _Noreturn void run(const struct container *c, const struct exec *exec, int pidfd, int sync)
{
    struct error e = {0};
    char *program = NULL;
    struct filter filter = {0};
    prctl(PR_SET_NAME, "mini-exec", 0, 0, 0);
    if (filter_read(&e, c, exec->config, &filter) == 0 && join(&e, c, exec, pidfd) == 0 &&
        (json_flag(exec->config, KEEPS_KEYRING, false) || keyring_join(&e, c->id) == 0) &&
        set_up(&e, exec, &filter, &sync, &program) == 0) {
        process_reset_signals();
        process_execute(&e, exec->process, &filter, program);
    }
    sync_send_error(sync, &e);
    _exit(e.code == ENOENT ? 127 : 126);
}

int exec_launch(struct error *e, struct container *c, pid_t container_pid, struct exec *exec)
{
    int pair[2];
    char path[64];
    if (process_types_check(e, "process", exec->process) < 0)
        return -1;
    exec->container_pid = container_pid;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)container_pid);
    cleanup_close int pidfd = pidfd_open(container_pid, 0);
    cleanup_close int pids = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_close int own_pids = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (pidfd < 0 || pids < 0 || own_pids < 0)
        return err_set(e, errno, "container %s is not running", c->id);
    if (sync_pair(e, pair) < 0)
        return -1;
    cleanup_close int host_end = pair[0], child_end = pair[1];
    if (setns(pids, CLONE_NEWPID) < 0)
        return err_set(e, errno, "join the container's pid namespace");
    exec->pid = cgroup_fork(e, &c->cgroup, 0);
    if (exec->pid == 0)
        run(c, exec, pidfd, child_end);
    if (setns(own_pids, CLONE_NEWPID) < 0)
        return err_set(e, errno, "return to own pid namespace");
    if (exec->pid < 0)
        return err_wrap(e, "exec in container %s", c->id);
    exec->failure = steal_fd(&host_end);
    return 0;
}
