#include "hooks.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

/* The end of what a failed hook printed is part of the error. */
#define OUTPUT_SIZE 400
#define MS_PER_S 1000

const char *const hook_kinds[] = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
    NULL};

static json_object *list_of(json_object *config, const char *kind)
{
    return json_at(json_at(config, "hooks"), kind);
}

bool hooks_has(json_object *config, const char *kind)
{
    return json_count(list_of(config, kind), "") > 0;
}

int hooks_check(struct error *e, json_object *config)
{
    for (size_t k = 0; hook_kinds[k] != NULL; k++) {
        json_object *list = list_of(config, hook_kinds[k]);
        size_t count = json_count(list, "");
        for (size_t i = 0; i < count; i++) {
            json_object *hook = json_entry(list, i);
            if (*json_text(hook, "path", "") != '/')
                return err_set(e, 0, "hooks.%s[%zu].path must be absolute", hook_kinds[k], i);
            if (json_at(hook, "timeout") != NULL && json_number(hook, "timeout", 0) <= 0)
                return err_set(e, 0, "hooks.%s[%zu].timeout must be more than 0 seconds",
                               hook_kinds[k], i);
        }
    }
    return 0;
}

static json_object *describe(const struct hook_call *call)
{
    json_object *state = json_object_new_object();
    json_object *annotations = json_at(call->config, "annotations");
    json_put_text(state, "ociVersion", json_text(call->config, "ociVersion", "1.2.0"));
    json_put_text(state, "id", call->container->id);
    json_put_text(state, "status", call->status);
    if (call->pid > 0)
        json_put_number(state, "pid", call->pid);
    json_put_text(state, "bundle", call->container->bundle);
    if (annotations != NULL)
        json_object_object_add(state, "annotations", json_object_get(annotations));
    return state;
}

/* A file, not a pipe: whether and when a hook reads it is its own affair. */
static int open_input(struct error *e, const char *text)
{
    cleanup_close int fd = memfd_create("state", MFD_CLOEXEC);
    if (fd < 0 || write_all(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return err_set(e, errno, "write the state");
    return steal_fd(&fd);
}

static _Noreturn void become(json_object *hook, int input, int output, const char *cwd)
{
    const char *path = json_text(hook, "path", "");
    char **args = text_vector(hook, "args", NULL), **env = text_vector(hook, "env", NULL);
    char *path_alone[] = {(char *)(uintptr_t)path, NULL};
    if (args[0] == NULL)
        args = path_alone;
    if (dup2(input, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0 &&
        close_range(3, UINT_MAX, 0) == 0 && chdir(cwd) == 0) {
        process_reset_signals();
        execve(path, args, env);
    }
    dprintf(2, "cannot be executed: %s", strerror(errno));
    _exit(127);
}

/* Keeps the last bytes. */
static void take_output(int fd, char text[OUTPUT_SIZE + 1])
{
    char chunk[OUTPUT_SIZE];
    ssize_t got = read(fd, chunk, sizeof chunk);
    size_t size = strlen(text), added = got > 0 ? (size_t)got : 0;
    size_t dropped = size + added > OUTPUT_SIZE ? size + added - OUTPUT_SIZE : 0;
    memmove(text, text + dropped, size - dropped + 1);
    memcpy(text + size - dropped, chunk, added);
    text[size - dropped + added] = '\0';
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

/* Waits for the end, not for those that it leaves behind. Returns false when the time is over. */
static bool await_end(int process, int output, int64_t timeout_s, char text[OUTPUT_SIZE + 1])
{
    int64_t end_ms = timeout_s > 0 ? now_ms() + timeout_s * MS_PER_S : 0;
    for (;;) {
        struct pollfd polls[2] = {{.fd = process, .events = POLLIN},
                                  {.fd = output, .events = POLLIN}};
        int64_t left_ms = timeout_s > 0 ? end_ms - now_ms() : -1;
        if (timeout_s > 0 && left_ms <= 0)
            return false;
        if (poll(polls, 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms) < 0 && errno != EINTR)
            return false;
        if ((polls[1].revents & POLLIN) != 0)
            take_output(output, text);
        else if (polls[1].revents != 0)
            output = -1;
        if ((polls[1].revents & POLLIN) == 0 && polls[0].revents != 0)
            return true;
    }
}

static int judge(struct error *e, int status, const char *output)
{
    int size = (int)strlen(output);
    while (size > 0 && output[size - 1] == '\n')
        size--;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return WIFSIGNALED(status)
               ? err_set(e, 0, "signal %d: %.*s", WTERMSIG(status), size, output)
               : err_set(e, 0, "exit status %d: %.*s", WEXITSTATUS(status), size, output);
}

static int run_one(struct error *e, json_object *hook, const char *state, const char *cwd)
{
    int pair[2], status;
    char text[OUTPUT_SIZE + 1] = "";
    int64_t timeout_s = json_number(hook, "timeout", 0);
    cleanup_close int input = open_input(e, state);
    if (input < 0)
        return -1;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_set(e, errno, "pipe");
    cleanup_close int output = pair[0], theirs = pair[1];
    pid_t pid = fork();
    if (pid == 0)
        become(hook, input, theirs, cwd);
    if (pid < 0)
        return err_set(e, errno, "fork");
    close_now(&theirs);
    cleanup_close int process = pidfd_open(pid, 0);
    bool is_in_time = process >= 0 && await_end(process, output, timeout_s, text);
    if (!is_in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!is_in_time)
        return err_set(e, 0, "timed out after %lld s", (long long)timeout_s);
    return judge(e, status, text);
}

static int run_entry(struct error *e, const struct hook_call *call, size_t index)
{
    json_object *hook = json_entry(list_of(call->config, call->kind), index);
    cleanup_json json_object *state = describe(call);
    const char *cwd = call->cwd != NULL ? call->cwd : call->container->bundle;
    if (run_one(e, hook, json_line(state), cwd) < 0)
        return err_wrap(e, "hook %s[%zu] %s", call->kind, index, json_text(hook, "path", ""));
    return 0;
}

int hooks_run(struct error *e, const struct hook_call *call)
{
    size_t count = json_count(list_of(call->config, call->kind), "");
    for (size_t i = 0; i < count; i++)
        if (run_entry(e, call, i) < 0)
            return -1;
    return 0;
}

void hooks_run_all(const struct hook_call *call)
{
    size_t count = json_count(list_of(call->config, call->kind), "");
    for (size_t i = 0; i < count; i++) {
        struct error failure;
        if (run_entry(&failure, call, i) < 0)
            json_object_array_add(call->container->warnings,
                                  json_object_new_string(failure.message));
    }
}
