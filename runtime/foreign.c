/* Calls of another OCI runtime's executable. */
#include "foreign.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The longest a runtime may take to create a container: the kubelet waits as long. Sync with
 * FOREIGN_MAX_MS in daemon.ts. */
#define CREATE_WAIT_MS 120000
/* And for any other call: less than others wait for what is being made, see making.h. */
#define CALL_WAIT_MS 25000
#define LOG_SIZE_MAX ((size_t)1 << 20)
/* As the shell counts. */
#define NOT_FOUND 127
#define NOT_EXECUTED 126

static void add(json_object *list, const char *text)
{
    json_object_array_add(list, json_object_new_string(text));
}

/* <path> <args> --root … --log … --log-format json <words> */
static json_object *command_line(const struct foreign_call *call)
{
    const struct container *c = call->container;
    json_object *list = json_object_new_array();
    json_object *args = json_at(c->runtime, "args");
    size_t count = json_count(args, "");
    cleanup_free char *log = text_format("%s/%s", c->dir, call->log);
    add(list, json_text(c->runtime, "path", ""));
    for (size_t i = 0; i < count; i++)
        add(list, json_entry_text(args, i));
    add(list, "--root");
    add(list, json_text(c->runtime, "root", ""));
    add(list, "--log");
    add(list, log);
    add(list, "--log-format");
    add(list, "json");
    for (size_t i = 0; call->words[i] != NULL; i++)
        add(list, call->words[i]);
    return list;
}

/* In the runtime's own form, so that there is one place to read why a call failed. */
static _Noreturn void give_up(const struct foreign_call *call, const struct error *e, int code)
{
    struct error ignored;
    cleanup_json json_object *line = json_object_new_object();
    json_put_text(line, "level", "error");
    json_put_text(line, "msg", e->message);
    (void)file_replace_at(&ignored, call->container->dir_fd, call->log, json_line(line));
    _exit(code);
}

static int take_stdio(struct error *e, const int *stdio)
{
    cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int moved[3];
    if (null < 0)
        return err_set(e, errno, "open /dev/null");
    /* Out of the way of each other first. */
    for (int fd = 0; fd < 3; fd++) {
        int from = stdio != NULL && stdio[fd] >= 0 ? stdio[fd] : null;
        if ((moved[fd] = fcntl(from, F_DUPFD_CLOEXEC, 3)) < 0)
            return err_set(e, errno, "set stdio");
    }
    for (int fd = 0; fd < 3; fd++)
        if (dup2(moved[fd], fd) < 0)
            return err_set(e, errno, "set stdio");
    return 0;
}

static _Noreturn void execute(const struct foreign_call *call, json_object *line)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *const environment[] = {path, NULL};
    struct error e = {0};
    if (take_stdio(&e, call->stdio) < 0 ||
        (call->prepare != NULL && call->prepare(&e, call->container) < 0))
        give_up(call, &e, NOT_EXECUTED);
    char **argv = text_vector(line, "", NULL);
    process_reset_signals();
    execve(argv[0], argv, environment);
    int code = errno;
    err_set(&e, code, "execute the runtime %s", argv[0]);
    give_up(call, &e, code == ENOENT || code == ENOTDIR ? NOT_FOUND : NOT_EXECUTED);
}

pid_t foreign_spawn(struct error *e, const struct foreign_call *call)
{
    pid_t parent = getpid();
    json_object *line = command_line(call);
    pid_t pid = fork();
    if (pid == 0) {
        /* What it would still make, nobody would know of. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
            _exit(NOT_EXECUTED);
        execute(call, line);
    }
    json_object_put(line);
    return pid < 0 ? err_set(e, errno, "fork") : pid;
}

/* The last error of a log of JSON lines, in new memory; NULL = none. */
static char *last_error(const struct container *c, const char *name)
{
    struct error ignored;
    cleanup_free char *path = text_format("%s/%s", c->dir, name), *text = NULL;
    char *found = NULL;
    if (file_read(&ignored, path, &text, LOG_SIZE_MAX) < 0)
        return NULL;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        cleanup_json json_object *entry = NULL;
        if (*line == '\0' || json_parse(&ignored, line, &entry) < 0)
            continue;
        const char *level = json_text(entry, "level", "");
        if (strcmp(level, "error") != 0 && strcmp(level, "fatal") != 0)
            continue;
        free(found);
        found = text_format("%s", json_text(entry, "msg", ""));
    }
    return found;
}

int foreign_outcome(struct error *e, const struct foreign_call *call, int status)
{
    const struct container *c = call->container;
    bool has_failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    cleanup_free char *why = has_failed ? last_error(c, call->log) : NULL;
    unlinkat(c->dir_fd, call->log, 0);
    if (!has_failed)
        return 0;
    if (why == NULL)
        why = WIFEXITED(status) ? text_format("exit status %d", WEXITSTATUS(status))
                                : text_format("signal %d", WTERMSIG(status));
    err_set(e, 0, "OCI runtime %s failed: %s", call->words[0], why);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        e->code = ENOENT;
    return -1;
}

/* 0 when it has ended, or why it is waited for no longer. */
static int await_end(int process, const struct foreign_call *call)
{
    enum { ENDED, CLIENT, WAITED };
    struct pollfd polls[WAITED] = {
        [ENDED] = {.fd = process, .events = POLLIN},
        [CLIENT] = {.fd = call->client == NULL ? -1 : *call->client, .events = POLLRDHUP}};
    int count;
    do
        count = poll(polls, WAITED, call->client == NULL ? CALL_WAIT_MS : CREATE_WAIT_MS);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return errno;
    if (polls[ENDED].revents != 0)
        return 0;
    return count == 0 ? ETIMEDOUT : ECANCELED;
}

static int await(struct error *e, pid_t pid, const struct foreign_call *call, int *status)
{
    cleanup_close int process = pidfd_open(pid, 0);
    int code = process < 0 ? errno : await_end(process, call);
    if (code != 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, errno, "wait for the runtime");
    if (code == 0)
        return 0;
    unlinkat(call->container->dir_fd, call->log, 0);
    if (code == ECANCELED)
        return err_set(e, code, "OCI runtime %s: nobody waits for it", call->words[0]);
    int limit_s = (call->client == NULL ? CALL_WAIT_MS : CREATE_WAIT_MS) / 1000;
    return err_set(e, code, "OCI runtime %s did not end within %d s", call->words[0], limit_s);
}

int foreign_run(struct error *e, const struct foreign_call *call)
{
    int status;
    pid_t pid = foreign_spawn(e, call);
    if (pid < 0 || await(e, pid, call, &status) < 0)
        return -1;
    return foreign_outcome(e, call, status);
}

int foreign_verb(struct error *e, const struct container *c, const char *verb, const char *first,
                 const char *second)
{
    const char *const words[] = {verb, first, first == NULL ? NULL : second, NULL};
    cleanup_free char *log = text_format("%s-%d.log", verb, (int)getpid());
    struct foreign_call call = {.container = c, .words = words, .log = log};
    return foreign_run(e, &call);
}

void foreign_find(struct container *c)
{
    struct error ignored;
    cleanup_free char *path = text_format("%s/" FOREIGN_FILE, c->dir);
    (void)json_read_file(&ignored, path, &c->runtime);
}
