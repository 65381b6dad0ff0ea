/* From a create or run request to a running shim. */
#include "shim.h"

#include "clean.h"
#include "exit-file.h"
#include "foreign.h"
#include "io.h"
#include "json.h"
#include "making.h"
#include "mounts.h"
#include "serve.h"
#include "state.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int prepare(struct error *e, struct shim *shim, const struct job *job)
{
    json_object *request = job->request;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &child, NULL) < 0 ||
        (shim->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        return err_set(e, errno, "watch for ended processes");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "become subreaper");
    prctl(PR_SET_NAME, "mini-shim", 0, 0, 0);
    setsid();
    struct container *c = &shim->container;
    c->has_shim = true;
    c->room = job->room;
    c->bundle = text_format("%s", json_text(request, "bundle", "/"));
    c->config = json_object_get(json_at(request, "config"));
    c->runtime = json_object_get(json_at(request, "runtime"));
    c->overlay = json_object_get(json_at(request, "overlay"));
    const char *label = json_text(c->config, "linux.mountLabel", "");
    if (c->overlay != NULL && *label != '\0')
        json_put_text(c->overlay, OVERLAY_LABEL, label);
    shim->is_stdin_once = json_flag(request, "isStdinOnce", false);
    return c->runtime != NULL ? 0 : container_check(e, c->config);
}

struct starting {
    struct shim *shim;
    const struct job *job;
};

/* What the program must find in place: a record of its end, who answers for it, its log. */
static int prepare_end(struct error *e, void *context)
{
    const struct starting *starting = context;
    struct shim *shim = starting->shim;
    struct container *c = &shim->container;
    if (exit_reserve(e, c) < 0)
        return -1;
    cleanup_free char *title =
        text_format("mini-runtime shim %s --run-dir %s", c->id, starting->job->run_dir);
    title_set(title);
    shim->listener = socket_listen_at(e, c->dir_fd, "shim.sock");
    if (shim->listener < 0)
        return -1;
    fd_set_blocking(shim->listener, false);
    log_open(&shim->log, json_at(starting->job->request, "log"));
    return 0;
}

static int launch(struct error *e, struct shim *shim, const struct job *job, bool starts)
{
    struct starting starting = {.shim = shim, .job = job};
    struct launch launch = {.waits_for_start = !starts,
                            .stdio = {-1, -1, -1},
                            .console = -1,
                            .client = &job->connection,
                            .meanwhile = prepare_end,
                            .context = &starting};
    struct program *program = shim->main = program_new(shim);
    program->has_terminal = json_flag(shim->container.config, "process.terminal", false);
    if (!program->has_terminal &&
        program_pipes(e, program, json_flag(job->request, "hasStdin", false), launch.stdio) < 0)
        return -1;
    struct container *c = &shim->container;
    int result;
    if (c->runtime != NULL)
        result = prepare_end(e, &starting) < 0 ? -1 : foreign_launch(e, c, &launch);
    else
        result = container_launch(e, c, &launch);
    for (int fd = 0; fd < 3; fd++)
        close_now(&launch.stdio[fd]);
    if (result < 0)
        return -1;
    cleanup_close int failure = launch.failure;
    program->pid = launch.pid;
    program->oom_kills = launch.oom_kills;
    if (launch.console >= 0)
        program_hold_terminal(program, launch.console);
    time_text(program->started);
    if (!starts)
        return 0;
    if (c->runtime == NULL && container_started(e, failure) < 0) {
        waitpid(launch.pid, NULL, 0);
        return -1;
    }
    if (state_mark_started(e, c) < 0)
        return -1;
    if (c->runtime == NULL)
        container_hooks_after(c, c->config, "poststart", launch.pid);
    return 0;
}

/* A container that could not be made leaves nothing. */
static void undo(struct shim *shim)
{
    struct error ignored;
    struct container *c = &shim->container;
    bool is_foreign = c->runtime != NULL && c->cgroup.path != NULL;
    if (is_foreign)
        (void)foreign_delete(&ignored, c);
    else if (c->cgroup.path != NULL)
        (void)cgroup_remove(&ignored, &c->cgroup);
    exit_unreserve(c);
    container_forget(c);
    if (c->config != NULL && c->runtime == NULL)
        container_hooks_after(c, c->config, "poststop", 0);
}

/* Only what execs need is kept, so that an idle shim stays small. */
static void shrink(struct shim *shim)
{
    struct container *c = &shim->container;
    json_object *small = json_object_new_object();
    json_object_object_add(small, "process", json_object_get(json_at(c->config, "process")));
    json_object_object_add(small, "linux", state_linux(c->config));
    json_object_put(c->config);
    c->config = small;
    json_object_put(c->overlay);
    c->overlay = NULL;
    close_now(&c->room);
    malloc_trim(0);
}

_Noreturn void shim_request(struct job *job, bool starts)
{
    int connection = job->connection;
    json_object *request = job->request;
    struct error e = {0};
    struct shim shim = {
        .signals = -1, .listener = -1, .container = {.dir_fd = -1, .mounts_fd = -1, .room = -1}};
    cleanup_free char *id = text_format("%s", json_text(request, "id", ""));
    cleanup_json json_object *answer = NULL;
    if (container_make(&e, &shim.container, job->root, id) < 0) {
        reply_error(connection, &e);
        _exit(1);
    }
    if (job_check_daemon(&e, job) < 0 || prepare(&e, &shim, job) < 0 ||
        launch(&e, &shim, job, starts) < 0 || state_describe(&e, &shim.container, &answer) < 0) {
        undo(&shim);
        reply_error(connection, &e);
        _exit(1);
    }
    json_object_object_add(answer, "warnings", json_object_get(shim.container.warnings));
    making_end(shim.container.dir_fd);
    /* Who asked may have died meanwhile. What has begun to run goes on: the next one finds it. */
    (void)reply_result(connection, answer);
    close(connection);
    job_release(job);
    json_object_put(answer);
    answer = NULL;
    json_object_put(request);
    shrink(&shim);
    shim_loop(&shim);
    _exit(0);
}
