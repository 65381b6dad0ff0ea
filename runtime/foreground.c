#include "foreground.h"

#include "clean.h"
#include "console.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

int foreground_pid_file(struct error *e, const struct cli *cli, pid_t pid)
{
    if (cli->pid_file == NULL)
        return 0;
    char text[16];
    snprintf(text, sizeof text, "%d", (int)pid);
    return file_replace_path(e, cli->pid_file, text);
}

/* Gives the terminal's master to whoever listens at --console-socket. */
int foreground_console(struct error *e, const struct cli *cli, int master)
{
    if (master < 0 || cli->console_socket == NULL)
        return 0;
    /* By its directory: a whole path may be too long for an address. */
    cleanup_free char *path = realpath(cli->console_socket, NULL);
    char *slash = path == NULL ? NULL : strrchr(path, '/');
    cleanup_free char *parent = slash == NULL ? NULL : text_slice(path, (size_t)(slash - path) + 1);
    cleanup_close int dir = parent == NULL ? -1 : open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, errno, "console socket %s", cli->console_socket);
    cleanup_close int connection = socket_connect_at(e, dir, slash + 1);
    if (connection < 0)
        return -1;
    if (fd_send(connection, master) < 0)
        return err_set(e, errno, "send terminal to %s", cli->console_socket);
    return 0;
}

/* The size of our terminal is there before the program looks. */
static void take_size(json_object *process)
{
    struct winsize size;
    if (json_at(process, "consoleSize") != NULL || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
        return;
    json_object *wanted = json_object_new_object();
    json_put_number(wanted, "height", size.ws_row);
    json_put_number(wanted, "width", size.ws_col);
    json_object_object_add(process, "consoleSize", wanted);
}

int foreground_check(struct error *e, const struct cli *cli, json_object *process)
{
    bool has_terminal = json_flag(process, "terminal", false);
    bool is_attached = !cli->is_detached && cli->verb->run != verb_create;
    if (has_terminal && cli->console_socket == NULL && !is_attached)
        return err_set(e, 0, "process.terminal needs --console-socket");
    if (!has_terminal && cli->console_socket != NULL)
        return err_set(e, 0, "--console-socket needs process.terminal");
    if (has_terminal && cli->console_socket == NULL)
        take_size(process);
    return 0;
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

int foreground_begin(struct error *e)
{
    sigset_t all;
    sigfillset(&all);
    if (sigprocmask(SIG_BLOCK, &all, NULL) < 0)
        return err_set(e, errno, "block signals");
    return 0;
}

int foreground_wait(struct error *e, const struct cli *cli, int master, pid_t pid)
{
    bool is_ours = master >= 0 && cli->console_socket == NULL;
    return is_ours ? console_relay(e, master, pid) : wait_for(e, pid);
}
