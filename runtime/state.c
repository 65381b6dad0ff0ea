#include "state.h"

#include "clean.h"
#include "foreign.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

/* Sync with the kernel's PF_EXITING. */
#define IS_EXITING 0x4

/* A field of /proc/<pid>/stat, which count from 1; 0 when there is no such process. */
static long long stat_field(pid_t pid, int wanted)
{
    struct error ignored;
    char path[64];
    cleanup_free char *text = NULL;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (pid <= 0 || file_read(&ignored, path, &text, 65536) < 0)
        return 0;
    /* Counted from behind the command's closing parenthesis, which ends field 2. */
    char *rest = strrchr(text, ')');
    for (int field = 2; rest != NULL && field < wanted; field++)
        rest = strchr(rest + 1, ' ');
    return rest == NULL ? 0 : strtoll(rest, NULL, 10);
}

long long process_birth(pid_t pid)
{
    return stat_field(pid, 22);
}

bool process_is_ending(pid_t pid)
{
    return (stat_field(pid, 9) & IS_EXITING) != 0;
}

int process_find(pid_t pid, long long birth)
{
    cleanup_close int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (fd < 0 || process_birth(pid) != birth)
        return -1;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    return poll(&ended, 1, 0) != 0 ? -1 : steal_fd(&fd);
}

json_object *state_linux(json_object *config)
{
    static const char *const kept[] = {"namespaces", "personality"};
    json_object *all = json_at(config, "linux"), *part = json_object_new_object();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_at(all, kept[i]) != NULL)
            json_object_object_add(part, kept[i], json_object_get(json_at(all, kept[i])));
    /* The filter itself is in a file. */
    if (json_at(all, "seccomp") != NULL)
        json_object_object_add(part, "seccomp", json_object_new_boolean(true));
    return part;
}

char *state_text(const struct container *c, pid_t pid)
{
    cleanup_json json_object *state = json_object_new_object();
    char now[TIME_TEXT_SIZE];
    time_text(now);
    json_put_text(state, "ociVersion", json_text(c->config, "ociVersion", "1.2.0"));
    json_put_text(state, "id", c->id);
    json_put_number(state, "pid", pid);
    json_put_number(state, "birth", process_birth(pid));
    if (c->has_shim) {
        json_put_number(state, "shimPid", getpid());
        json_put_number(state, "shimBirth", process_birth(getpid()));
    }
    json_put_text(state, "bundle", c->bundle);
    json_put_text(state, "created", now);
    json_put_text(state, "cgroupPath", c->cgroup.path);
    if (c->keeps_keyring)
        json_object_object_add(state, KEEPS_KEYRING, json_object_new_boolean(true));
    json_object *annotations = json_at(c->config, "annotations");
    if (annotations != NULL)
        json_object_object_add(state, "annotations", json_object_get(annotations));
    json_object_object_add(state, "process", json_object_get(json_at(c->config, "process")));
    json_object_object_add(state, "linux", state_linux(c->config));
    if (json_at(c->config, "hooks") != NULL)
        json_object_object_add(state, "hooks", json_object_get(json_at(c->config, "hooks")));
    return text_format("%s", json_line(state));
}

int state_write(struct error *e, const struct container *c, const char *text)
{
    return file_replace_at(e, c->dir_fd, "state.json", text);
}

int state_mark_started(struct error *e, const struct container *c)
{
    char now[TIME_TEXT_SIZE];
    time_text(now);
    return file_replace_at(e, c->dir_fd, "started", now);
}

int state_read(struct error *e, const struct container *c, json_object **state)
{
    cleanup_free char *path = text_format("%s/state.json", c->dir);
    return json_read_file(e, path, state);
}

void container_cgroup(struct container *c, json_object *state)
{
    cgroup_free(&c->cgroup);
    cgroup_find(&c->cgroup, json_text(state, "cgroupPath", "/mini"));
}

int state_process(struct error *e, const struct container *c, json_object *state)
{
    int fd = process_find((pid_t)json_number(state, "pid", 0), json_number(state, "birth", 0));
    if (fd < 0)
        return err_set(e, ESRCH, "container %s is not running", c->id);
    return fd;
}

const char *state_status(const struct container *c, json_object *state)
{
    struct error ignored;
    cleanup_close int fd = state_process(&ignored, c, state);
    if (fd < 0)
        return "stopped";
    if (faccessat(c->dir_fd, "started", F_OK, 0) < 0)
        return "created";
    bool is_paused = c->runtime != NULL ? foreign_is_paused(c) : cgroup_is_frozen(&c->cgroup);
    return is_paused ? "paused" : "running";
}

int state_describe(struct error *e, const struct container *c, json_object **answer)
{
    static const char *const copied[] = {"ociVersion", "id", "bundle", "created", "annotations"};
    struct error ignored;
    cleanup_json json_object *state = NULL;
    if (state_read(e, c, &state) < 0)
        return -1;
    cleanup_json json_object *out = json_object_new_object();
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (json_at(state, copied[i]) != NULL)
            json_object_object_add(out, copied[i], json_object_get(json_at(state, copied[i])));
    const char *status = state_status(c, state);
    bool is_stopped = strcmp(status, "stopped") == 0;
    json_put_text(out, "status", status);
    json_put_number(out, "pid", is_stopped ? 0 : json_number(state, "pid", 0));
    cleanup_free char *started_path = text_format("%s/started", c->dir);
    cleanup_free char *exit_path = text_format("%s/exit.json", c->dir);
    cleanup_free char *started = NULL;
    json_object *exit = NULL;
    if (file_read(&ignored, started_path, &started, TIME_TEXT_SIZE) == 0)
        json_put_text(out, "startedAt", started);
    if (is_stopped && json_read_file(&ignored, exit_path, &exit) == 0)
        json_object_object_add(out, "exit", exit);
    *answer = json_object_get(out);
    return 0;
}
