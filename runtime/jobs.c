/* The daemon's verbs about containers, and the table of all its verbs. */
#include "jobs.h"
#include "clean.h"
#include "container.h"
#include "exit-file.h"
#include "foreign.h"
#include "io.h"
#include "json.h"
#include "making.h"
#include "serve.h"
#include "shim.h"
#include "state.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static int job_create(struct error *e, struct job *job)
{
    (void)e;
    shim_request(job, false);
}

static int job_run(struct error *e, struct job *job)
{
    (void)e;
    shim_request(job, true);
}

/* Returns the lock, which its removal has alone. */
static int await_container(struct error *e, struct job *job, bool is_alone)
{
    const char *id = json_text(job->request, "id", "");
    cleanup_free char *dir = text_format("%s/%s", job->root, id);
    if (container_check_id(e, id) < 0)
        return -1;
    int lock = making_wait(e, dir, is_alone, MAKING_WAIT_S);
    if (lock >= 0 || e->code != ENOENT)
        return lock;
    err_set(e, 0, "container \"%s\" does not exist", id);
    e->code = ENOENT;
    return -1;
}

static int open_container(struct error *e, struct job *job, struct container *c)
{
    cleanup_close int lock = await_container(e, job, false);
    if (lock < 0 || container_open(e, c, job->root, json_text(job->request, "id", "")) < 0)
        return -1;
    return exit_settle(e, c);
}

static int job_start(struct error *e, struct job *job)
{
    struct container c;
    if (open_container(e, job, &c) < 0 || container_start(e, &c) < 0)
        return -1;
    return state_describe(e, &c, &job->result);
}

static int job_kill(struct error *e, struct job *job)
{
    struct container c;
    if (open_container(e, job, &c) < 0)
        return -1;
    return container_kill(e, &c, (int)json_number(job->request, "signal", 15),
                          json_flag(job->request, "isForAll", false));
}

static int job_delete(struct error *e, struct job *job)
{
    struct container c;
    cleanup_close int lock = await_container(e, job, true);
    if (lock < 0)
        return e->code == ENOENT ? 0 : -1;
    if (container_open(e, &c, job->root, json_text(job->request, "id", "")) < 0 ||
        exit_settle(e, &c) < 0)
        return -1;
    return container_delete(e, &c, json_flag(job->request, "isForced", false));
}

static int job_state(struct error *e, struct job *job)
{
    struct container c;
    if (open_container(e, job, &c) < 0)
        return -1;
    return state_describe(e, &c, &job->result);
}

/* One whose maker was killed before anything of it could run. */
static void remove_unmade(const char *root, const char *id)
{
    struct error ignored;
    struct container c;
    json_object *state = NULL;
    cleanup_free char *dir = text_format("%s/%s", root, id);
    cleanup_close int lock = making_wait(&ignored, dir, true, 0);
    if (lock < 0 || container_open(&ignored, &c, root, id) < 0)
        return;
    if (state_read(&ignored, &c, &state) < 0)
        (void)container_delete(&ignored, &c, true);
    json_object_put(state);
    container_close(&c);
}

/* Waits until it is made, unless that takes longer than *patience_s, which is then used up. */
static json_object *look_at(const char *root, const char *id, unsigned int *patience_s)
{
    struct error e = {0};
    struct container c;
    json_object *state = NULL;
    if (patience_s != NULL) {
        cleanup_free char *dir = text_format("%s/%s", root, id);
        cleanup_close int lock = making_wait(&e, dir, false, *patience_s);
        if (lock < 0 && e.code == ETIMEDOUT)
            *patience_s = 0;
        if (lock < 0)
            return NULL;
    }
    if (container_open(&e, &c, root, id) == 0 && exit_settle(&e, &c) == 0 &&
        state_describe(&e, &c, &state) < 0 && patience_s != NULL)
        remove_unmade(root, id);
    container_close(&c);
    return state;
}

int containers_list(struct error *e, const char *root, bool mends, json_object **list)
{
    cleanup_dir DIR *handle = opendir(root);
    struct dirent *entry;
    unsigned int patience_s = MAKING_WAIT_S;
    *list = json_object_new_array();
    if (handle == NULL)
        return errno == ENOENT ? 0 : err_set(e, errno, "open %s", root);
    while ((entry = readdir(handle)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        /* Being made or deleted right now: not there. */
        json_object *state = look_at(root, entry->d_name, mends ? &patience_s : NULL);
        if (state != NULL)
            json_object_array_add(*list, state);
    }
    return 0;
}

static int job_list(struct error *e, struct job *job)
{
    return containers_list(e, job->root, true, &job->result);
}

static int freeze(struct error *e, struct job *job, bool is_frozen)
{
    struct container c;
    if (open_container(e, job, &c) < 0)
        return -1;
    return c.runtime != NULL ? foreign_freeze(e, &c, is_frozen)
                             : cgroup_freeze(e, &c.cgroup, is_frozen);
}

static int job_pause(struct error *e, struct job *job)
{
    return freeze(e, job, true);
}

static int job_resume(struct error *e, struct job *job)
{
    return freeze(e, job, false);
}

static int job_update(struct error *e, struct job *job)
{
    struct container c;
    if (open_container(e, job, &c) < 0)
        return -1;
    json_object *warnings = json_object_new_array();
    job->result = json_object_new_object();
    json_object_object_add(job->result, "warnings", warnings);
    json_object *resources = json_at(job->request, "resources");
    if (c.runtime != NULL)
        return foreign_update(e, &c, resources);
    return cgroup_extend(e, &c.cgroup, resources) < 0
               ? -1
               : cgroup_limit(e, &c.cgroup, resources, warnings);
}

static int job_processes(struct error *e, struct job *job)
{
    struct container c;
    return open_container(e, job, &c) < 0 ? -1 : cgroup_processes(e, &c.cgroup, &job->result);
}

static const struct job_row rows[] = {
    {"create", job_create},
    {"run", job_run},
    {"start", job_start},
    {"kill", job_kill},
    {"delete", job_delete},
    {"state", job_state},
    {"list", job_list},
    {"pause", job_pause},
    {"resume", job_resume},
    {"update", job_update},
    {"processes", job_processes},
    {"cgroup-keep", job_cgroup_keep},
    {"sandbox-create", job_sandbox_create},
    {"sandbox-delete", job_sandbox_delete},
    {"sandbox-list", job_sandbox_list},
    {"connect", job_connect},
    {"unpack", job_unpack},
    {"remove-tree", job_remove_tree},
    {"bridge-ensure", job_bridge_ensure},
    {"interface-delete", job_interface_delete},
    {"routes-set", job_routes_set},
    {"flows-forget", job_flows_forget},
    {"host-watch", job_host_watch},
    {"volume-memory", job_volume_memory},
    {"volume-huge", job_volume_huge},
    {"volume-image", job_volume_image},
    {"volume-mount", job_volume_mount},
    {"volume-grow", job_volume_grow},
    {"disk-make", job_disk_make},
    {"disk-attach", job_disk_attach},
    {"disk-detach", job_disk_detach},
    {"volume-layers", job_volume_layers},
    {"volume-unmount", job_volume_unmount},
    {"volume-quota", job_volume_quota},
    {"tree-own", job_tree_own},
};

const struct job_row *job_find(const char *verb)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].verb, verb) == 0)
            return &rows[i];
    return NULL;
}
