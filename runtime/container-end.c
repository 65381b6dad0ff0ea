/* Signalling and deleting containers. */
#include "container.h"

#include "clean.h"
#include "exit-file.h"
#include "foreign.h"
#include "io.h"
#include "json.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a killed container may take to be gone, and its shim to write down how it ended. */
#define END_WAIT_MS 10000

/* Told from a kill for want of memory by this mark. */
#define KILLED_MARK "killed"

static void mark_killed(const struct container *c)
{
    cleanup_close int fd = openat(c->dir_fd, KILLED_MARK, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)fd;
}

bool container_was_killed(const struct container *c)
{
    return faccessat(c->dir_fd, KILLED_MARK, F_OK, 0) == 0;
}

static int kill_process(struct error *e, struct container *c, int process, int number)
{
    if (pidfd_send_signal(process, number, NULL, 0) < 0)
        return err_set(e, errno, "signal %d to container %s", number, c->id);
    /* Frozen on v1 it would not die before it is thawed. */
    if (number == SIGKILL && cgroup_is_frozen(&c->cgroup))
        return cgroup_freeze(e, &c->cgroup, false);
    return 0;
}

/* When its runtime is not on the host any more, this helper does what it can. */
static int kill_foreign(struct error *e, struct container *c, int process, int number, bool for_all)
{
    if (foreign_kill(e, c, number, for_all) == 0)
        return 0;
    if (e->code == ENOENT)
        return kill_process(e, c, process, number);
    struct pollfd ended = {.fd = process, .events = POLLIN};
    return poll(&ended, 1, 0) != 0 ? err_set(e, ESRCH, "container %s is not running", c->id) : -1;
}

int container_kill(struct error *e, struct container *c, int number, bool is_for_all)
{
    cleanup_json json_object *state = NULL;
    if (state_read(e, c, &state) < 0)
        return -1;
    if (is_for_all && number == SIGKILL)
        mark_killed(c);
    if (is_for_all && c->runtime == NULL)
        return cgroup_signal_all(e, &c->cgroup, number);
    cleanup_close int process = state_process(e, c, state);
    if (process < 0)
        return -1;
    if (number == SIGKILL)
        mark_killed(c);
    return c->runtime != NULL ? kill_foreign(e, c, process, number, is_for_all)
                              : kill_process(e, c, process, number);
}

void container_forget(struct container *c)
{
    cleanup_dir DIR *handle = c->dir == NULL ? NULL : opendir(c->dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlinkat(dirfd(handle), entry->d_name, 0) < 0)
            unlinkat(dirfd(handle), entry->d_name, AT_REMOVEDIR);
    if (c->dir != NULL)
        rmdir(c->dir);
}

/* The shim closes its socket once it has written exit.json. */
static void await_shim(struct container *c)
{
    struct error ignored;
    cleanup_close int connection = socket_connect_at(&ignored, c->dir_fd, "shim.sock");
    struct pollfd gone = {.fd = connection, .events = POLLIN};
    if (connection < 0)
        return;
    char byte;
    while (poll(&gone, 1, END_WAIT_MS) < 0 && errno == EINTR)
        continue;
    (void)!recv(connection, &byte, 1, MSG_DONTWAIT);
}

/* The last member of a mount namespace takes it down, which takes several milliseconds, before its
 * end is told. Held here, it goes once the answer has been given. */
static void hold_mounts(struct container *c, json_object *state)
{
    cleanup_free char *path = text_format("/proc/%d/ns/mnt", (int)json_number(state, "pid", 0));
    if (c->mounts_fd < 0)
        c->mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static int end_process(struct error *e, struct container *c, json_object *state, int process)
{
    struct pollfd gone = {.fd = process, .events = POLLIN};
    struct error ignored;
    hold_mounts(c, state);
    mark_killed(c);
    if (pidfd_send_signal(process, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return err_set(e, errno, "kill container %s", c->id);
    (void)cgroup_freeze(&ignored, &c->cgroup, false);
    int count;
    do
        count = poll(&gone, 1, END_WAIT_MS);
    while (count < 0 && errno == EINTR);
    if (count == 0)
        return err_set(e, ETIMEDOUT, "kill container %s", c->id);
    return 0;
}

int container_end(struct error *e, struct container *c, json_object *state)
{
    struct error ignored;
    cleanup_close int process = state_process(&ignored, c, state);
    if (process >= 0 && end_process(e, c, state, process) < 0)
        return -1;
    return cgroup_signal_all(e, &c->cgroup, SIGKILL);
}

int container_delete(struct error *e, struct container *c, bool is_forced)
{
    struct error ignored;
    cleanup_json json_object *state = NULL;
    if (state_read(&ignored, c, &state) < 0) {
        /* Its making was cut short before anything could run outside its cgroups. */
        if (!is_forced)
            return err_set(e, 0, "container \"%s\" has no state: delete it with force", c->id);
        if (c->runtime != NULL && foreign_delete(e, c) < 0)
            return -1;
        if (c->cgroup.path != NULL && cgroup_remove(e, &c->cgroup) < 0)
            return -1;
        exit_unreserve(c);
        container_forget(c);
        return 0;
    }
    cleanup_close int process = state_process(&ignored, c, state);
    const char *status = state_status(c, state);
    if (process >= 0 && !is_forced && strcmp(status, "created") != 0) {
        err_set(e, 0, "cannot delete container \"%s\" that is not stopped: %s", c->id, status);
        e->code = EBUSY;
        return -1;
    }
    if (process >= 0 && end_process(e, c, state, process) < 0)
        return -1;
    if (c->runtime != NULL && foreign_delete(e, c) < 0)
        return -1;
    if (cgroup_remove(e, &c->cgroup) < 0)
        return -1;
    await_shim(c);
    container_forget(c);
    if (c->runtime == NULL)
        container_hooks_after(c, state, "poststop", 0);
    return 0;
}
