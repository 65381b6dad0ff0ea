/*
 * The cgroups of a container: one directory per mounted v1 controller that is needed, or one on v2.
 * What the machine cannot do is left out and said in `warnings`.
 */
#ifndef MINI_CGROUP_H
#define MINI_CGROUP_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_CONTROLLERS_MAX 16

struct cgroup {
    bool is_v2;
    char *path; /* below the mount, e.g. "/mini/pod1/web" */
    unsigned int count;
    const char *controllers[CGROUP_CONTROLLERS_MAX]; /* v1 only */
};

bool cgroup_is_v2(void);
/* Picks the controllers that the config needs and the machine has. Touches nothing. */
int cgroup_plan(struct error *e, struct cgroup *g, json_object *config, const char *id);
/* All controllers below which the path exists: for an existing container. */
void cgroup_find(struct cgroup *g, const char *path);
void cgroup_free(struct cgroup *g);

int cgroup_make(struct error *e, const struct cgroup *g);
/*
 * fork, with these clone flags; on v2 the child is born in the cgroup. On v1 it calls cgroup_enter
 * first: a single thread that moves itself (0 into `tasks`) spares the kernel's global lock, which
 * costs 10 ms after a quiet spell.
 */
pid_t cgroup_fork(struct error *e, const struct cgroup *g, unsigned int flags);
int cgroup_enter(struct error *e, const struct cgroup *g);
int cgroup_limit(struct error *e, const struct cgroup *g, json_object *resources,
                 json_object *warnings);
/* A config without device rules is as one that allows no more than what every container has. */
void devices_deny_rest(json_object *config);
/* Makes room for limits that its making did not ask for; before cgroup_limit in an update. */
int cgroup_extend(struct error *e, struct cgroup *g, json_object *resources);
/* v2: moves the processes of a cgroup's directory into a leaf below it. */
int cgroup_evacuate(struct error *e, const char *dir);
int cgroup_freeze(struct error *e, const struct cgroup *g, bool is_frozen);
bool cgroup_is_frozen(const struct cgroup *g);
/*
 * Makes a cgroup that is to have others below it, or changes its limits. Its directory gets the
 * sticky bit: the removal of the last cgroup below leaves it.
 */
int cgroup_keep(struct error *e, const char *path, json_object *resources, json_object *warnings);
/* Kills all that is left inside and removes the directories, and empty parents that are not kept.
 */
int cgroup_remove(struct error *e, const struct cgroup *g);
/* Empty directories of this path, and of empty parents, in hierarchies that are not mini's: other
 * runtimes make them in all that are mounted. */
void cgroup_remove_others(const char *path);
int cgroup_signal_all(struct error *e, const struct cgroup *g, int signal);
/* The processes inside, as a JSON array of numbers. */
int cgroup_processes(struct error *e, const struct cgroup *g, json_object **pids);
/* How often the kernel killed something in it for want of memory. */
long cgroup_oom_kills(const struct cgroup *g);

/* <mount>/<controller><path>, in new memory; NULL when the controller is not used. */
char *cgroup_dir(const struct cgroup *g, const char *controller);

#endif
