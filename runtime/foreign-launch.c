/* Making a container by another runtime. */
#include "foreign.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONSOLE_SOCKET "console.sock"
#define PID_FILE "init.pid"
#define CREATE_LOG "create.log"
#define PID_SIZE_MAX ((size_t)32)

char *foreign_socket_path(const struct container *c, const char *name)
{
    return text_format("/proc/%d/fd/%d/%s", (int)getpid(), c->dir_fd, name);
}

int foreign_take_console(int listener)
{
    if (fd_set_blocking(listener, false) < 0)
        return -1;
    /* Sent before the runtime ended: nothing is waited for. */
    cleanup_close int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return connection < 0 ? -1 : fd_receive(connection);
}

pid_t foreign_read_pid(struct error *e, const struct container *c, const char *name)
{
    cleanup_free char *path = text_format("%s/%s", c->dir, name), *text = NULL;
    if (file_read(e, path, &text, PID_SIZE_MAX) < 0)
        return -1;
    unlinkat(c->dir_fd, name, 0);
    long pid = strtol(text, NULL, 10);
    if (pid <= 1)
        return err_set(e, 0, "the runtime wrote no process id into %s", path);
    return (pid_t)pid;
}

/* Before the runtime is called: whatever happens then, its container can be deleted. */
static int write_record(struct error *e, const struct container *c)
{
    json_put_text(c->runtime, "cgroupPath", c->cgroup.path);
    if (*json_text(c->runtime, "path", "") != '/' || *json_text(c->runtime, "root", "") != '/')
        return err_set(e, 0, "runtime.path and runtime.root must be absolute");
    if (make_dirs(e, json_text(c->runtime, "root", ""), 0700) < 0)
        return -1;
    return file_replace_at(e, c->dir_fd, FOREIGN_FILE, json_line(c->runtime));
}

static int create(struct error *e, struct container *c, struct launch *launch, bool has_terminal)
{
    cleanup_free char *pid_file = text_format("%s/" PID_FILE, c->dir);
    cleanup_free char *console = foreign_socket_path(c, CONSOLE_SOCKET);
    const char *words[] = {"create", "--bundle", c->dir, "--pid-file", pid_file,
                           c->id,    NULL,       NULL,   NULL};
    struct foreign_call call = {.container = c,
                                .words = words,
                                .log = CREATE_LOG,
                                .stdio = launch->stdio,
                                .client = launch->client,
                                .prepare = foreign_mount};
    cleanup_close int listener = -1;
    if (has_terminal) {
        listener = socket_listen_at(e, c->dir_fd, CONSOLE_SOCKET);
        if (listener < 0)
            return -1;
        words[5] = "--console-socket";
        words[6] = console;
        words[7] = c->id;
        call.stdio = NULL;
    }
    int result = foreign_run(e, &call);
    foreign_unmount(c);
    unlinkat(c->dir_fd, CONSOLE_SOCKET, 0);
    if (result == 0 && has_terminal && (launch->console = foreign_take_console(listener)) < 0)
        return err_set(e, 0, "the runtime has sent no terminal");
    return result;
}

int foreign_launch(struct error *e, struct container *c, struct launch *launch)
{
    bool has_terminal = json_flag(c->config, "process.terminal", false);
    launch->console = launch->failure = -1;
    if (cgroup_plan(e, &c->cgroup, c->config, c->id) < 0 || write_record(e, c) < 0 ||
        foreign_adapt(e, c) < 0 || create(e, c, launch, has_terminal) < 0)
        return -1;
    launch->pid = foreign_read_pid(e, c, PID_FILE);
    if (launch->pid < 0)
        return -1;
    cleanup_free char *path = text_format("%s", c->cgroup.path);
    cgroup_free(&c->cgroup);
    cgroup_find(&c->cgroup, path);
    launch->oom_kills = cgroup_oom_kills(&c->cgroup);
    cleanup_free char *state = state_text(c, launch->pid);
    if (launch_check_client(e, c, launch) < 0 || state_write(e, c, state) < 0)
        return -1;
    return launch->waits_for_start ? 0 : foreign_verb(e, c, "start", c->id, NULL);
}
