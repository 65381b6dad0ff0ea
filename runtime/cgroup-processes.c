/* The processes in a container's cgroups: listing, freezing, killing, and removal of the cgroups.
 */
#include "cgroup.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* How long killed processes may take to go before removal gives up, and between two looks. */
#define REMOVE_WAIT_MS 10000
#define REMOVE_STEP_MS 2
#define FREEZE_WAIT_MS 2000
#define PROCS_SIZE_MAX ((size_t)4 << 20)

static void pause_ms(long ms)
{
    struct timespec duration = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&duration, NULL);
}

/* The directory whose cgroup.procs is asked: on v1 any controller's serves. */
static char *main_dir(const struct cgroup *g)
{
    if (!g->is_v2 && g->count == 0)
        return NULL;
    return cgroup_dir(g, g->is_v2 ? NULL : g->controllers[0]);
}

/* Adds the processes of dir and of the cgroups below it. */
static int collect(struct error *e, const char *dir, json_object *pids)
{
    cleanup_free char *file = text_format("%s/cgroup.procs", dir);
    cleanup_free char *text = NULL;
    if (file_read(e, file, &text, PROCS_SIZE_MAX) < 0)
        return e->code == ENOENT || e->code == ENODEV ? 0 : -1;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line != '\0')
            json_object_array_add(pids, json_object_new_int64(strtol(line, NULL, 10)));
    cleanup_dir DIR *handle = opendir(dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        cleanup_free char *below = text_format("%s/%s", dir, entry->d_name);
        if (collect(e, below, pids) < 0)
            return -1;
    }
    return 0;
}

int cgroup_processes(struct error *e, const struct cgroup *g, json_object **pids)
{
    cleanup_free char *dir = main_dir(g);
    *pids = json_object_new_array();
    return dir == NULL ? 0 : collect(e, dir, *pids);
}

int cgroup_signal_all(struct error *e, const struct cgroup *g, int number)
{
    cleanup_json json_object *pids = NULL;
    if (cgroup_processes(e, g, &pids) < 0)
        return -1;
    size_t count = json_count(pids, "");
    for (size_t i = 0; i < count; i++) {
        pid_t pid = (pid_t)json_object_get_int64(json_entry(pids, i));
        if (pid > 0 && kill(pid, number) < 0 && errno != ESRCH)
            return err_set(e, errno, "signal %d to process %d", number, (int)pid);
    }
    return 0;
}

/* 1 = frozen, 0 = not, -1 = on the way or unknown. */
static int frozen_state(const struct cgroup *g, const char *dir)
{
    struct error ignored;
    cleanup_free char *text = NULL;
    cleanup_free char *file =
        text_format("%s/%s", dir, g->is_v2 ? "cgroup.events" : "freezer.state");
    if (file_read(&ignored, file, &text, 4096) < 0)
        return -1;
    if (g->is_v2)
        return strstr(text, "frozen 1") != NULL;
    return strncmp(text, "FROZEN", 6) == 0 ? 1 : strncmp(text, "THAWED", 6) == 0 ? 0 : -1;
}

bool cgroup_is_frozen(const struct cgroup *g)
{
    cleanup_free char *dir = cgroup_dir(g, "freezer");
    return dir != NULL && frozen_state(g, dir) == 1;
}

int cgroup_freeze(struct error *e, const struct cgroup *g, bool is_frozen)
{
    cleanup_free char *dir = cgroup_dir(g, "freezer");
    if (dir == NULL)
        return err_set(e, 0, "cannot pause: the freezer controller is not available");
    cleanup_free char *file =
        text_format("%s/%s", dir, g->is_v2 ? "cgroup.freeze" : "freezer.state");
    const char *value = g->is_v2 ? (is_frozen ? "1" : "0") : (is_frozen ? "FROZEN" : "THAWED");
    for (long waited_ms = 0; waited_ms < FREEZE_WAIT_MS; waited_ms += REMOVE_STEP_MS) {
        /* v1 may need the write again when processes forked while it froze. */
        if (file_write(e, file, value) < 0)
            return -1;
        if (frozen_state(g, dir) == (int)is_frozen)
            return 0;
        pause_ms(REMOVE_STEP_MS);
    }
    return err_set(e, ETIMEDOUT, "%s the container", is_frozen ? "freeze" : "thaw");
}

static int remove_tree(const char *dir)
{
    if (rmdir(dir) == 0 || errno == ENOENT)
        return 0;
    cleanup_dir DIR *handle = opendir(dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        cleanup_free char *below = text_format("%s/%s", dir, entry->d_name);
        if (remove_tree(below) < 0)
            return -1;
    }
    return rmdir(dir) == 0 || errno == ENOENT ? 0 : -1;
}

/* A parent with other containers in it is busy and stays, as does one that cgroup_keep made. */
static void remove_empty_parents(const char *path, char *dir)
{
    size_t keep = strlen(dir) - strlen(path);
    for (;;) {
        char *slash = strrchr(dir, '/');
        if (slash == NULL || slash <= dir + keep)
            return;
        *slash = '\0';
        struct stat info;
        if ((stat(dir, &info) == 0 && (info.st_mode & S_ISVTX) != 0) || rmdir(dir) < 0)
            return;
    }
}

static int remove_one(struct error *e, const struct cgroup *g, const char *controller)
{
    cleanup_free char *dir = cgroup_dir(g, controller);
    if (dir == NULL)
        return 0;
    for (long waited_ms = 0; remove_tree(dir) < 0; waited_ms += REMOVE_STEP_MS) {
        if (errno != EBUSY || waited_ms > REMOVE_WAIT_MS)
            return err_set(e, errno, "remove cgroup %s", dir);
        if (cgroup_signal_all(e, g, SIGKILL) < 0)
            return -1;
        pause_ms(REMOVE_STEP_MS);
    }
    remove_empty_parents(g->path, dir);
    return 0;
}

int cgroup_remove(struct error *e, const struct cgroup *g)
{
    /* A frozen process does not die on v1. */
    cleanup_free char *freezer = cgroup_dir(g, "freezer");
    struct error ignored;
    if (freezer != NULL && frozen_state(g, freezer) != 0)
        (void)cgroup_freeze(&ignored, g, false);
    if (cgroup_signal_all(e, g, SIGKILL) < 0)
        return -1;
    if (g->is_v2)
        return remove_one(e, g, NULL);
    for (unsigned int i = g->count; i > 0; i--)
        if (remove_one(e, g, g->controllers[i - 1]) < 0)
            return -1;
    return 0;
}

void cgroup_remove_others(const char *path)
{
    cleanup_dir DIR *handle = opendir(CGROUP_ROOT);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        cleanup_free char *dir = text_format(CGROUP_ROOT "/%s%s", entry->d_name, path);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            (rmdir(dir) == 0 || errno == ENOENT))
            remove_empty_parents(path, dir);
    }
}
