/* The host's side of making and starting a container. */
#include "container.h"

#include "clean.h"
#include "container-users.h"
#include "filter.h"
#include "foreign.h"
#include "hooks.h"
#include "io.h"
#include "json.h"
#include "making.h"
#include "namespaces.h"
#include "room.h"
#include "state.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ID_SIZE_MAX 255
/* Holds the path of the cgroups before they are made. */
#define CGROUP_NOTE "cgroup"

int container_check_id(struct error *e, const char *id)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
    size_t size = strlen(id);
    if (size == 0 || size > ID_SIZE_MAX || strspn(id, allowed) != size || *id == '.')
        return err_set(e, 0, "invalid container id \"%s\"", id);
    return 0;
}

/* Of one whose making was cut off: what it has of its cgroups must go, too. */
static void find_noted_cgroup(struct container *c)
{
    struct error ignored;
    cleanup_free char *file = text_format("%s/" CGROUP_NOTE, c->dir), *path = NULL;
    if (file_read(&ignored, file, &path, PATH_MAX) == 0)
        cgroup_find(&c->cgroup, path);
}

int container_open(struct error *e, struct container *c, const char *root, const char *id)
{
    *c = (struct container){.root = root, .id = id, .dir_fd = -1, .mounts_fd = -1, .room = -1};
    if (container_check_id(e, id) < 0)
        return -1;
    c->dir = text_format("%s/%s", root, id);
    c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0) {
        int code = errno;
        if (code == ENOENT)
            err_set(e, 0, "container \"%s\" does not exist", id);
        else
            err_set(e, code, "open %s", c->dir);
        e->code = code;
        return -1;
    }
    struct error ignored;
    cleanup_json json_object *state = NULL;
    c->warnings = json_object_new_array();
    foreign_find(c);
    if (state_read(&ignored, c, &state) == 0) {
        container_cgroup(c, state);
        c->bundle = text_format("%s", json_text(state, "bundle", "/"));
    } else {
        find_noted_cgroup(c);
    }
    return 0;
}

int container_make(struct error *e, struct container *c, const char *root, const char *id)
{
    if (container_check_id(e, id) < 0 || make_dirs(e, root, 0700) < 0)
        return -1;
    cleanup_free char *dir = text_format("%s/%s", root, id);
    if (mkdir(dir, 0700) < 0) {
        int code = errno;
        if (code == EEXIST)
            err_set(e, 0, "container with id \"%s\" already exists", id);
        else
            err_set(e, code, "mkdir %s", dir);
        e->code = code;
        return -1;
    }
    c->root = root;
    c->id = id;
    c->dir = dir;
    dir = NULL;
    c->dir_fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->warnings = json_object_new_array();
    if (c->dir_fd < 0)
        return err_set(e, errno, "open %s", c->dir);
    return making_begin(e, c->dir_fd);
}

void container_close(struct container *c)
{
    close_now(&c->dir_fd);
    close_now(&c->mounts_fd);
    free(c->dir);
    free(c->bundle);
    free(c->memberships);
    json_object_put(c->config);
    json_object_put(c->overlay);
    json_object_put(c->runtime);
    json_object_put(c->warnings);
    cgroup_free(&c->cgroup);
    *c = NO_CONTAINER;
}

/* Makes children be born in the config's pid namespace; *own then leads back. */
static int enter_pid_namespace(struct error *e, json_object *config, int *own)
{
    const char *path = namespace_path(config, "pid");
    if (path == NULL)
        return 0;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    *own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || *own < 0)
        return err_set(e, errno, "open namespace %s", path);
    if (setns(fd, CLONE_NEWPID) < 0)
        return err_set(e, errno, "join pid namespace %s", path);
    return 0;
}

static pid_t fork_init(struct error *e, struct container *c, struct init *init, int host_end)
{
    cleanup_close int own_pids = -1;
    if (c->users != NULL)
        return users_fork(e, c, init, host_end);
    if (enter_pid_namespace(e, c->config, &own_pids) < 0)
        return -1;
    /* It goes into a mount namespace later, without a copy of this one. */
    unsigned int later = room_fits(c) ? CLONE_NEWNS : 0;
    pid_t pid = cgroup_fork(e, &c->cgroup, namespaces_new(c->config) & ~later);
    if (pid == 0) {
        close(host_end);
        init_run(init);
    }
    if (own_pids >= 0 && setns(own_pids, CLONE_NEWPID) < 0)
        return err_set(e, errno, "return to own pid namespace");
    return pid;
}

/* Once the mounts are made, before the root is entered. */
static int run_create_hooks(struct error *e, const struct container *c, pid_t pid, int host_end)
{
    static const char *const kinds[] = {"prestart", "createRuntime"};
    if (!container_waits_mounted(c->config))
        return 0;
    if (sync_expect(e, host_end, SYNC_MOUNTED) < 0) /* sync 0 */
        return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct hook_call call = {.container = c,
                                 .config = c->config,
                                 .kind = kinds[i],
                                 .status = "creating",
                                 .pid = pid};
        if (hooks_run(e, &call) < 0)
            return -1;
    }
    return sync_send(e, host_end, SYNC_MOUNTED);
}

bool container_waits_mounted(json_object *config)
{
    return hooks_has(config, "prestart") || hooks_has(config, "createRuntime");
}

void container_hooks_after(const struct container *c, json_object *state, const char *kind,
                           pid_t pid)
{
    struct hook_call call = {.container = c,
                             .config = state,
                             .kind = kind,
                             .status = pid > 0 ? "running" : "stopped",
                             .pid = pid};
    hooks_run_all(&call);
}

/* Who asked has died or given up as long as nothing ran: then it is as if it never had been asked
 * for. */
int launch_check_client(struct error *e, const struct container *c, const struct launch *launch)
{
    char byte;
    if (launch->client == NULL || recv(*launch->client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
        return 0;
    return err_set(e, ECANCELED, "start container %s: nobody waits for it", c->id);
}

static int finish_launch(struct error *e, struct container *c, struct launch *launch, int host_end)
{
    /* Beside the first process, which sets itself up. */
    launch->oom_kills = cgroup_oom_kills(&c->cgroup);
    cleanup_free char *state = state_text(c, launch->pid);
    if (launch->meanwhile != NULL && launch->meanwhile(e, launch->context) < 0)
        return -1;
    if (run_create_hooks(e, c, launch->pid, host_end) < 0)
        return -1;
    /* sync 1 */
    if (sync_expect_ready(e, host_end, &launch->console) < 0)
        return -1;
    if (launch_check_client(e, c, launch) < 0)
        return -1;
    if (state_write(e, c, state) < 0)
        return -1;
    return sync_send(e, host_end, SYNC_EXECUTE); /* sync 2 */
}

/* The filter is read here: in a user namespace nobody may. */
static pid_t begin(struct error *e, struct container *c, struct init *init, int host_end)
{
    struct filter filter = {0};
    if (filter_prepare(e, c) < 0 || filter_read(e, c, c->config, &filter) < 0)
        return -1;
    init->filter = &filter;
    pid_t pid = users_prepare(e, c) < 0 ? -1 : fork_init(e, c, init, host_end);
    free(filter.code);
    return pid;
}

int container_launch(struct error *e, struct container *c, struct launch *launch)
{
    cleanup_close int listener = -1;
    int pair[2];
    launch->console = launch->failure = -1;
    devices_deny_rest(c->config);
    if (cgroup_plan(e, &c->cgroup, c->config, c->id) < 0 ||
        file_replace_at(e, c->dir_fd, CGROUP_NOTE, c->cgroup.path) < 0 ||
        cgroup_make(e, &c->cgroup) < 0 ||
        cgroup_limit(e, &c->cgroup, json_at(c->config, "linux.resources"), c->warnings) < 0)
        return -1;
    if (launch->waits_for_start && (listener = socket_listen_at(e, c->dir_fd, "start.sock")) < 0)
        return -1;
    if (sync_pair(e, pair) < 0)
        return -1;
    cleanup_close int host_end = pair[0];
    struct init init = {.container = c, .launch = launch, .sync = pair[1], .listener = listener};
    launch->pid = begin(e, c, &init, host_end);
    close_now(&init.sync);
    users_release(c);
    if (launch->pid < 0)
        return -1;
    if (finish_launch(e, c, launch, host_end) < 0) {
        /* Its own message tells more than ours about a broken connection. */
        struct error told = {0};
        if (e->code == EPIPE && sync_expect_end(&told, host_end) < 0)
            *e = told;
        kill(launch->pid, SIGKILL);
        waitpid(launch->pid, NULL, 0);
        return -1;
    }
    launch->failure = steal_fd(&host_end);
    return 0;
}

int container_started(struct error *e, int failure_fd)
{
    return sync_expect_end(e, failure_fd);
}

static int release(struct error *e, struct container *c)
{
    cleanup_close int connection = socket_connect_at(e, c->dir_fd, "start.sock");
    if (connection < 0)
        return -1;
    unlinkat(c->dir_fd, "start.sock", 0);
    if (state_mark_started(e, c) < 0)
        return -1;
    return sync_expect_end(e, connection);
}

int container_start(struct error *e, struct container *c)
{
    cleanup_json json_object *state = NULL;
    if (state_read(e, c, &state) < 0)
        return -1;
    const char *status = state_status(c, state);
    if (strcmp(status, "created") != 0)
        return err_set(e, EBUSY, "cannot start container \"%s\": it is %s", c->id, status);
    if (c->runtime != NULL)
        return foreign_verb(e, c, "start", c->id, NULL) < 0 ? -1 : state_mark_started(e, c);
    if (release(e, c) < 0)
        return -1;
    container_hooks_after(c, state, "poststart", (pid_t)json_number(state, "pid", 0));
    return 0;
}
