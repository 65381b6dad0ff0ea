#include "console.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#define CHUNK_SIZE 4096
/* What the line discipline takes for the end of input. */
#define END_OF_INPUT '\4'

struct relay {
    int master, signals;
    pid_t pid;
    bool is_input_over, is_output_over;
    char pending[CHUNK_SIZE]; /* read from our stdin, not yet taken by the container's terminal */
    size_t begin, end;
};

static void copy_size(int master)
{
    struct winsize size;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        (void)ioctl(master, TIOCSWINSZ, &size);
}

static void take_input(struct relay *r)
{
    ssize_t got = read(STDIN_FILENO, r->pending, sizeof r->pending);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->begin = 0;
    r->end = got > 0 ? (size_t)got : 1;
    if (got <= 0) {
        r->pending[0] = END_OF_INPUT;
        r->is_input_over = true;
    }
}

static void give_input(struct relay *r)
{
    ssize_t put = write(r->master, r->pending + r->begin, r->end - r->begin);
    if (put > 0)
        r->begin += (size_t)put;
    else if (put < 0 && errno != EAGAIN && errno != EINTR)
        r->begin = r->end;
}

static void take_output(struct relay *r)
{
    char chunk[CHUNK_SIZE];
    ssize_t got = read(r->master, chunk, sizeof chunk);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->is_output_over = got <= 0 || write_all(STDOUT_FILENO, chunk, (size_t)got) < 0;
}

/* Returns true once the process has ended. */
static bool take_signals(struct relay *r, int *status)
{
    struct signalfd_siginfo info;
    while (read(r->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGWINCH)
            copy_size(r->master);
        else if (info.ssi_signo != SIGCHLD)
            kill(r->pid, (int)info.ssi_signo);
    }
    return waitpid(r->pid, status, WNOHANG) == r->pid;
}

/* What it wrote before its end is in the terminal; others that hold it are not waited for. */
static void drain(struct relay *r)
{
    struct pollfd ready = {.fd = r->master, .events = POLLIN};
    while (!r->is_output_over && poll(&ready, 1, 0) > 0)
        take_output(r);
}

static int relay(struct error *e, struct relay *r, int *status)
{
    for (;;) {
        bool has_pending = r->begin < r->end, wants_input = !r->is_input_over && !has_pending;
        short events = (short)((r->is_output_over ? 0 : POLLIN) | (has_pending ? POLLOUT : 0));
        struct pollfd polls[3] = {{.fd = r->signals, .events = POLLIN},
                                  {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
                                  {.fd = events == 0 ? -1 : r->master, .events = events}};
        if (poll(polls, 3, -1) < 0 && errno != EINTR)
            return err_set(e, errno, "poll");
        if ((polls[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            take_output(r);
        if ((polls[2].revents & POLLOUT) != 0)
            give_input(r);
        if (polls[1].revents != 0)
            take_input(r);
        if (polls[0].revents != 0 && take_signals(r, status))
            return 0;
    }
}

int console_relay(struct error *e, int master, pid_t pid)
{
    struct termios saved, raw;
    sigset_t all;
    int status = 0;
    bool is_terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
    sigfillset(&all);
    cleanup_close int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || fd_set_blocking(master, false) < 0)
        return err_set(e, errno, "join terminals");
    struct relay r = {.master = master, .signals = signals, .pid = pid};
    if (is_terminal) {
        raw = saved;
        cfmakeraw(&raw);
        copy_size(master);
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
            return err_set(e, errno, "set the terminal");
    }
    /* It may have ended before its end could be told. */
    int result = waitpid(pid, &status, WNOHANG) == pid ? 0 : relay(e, &r, &status);
    drain(&r);
    if (is_terminal)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    if (result < 0)
        return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
