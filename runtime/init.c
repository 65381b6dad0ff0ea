/* The first process of a container, from its birth to exec. */
#include "attributes.h"
#include "clean.h"
#include "container.h"
#include "hooks.h"
#include "io.h"
#include "json.h"
#include "keyring.h"
#include "mounts.h"
#include "namespaces.h"
#include "proc.h"
#include "process.h"
#include "protect.h"
#include "room.h"
#include "sync.h"
#include "sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* The two sockets are kept above stdio and what is preserved, all other fds are closed. */
#define FIRST_FREE_FD 3

static int run_hooks(struct error *e, struct init *init)
{
    struct container *c = init->container;
    struct hook_call call = {.container = c,
                             .config = c->config,
                             .kind = "createContainer",
                             .status = "creating",
                             .pid = getpid()};
    if (container_waits_mounted(c->config) && (sync_send(e, init->sync, SYNC_MOUNTED) < 0 ||
                                               sync_expect(e, init->sync, SYNC_MOUNTED) < 0))
        return -1;
    return hooks_run(e, &call);
}

static int set_up_root(struct error *e, struct init *init)
{
    struct container *c = init->container;
    cleanup_close int root_fd = room_fits(c) ? room_enter(e, c) : mounts_root(e, c);
    if (root_fd < 0)
        return -1;
    json_object *mounts = json_at(c->config, "mounts");
    size_t count = json_count(mounts, "");
    for (size_t i = 0; i < count; i++) {
        if (mounts_one(e, c, root_fd, i) < 0)
            return -1;
    }
    if (devices_make(e, c, root_fd) < 0)
        return -1;
    return run_hooks(e, init) < 0 ? -1 : mounts_pivot(e, root_fd);
}

static int set_names(struct error *e, json_object *config)
{
    const char *host = json_text(config, "hostname", ""),
               *domain = json_text(config, "domainname", "");
    if (*host != '\0' && sethostname(host, strlen(host)) < 0)
        return err_set(e, errno, "set hostname %s", host);
    if (*domain != '\0' && setdomainname(domain, strlen(domain)) < 0)
        return err_set(e, errno, "set domain name %s", domain);
    return 0;
}

static int set_up_terminal(struct error *e, struct init *init)
{
    cleanup_close int master = process_terminal(e, json_at(init->container->config, "process"));
    if (master < 0)
        return -1;
    if (protect_console(e, 0) < 0)
        return -1;
    if (fd_send(init->sync, master) < 0)
        return err_set(e, errno, "send terminal");
    return 0;
}

/* No fd of the host may be reachable when the working directory is entered: only the two sockets
 * stay. */
static int keep_sockets(struct error *e, struct init *init)
{
    int place = FIRST_FREE_FD + init->launch->preserve_fds;
    int sync = fcntl(init->sync, F_DUPFD_CLOEXEC, place + 2);
    int listener = init->listener < 0 ? -1 : fcntl(init->listener, F_DUPFD_CLOEXEC, place + 2);
    if (sync < 0 || (init->listener >= 0 && listener < 0))
        return err_set(e, errno, "move sockets");
    if (dup3(sync, place, O_CLOEXEC) < 0 ||
        (listener >= 0 && dup3(listener, place + 1, O_CLOEXEC) < 0))
        return err_set(e, errno, "move sockets");
    init->sync = place;
    init->listener = listener < 0 ? -1 : place + 1;
    if (close_range((unsigned int)(listener < 0 ? place + 1 : place + 2), UINT_MAX, 0) < 0)
        return err_set(e, errno, "close other fds");
    return 0;
}

static int set_up(struct error *e, struct init *init, char **program)
{
    json_object *config = init->container->config;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setsid() < 0)
        return err_set(e, errno, "begin container process");
    prctl(PR_SET_NAME, "mini-init", 0, 0, 0);
    /* In a user namespace both has been done before: see container-users.c. */
    bool is_outside = init->container->users == NULL;
    if (proc_hold(e) < 0)
        return -1;
    if (is_outside && (cgroup_enter(e, &init->container->cgroup) < 0 ||
                       attributes_apply(e, config, json_at(config, "process")) < 0))
        return -1;
    if (attributes_time(e, config) < 0)
        return -1;
    if (mounts_read_memberships(e, init->container) < 0)
        return -1;
    /* Made by a member of the cgroup, so that it is the new namespace's root. */
    if (namespace_is_new(config, "cgroup") && unshare(CLONE_NEWCGROUP) < 0)
        return err_set(e, errno, "make cgroup namespace");
    if (is_outside && namespaces_join(e, config) < 0)
        return -1;
    if (set_up_root(e, init) < 0 || set_names(e, config) < 0 || sysctls_apply(e, config) < 0)
        return -1;
    if (!init->container->keeps_keyring && keyring_join(e, init->container->id) < 0)
        return -1;
    if (json_flag(config, "process.terminal", false) ? set_up_terminal(e, init) < 0
                                                     : process_stdio(e, init->launch->stdio) < 0)
        return -1;
    if (mounts_finish(e, config) < 0 || keep_sockets(e, init) < 0)
        return -1;
    return process_become(e, json_at(config, "process"), init->filter, program);
}

/* The connection on which `start` waits for the outcome; whoever connects starts it. */
static int await_start(struct error *e, int listener)
{
    int connection;
    do
        connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (connection < 0 && errno == EINTR);
    if (connection < 0)
        return err_set(e, errno, "wait for start");
    close(listener);
    return connection;
}

static int run_start_hooks(struct error *e, const struct container *c)
{
    struct hook_call call = {.container = c,
                             .config = c->config,
                             .kind = "startContainer",
                             .status = "created",
                             .pid = getpid(),
                             .cwd = "/"};
    return hooks_run(e, &call);
}

_Noreturn void init_run(struct init *init)
{
    struct error e = {0};
    char *program = NULL;
    json_object *process = json_at(init->container->config, "process");
    int channel = init->sync;
    int result = set_up(&e, init, &program);
    channel = init->sync;
    if (result == 0)
        result = sync_send(&e, channel, SYNC_READY); /* sync 1 */
    if (result == 0)
        result = sync_expect(&e, channel, SYNC_EXECUTE); /* sync 2 */
    if (result == 0 && init->listener >= 0) {
        close(channel);
        channel = result = await_start(&e, init->listener);
    }
    if (result >= 0)
        result = run_start_hooks(&e, init->container);
    if (result >= 0) {
        process_reset_signals();
        process_execute(&e, process, init->filter, program);
    }
    sync_send_error(channel, &e); /* sync 1 or 3 */
    _exit(e.code == ENOENT ? 127 : 126);
}
