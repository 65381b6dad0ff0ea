/* Verbs of the command line that make processes: create, run, exec. Without a shim, the caller's
 * stdio is used. */
#include "cli.h"

#include "clean.h"
#include "container.h"
#include "exec.h"
#include "io.h"
#include "json.h"
#include "process.h"
#include "state.h"
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int write_pid(struct error *e, const struct cli *cli, pid_t pid)
{
    if (cli->pid_file == NULL)
        return 0;
    char text[16];
    snprintf(text, sizeof text, "%d", (int)pid);
    return file_replace_path(e, cli->pid_file, text);
}

/* Gives the terminal's master to whoever listens at --console-socket. */
static int send_console(struct error *e, const struct cli *cli, int master)
{
    if (master < 0)
        return 0;
    cleanup_close int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_free char *path = realpath(cli->console_socket, NULL);
    if (path == NULL)
        return err_set(e, errno, "console socket %s", cli->console_socket);
    cleanup_close int connection = dir < 0 ? -1 : socket_connect_at(e, dir, path + 1);
    if (connection < 0)
        return -1;
    if (fd_send(connection, master) < 0)
        return err_set(e, errno, "send terminal to %s", cli->console_socket);
    return 0;
}

static int check_console(struct error *e, const struct cli *cli, json_object *process)
{
    bool has_terminal = json_flag(process, "terminal", false);
    if (has_terminal && cli->console_socket == NULL)
        return err_set(e, 0, "process.terminal needs --console-socket");
    if (!has_terminal && cli->console_socket != NULL)
        return err_set(e, 0, "--console-socket needs process.terminal");
    return 0;
}

static int load(struct error *e, struct cli *cli, struct container *c)
{
    cleanup_free char *bundle = realpath(cli->bundle, NULL);
    if (bundle == NULL)
        return err_set(e, errno, "bundle %s", cli->bundle);
    cleanup_free char *path = text_format("%s/config.json", bundle);
    *c = (struct container){.dir_fd = -1, .mounts_fd = -1};
    if (json_read_file(e, path, &c->config) < 0 || container_check(e, c->config) < 0 ||
        check_console(e, cli, json_at(c->config, "process")) < 0 ||
        container_make(e, c, cli->root, cli->args[0]) < 0)
        return -1;
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
}

static int make(struct error *e, struct cli *cli, struct container *c, struct launch *launch)
{
    if (load(e, cli, c) < 0)
        return -1;
    launch->pid = -1;
    if (container_launch(e, c, launch) < 0 || send_console(e, cli, launch->console) < 0 ||
        write_pid(e, cli, launch->pid) < 0) {
        undo(c, launch->pid);
        return -1;
    }
    size_t count = json_count(c->warnings, "");
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "mini-runtime: warning: %s\n", json_entry_text(c->warnings, i));
    return 0;
}

int verb_create(struct error *e, struct cli *cli)
{
    struct container c;
    struct launch launch = {.waits_for_start = true, .stdio = {-1, -1, -1}};
    return make(e, cli, &c, &launch);
}

/* Passes our signals on to the process until it ends; returns the shell's exit code. */
static int wait_for(struct error *e, pid_t pid)
{
    sigset_t all;
    sigfillset(&all);
    for (;;) {
        int status, number;
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended < 0)
            return err_set(e, errno, "wait for process %d", (int)pid);
        if (ended == pid)
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (sigwait(&all, &number) == 0 && number != SIGCHLD)
            kill(pid, number);
    }
}

static int block_signals(struct error *e)
{
    sigset_t all;
    sigfillset(&all);
    if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
        return err_set(e, errno, "block signals");
    return 0;
}

int verb_run(struct error *e, struct cli *cli)
{
    struct container c;
    struct launch launch = {.stdio = {-1, -1, -1}};
    if (block_signals(e) < 0 || make(e, cli, &c, &launch) < 0)
        return -1;
    if (container_started(e, launch.failure) < 0 || state_mark_started(e, &c) < 0) {
        undo(&c, launch.pid);
        return -1;
    }
    if (cli->is_detached)
        return 0;
    int code = wait_for(e, launch.pid);
    if (code < 0 || container_delete(e, &c, true) < 0)
        return -1;
    return code;
}

static int exec_request(struct error *e, struct cli *cli, json_object **process)
{
    if (cli->process != NULL)
        return json_read_file(e, cli->process, process);
    if (cli->arg_count < 2)
        return err_set(e, 0, "usage: mini-runtime %s", cli->verb->synopsis);
    json_object *args = json_object_new_array();
    for (int i = 1; i < cli->arg_count; i++)
        json_object_array_add(args, json_object_new_string(cli->args[i]));
    *process = json_object_new_object();
    json_object_object_add(*process, "args", args);
    if (cli->cwd != NULL)
        json_put_text(*process, "cwd", cli->cwd);
    if (cli->user != NULL) {
        char *end;
        json_object *user = json_object_new_object();
        json_put_number(user, "uid", strtol(cli->user, &end, 10));
        if (*end == ':')
            json_put_number(user, "gid", strtol(end + 1, &end, 10));
        if (*end != '\0')
            return err_set(e, 0, "--user must be UID[:GID]");
        json_object_object_add(*process, "user", user);
    }
    json_object_object_add(*process, "terminal", json_object_new_boolean(cli->has_terminal));
    return 0;
}

int verb_exec(struct error *e, struct cli *cli)
{
    struct container c;
    cleanup_json json_object *request = NULL, *state = NULL;
    if (container_open(e, &c, cli->root, cli->args[0]) < 0 || state_read(e, &c, &state) < 0 ||
        exec_request(e, cli, &request) < 0 || block_signals(e) < 0)
        return -1;
    const char *status = state_status(&c, state);
    if (strcmp(status, "running") != 0 && strcmp(status, "created") != 0)
        return err_set(e, 0, "cannot exec in container \"%s\": it is %s", c.id, status);
    json_object *wrapped = json_object_new_object();
    json_object_object_add(wrapped, "process", json_object_get(request));
    struct exec exec = {
        .config = state, .process = exec_process(state, wrapped), .stdio = {-1, -1, -1}};
    if (check_console(e, cli, exec.process) < 0 ||
        exec_launch(e, &c, (pid_t)json_number(state, "pid", 0), &exec) < 0)
        return -1;
    int master = -1, result = sync_next(e, exec.failure, &master);
    if (result == 1 && (result = send_console(e, cli, master)) == 0)
        result = container_started(e, exec.failure);
    if (result < 0 || write_pid(e, cli, exec.pid) < 0)
        return -1;
    return cli->is_detached ? 0 : wait_for(e, exec.pid);
}
