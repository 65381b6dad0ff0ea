/* Where a container's cgroups are, making them and entering them. */
#include "cgroup.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* Attempts to make a directory whose parents another deletion keeps removing. */
#define MAKE_ATTEMPTS 10

/* v1 controllers in the order in which they are entered, and what in the config asks for each. */
static const struct {
    const char *name;
    const char *wanted_by; /* NULL = always used */
} known[] = {
    {"freezer", NULL},
    {"memory", NULL},
    {"cpu", NULL},
    {"cpuacct", NULL},
    {"pids", NULL},
    {"cpuset", "linux.resources.cpu.cpus"},
    {"cpuset", "linux.resources.cpu.mems"},
    {"blkio", "linux.resources.blockIO"},
    {"devices", "linux.resources.devices"},
    {"hugetlb", "linux.resources.hugepageLimits"},
    {"net_cls", "linux.resources.network.classID"},
    {"net_prio", "linux.resources.network.priorities"},
    {"rdma", "linux.resources.rdma"},
};

static bool is_mounted(const char *controller)
{
    struct statfs info;
    cleanup_free char *dir = text_format(CGROUP_ROOT "/%s", controller);
    return statfs(dir, &info) == 0 && info.f_type == CGROUP_SUPER_MAGIC;
}

bool cgroup_is_v2(void)
{
    struct statfs info;
    return statfs(CGROUP_ROOT, &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC;
}

static bool uses(const struct cgroup *g, const char *controller)
{
    for (unsigned int i = 0; i < g->count; i++)
        if (strcmp(g->controllers[i], controller) == 0)
            return true;
    return false;
}

int cgroup_plan(struct error *e, struct cgroup *g, json_object *config, const char *id)
{
    const char *path = json_text(config, "linux.cgroupsPath", "");
    if (strstr(path, "..") != NULL)
        return err_set(e, 0, "cgroupsPath \"%s\" must not contain \"..\"", path);
    if (strchr(path, ':') != NULL)
        return err_set(e, 0, "cgroupsPath \"%s\": systemd's form is not supported", path);
    *g = (struct cgroup){.is_v2 = cgroup_is_v2()};
    g->path = *path == '\0' ? text_format("/mini/%s", id)
                            : text_format("%s%s", *path == '/' ? "" : "/", path);
    for (size_t i = 0; !g->is_v2 && i < sizeof known / sizeof *known; i++)
        if ((known[i].wanted_by == NULL || json_at(config, known[i].wanted_by) != NULL) &&
            !uses(g, known[i].name) && is_mounted(known[i].name))
            g->controllers[g->count++] = known[i].name;
    return 0;
}

void cgroup_find(struct cgroup *g, const char *path)
{
    *g = (struct cgroup){.is_v2 = cgroup_is_v2(), .path = text_format("%s", path)};
    for (size_t i = 0; !g->is_v2 && i < sizeof known / sizeof *known; i++) {
        cleanup_free char *dir = text_format(CGROUP_ROOT "/%s%s", known[i].name, path);
        struct stat info;
        if (!uses(g, known[i].name) && stat(dir, &info) == 0)
            g->controllers[g->count++] = known[i].name;
    }
}

void cgroup_free(struct cgroup *g)
{
    free(g->path);
    g->path = NULL;
}

char *cgroup_dir(const struct cgroup *g, const char *controller)
{
    if (g->is_v2)
        return text_format(CGROUP_ROOT "%s", g->path);
    return uses(g, controller) ? text_format(CGROUP_ROOT "/%s%s", controller, g->path) : NULL;
}

/* A cpuset without processors or memory nodes takes no process: copies the parent's. */
static int cpuset_fill(struct error *e, const char *dir)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    for (int i = 0; i < 2; i++) {
        cleanup_free char *own = text_format("%s/%s", dir, files[i]);
        cleanup_free char *above = text_format("%s/../%s", dir, files[i]);
        cleanup_free char *present = NULL, *inherited = NULL;
        if (file_read(e, own, &present, 4096) < 0 || file_read(e, above, &inherited, 4096) < 0)
            return -1;
        if (*present <= '\n' && file_write(e, own, inherited) < 0)
            return -1;
    }
    return 0;
}

static int enable_one(struct error *e, const char *dir, const char *file, const char *controller)
{
    if (file_write(e, file, controller) == 0 || e->code == ENOENT || e->code == EINVAL)
        return 0;
    if (e->code != EBUSY)
        return -1;
    return cgroup_evacuate(e, dir) < 0 ? -1 : file_write(e, file, controller);
}

static int enable_v2(struct error *e, const char *dir)
{
    static const char *const wanted[] = {"+memory", "+cpu",     "+pids", "+cpuset",
                                         "+io",     "+hugetlb", "+rdma"};
    cleanup_free char *file = text_format("%s/cgroup.subtree_control", dir);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (enable_one(e, dir, file, wanted[i]) < 0)
            return -1;
    return 0;
}

/* Makes each directory of the path in turn: cpusets and v2 need something done at every level. */
static int make_levels(struct error *e, const char *mount, const char *path, const char *controller)
{
    cleanup_free char *dir = text_format("%s%s", mount, path);
    bool is_plain = controller != NULL && strcmp(controller, "cpuset") != 0;
    /* Mostly its parent is there. */
    if (is_plain && (mkdir(dir, 0755) == 0 || errno == EEXIST))
        return 0;
    for (char *next = dir + strlen(mount); next != NULL;) {
        *next = '\0';
        if (controller == NULL && enable_v2(e, dir) < 0)
            return -1;
        *next = '/';
        next = strchr(next + 1, '/');
        if (next != NULL)
            *next = '\0';
        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
            return err_set(e, errno, "mkdir %s", dir);
        if (controller != NULL && !is_plain && cpuset_fill(e, dir) < 0)
            return -1;
    }
    return 0;
}

static int make_one(struct error *e, const char *mount, const char *path, const char *controller)
{
    int result = -1;
    e->code = ENOENT;
    /* ENOENT: a parent was empty and another container's deletion took it away meanwhile. */
    for (int i = 0; i < MAKE_ATTEMPTS && result < 0 && e->code == ENOENT; i++)
        result = make_levels(e, mount, path, controller);
    return result;
}

int cgroup_make(struct error *e, const struct cgroup *g)
{
    if (g->is_v2)
        return make_one(e, CGROUP_ROOT, g->path, NULL);
    for (unsigned int i = 0; i < g->count; i++) {
        cleanup_free char *mount = text_format(CGROUP_ROOT "/%s", g->controllers[i]);
        if (make_one(e, mount, g->path, g->controllers[i]) < 0)
            return -1;
    }
    return 0;
}

pid_t cgroup_fork(struct error *e, const struct cgroup *g, unsigned int flags)
{
    struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
    cleanup_close int dir_fd = -1;
    if (g->is_v2) {
        cleanup_free char *dir = cgroup_dir(g, NULL);
        dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
            return err_set(e, errno, "open %s", dir);
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned int)dir_fd;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    return pid < 0 ? err_set(e, errno, "make process") : pid;
}

int cgroup_enter(struct error *e, const struct cgroup *g)
{
    for (unsigned int i = 0; !g->is_v2 && i < g->count; i++) {
        cleanup_free char *file =
            text_format(CGROUP_ROOT "/%s%s/tasks", g->controllers[i], g->path);
        if (file_write(e, file, "0") < 0)
            return -1;
    }
    return 0;
}

long cgroup_oom_kills(const struct cgroup *g)
{
    struct error ignored;
    cleanup_free char *dir = cgroup_dir(g, "memory");
    if (dir == NULL)
        return 0;
    cleanup_free char *text = NULL;
    cleanup_free char *file =
        text_format("%s/%s", dir, g->is_v2 ? "memory.events" : "memory.oom_control");
    if (file_read(&ignored, file, &text, 4096) < 0)
        return 0;
    const char *found = strstr(text, "oom_kill ");
    return found != NULL ? strtol(found + strlen("oom_kill "), NULL, 10) : 0;
}
