/* Verbs of the command line that make processes: create and run. Without a shim, the caller's
 * stdio is used. */
#include "cli.h"

#include "clean.h"
#include "container.h"
#include "foreground.h"
#include "io.h"
#include "json.h"
#include "making.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int load(struct error *e, struct cli *cli, struct container *c)
{
    cleanup_free char *bundle = realpath(cli->bundle, NULL);
    if (bundle == NULL)
        return err_set(e, errno, "bundle %s", cli->bundle);
    cleanup_free char *path = text_format("%s/config.json", bundle);
    *c = (struct container){.dir_fd = -1, .mounts_fd = -1, .room = -1};
    if (json_read_file(e, path, &c->config) < 0 || container_check(e, c->config) < 0 ||
        foreground_check(e, cli, json_at(c->config, "process")) < 0 ||
        container_make(e, c, cli->root, cli->args[0]) < 0)
        return -1;
    c->keeps_keyring = cli->keeps_keyring;
    c->bundle = bundle;
    bundle = NULL;
    return 0;
}

static void undo(struct container *c, pid_t pid)
{
    struct error ignored;
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    if (c->cgroup.path != NULL)
        (void)cgroup_remove(&ignored, &c->cgroup);
    container_forget(c);
    container_hooks_after(c, c->config, "poststop", 0);
}

static int make(struct error *e, struct cli *cli, struct container *c, struct launch *launch)
{
    if (load(e, cli, c) < 0)
        return -1;
    launch->pid = -1;
    if (container_launch(e, c, launch) < 0 || foreground_console(e, cli, launch->console) < 0 ||
        foreground_pid_file(e, cli, launch->pid) < 0) {
        undo(c, launch->pid);
        return -1;
    }
    return 0;
}

int verb_create(struct error *e, struct cli *cli)
{
    struct container c;
    struct launch launch = {.waits_for_start = true,
                            .stdio = {-1, -1, -1},
                            .console = -1,
                            .preserve_fds = cli->preserve_fds};
    if (make(e, cli, &c, &launch) < 0)
        return -1;
    making_end(c.dir_fd);
    cli_warn(cli, c.warnings);
    return 0;
}

int verb_run(struct error *e, struct cli *cli)
{
    struct container c;
    struct launch launch = {
        .stdio = {-1, -1, -1}, .console = -1, .preserve_fds = cli->preserve_fds};
    if (foreground_begin(e) < 0 || make(e, cli, &c, &launch) < 0)
        return -1;
    if (container_started(e, launch.failure) < 0 || state_mark_started(e, &c) < 0) {
        undo(&c, launch.pid);
        return -1;
    }
    making_end(c.dir_fd);
    container_hooks_after(&c, c.config, "poststart", launch.pid);
    cli_warn(cli, c.warnings);
    if (cli->is_detached)
        return 0;
    int code = foreground_wait(e, cli, launch.console, launch.pid);
    json_object *warnings = c.warnings = json_object_new_array();
    if (code < 0 || container_delete(e, &c, true) < 0)
        return -1;
    cli_warn(cli, warnings);
    return code;
}
