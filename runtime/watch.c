#include "watch.h"

#include "clean.h"
#include "container.h"
#include "exit-file.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

struct watch {
    const char *root;
    size_t count;
    struct pollfd *polls; /* pidfds of shims */
    char **ids;           /* of their containers */
};

static void settle(const char *root, const char *id)
{
    struct error ignored;
    struct container c;
    if (container_open(&ignored, &c, root, id) == 0)
        (void)exit_settle(&ignored, &c);
    container_close(&c);
}

static int shim_of(const char *root, const char *id)
{
    struct error ignored;
    struct container c;
    json_object *state = NULL;
    int shim = -1;
    if (container_open(&ignored, &c, root, id) == 0 && state_read(&ignored, &c, &state) == 0)
        shim = process_find((pid_t)json_number(state, "shimPid", 0),
                            json_number(state, "shimBirth", 0));
    json_object_put(state);
    container_close(&c);
    return shim;
}

static void find_shims(struct watch *watch, json_object *list)
{
    size_t count = json_count(list, "");
    watch->polls = calloc(count + 1, sizeof *watch->polls);
    watch->ids = calloc(count + 1, sizeof *watch->ids);
    if (watch->polls == NULL || watch->ids == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        const char *id = json_text(json_entry(list, i), "id", "");
        int shim = shim_of(watch->root, id);
        if (shim < 0) {
            settle(watch->root, id); /* It may have been killed since the list. */
            continue;
        }
        watch->polls[watch->count] = (struct pollfd){.fd = shim, .events = POLLIN};
        watch->ids[watch->count++] = text_format("%s", id);
    }
}

static void take_ended(struct watch *watch)
{
    size_t kept = 0;
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->polls[i].revents != 0) {
            settle(watch->root, watch->ids[i]);
            close(watch->polls[i].fd);
            free(watch->ids[i]);
            continue;
        }
        watch->polls[kept] = watch->polls[i];
        watch->ids[kept++] = watch->ids[i];
    }
    watch->count = kept;
}

/* Keeps nothing of the daemon's, and ends with it. */
static void leave_daemon(pid_t daemon)
{
    struct rlimit files;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;
    prctl(PR_SET_NAME, "mini-watch", 0, 0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != daemon)
        _exit(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
    }
    close_range(STDERR_FILENO + 1, UINT_MAX, 0);
    /* One for each container. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static _Noreturn void watch_main(const char *run_dir, pid_t daemon)
{
    struct error ignored;
    json_object *list = NULL;
    leave_daemon(daemon);
    cleanup_free char *root = text_format("%s/containers", run_dir);
    struct watch watch = {.root = root};
    if (containers_list(&ignored, root, true, &list) < 0)
        _exit(1);
    find_shims(&watch, list);
    json_object_put(list);
    while (watch.count > 0) {
        if (poll(watch.polls, watch.count, -1) < 0 && errno != EINTR)
            _exit(1);
        take_ended(&watch);
    }
    _exit(0);
}

pid_t watch_start(const char *run_dir)
{
    pid_t daemon = getpid(), pid = fork();
    if (pid == 0)
        watch_main(run_dir, daemon);
    return pid;
}

void settle_start(const char *run_dir)
{
    if (fork() != 0)
        return;
    struct error ignored;
    json_object *list = NULL;
    cleanup_free char *root = text_format("%s/containers", run_dir);
    prctl(PR_SET_NAME, "mini-job", 0, 0, 0);
    close_range(STDERR_FILENO + 1, UINT_MAX, 0);
    _exit(containers_list(&ignored, root, true, &list) < 0);
}
