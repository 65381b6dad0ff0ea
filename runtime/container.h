/*
 * A container and the messages between the host side (container.c) and its first process (init.c).
 * State directory: <root>/<id>/ with state.json, start.sock (until started), exit.json (once it has
 * ended).
 */
#ifndef MINI_CONTAINER_H
#define MINI_CONTAINER_H

#include "cgroup.h"
#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

struct filter;

struct container {
    const char *root; /* directory of all containers' states */
    const char *id;
    char *dir; /* <root>/<id> */
    int dir_fd;
    char *bundle;
    json_object *config;
    json_object *runtime; /* another OCI runtime that makes it, see foreign.h; or NULL */
    json_object *overlay; /* {lower, upper, work}, or NULL for a root file system that is there */
    struct users *users;  /* what it needs in a user namespace, while it is launched; or NULL */
    struct sources
        *sources; /* what was opened of the host before it could not be any more; or NULL */
    int room;     /* where its mounts may be made, see room.h, or -1 */
    json_object *warnings;
    struct cgroup cgroup;
    char *memberships;  /* /proc/self/cgroup of the first process, read by itself; or NULL */
    bool has_shim;      /* this process stays as its shim */
    bool keeps_keyring; /* its processes stay in the caller's session keyring */
    int mounts_fd;      /* its mount namespace, held while it is deleted, or -1 */
};

/* What the first process is given besides its config. */
struct launch {
    bool waits_for_start; /* created: executes when start.sock is connected to; else at once */
    int stdio[3];         /* -1 = keep the inherited one; unused with a terminal */
    int console;          /* result: the terminal's master, or -1 */
    int failure; /* result of launch without waiting: reads the reason why exec failed, or end of
                    file */
    int preserve_fds;  /* so many from fd 3 on are the program's */
    const int *client; /* connection of who asked for it, or NULL */
    pid_t pid;         /* result */
    long oom_kills;    /* result: in the cgroup before it */
    /* What must be done before the program is executed, while the first process sets itself up; or
     * NULL. */
    int (*meanwhile)(struct error *e, void *context);
    void *context;
};

/*
 * Synchronisation with the first process, over one socket pair:
 *  sync 0  both ways, only for hooks that run then: the mounts are made, the root is not entered
 *  sync 1  init → host: set up (after the terminal's master, when there is one), or a struct error
 *  sync 2  host → init: the state is on disk, execute (or wait for start)
 *  sync 3  init → host: closed by a successful exec, or a struct error
 */
#define SYNC_CONSOLE 'T'
#define SYNC_MOUNTED 'M'
#define SYNC_READY 'R'
#define SYNC_EXECUTE 'X'
#define SYNC_ERROR 'E'

int container_check_id(struct error *e, const char *id);
int container_open(struct error *e, struct container *c, const char *root, const char *id);
/* Makes the state directory, locked until making_end; fails when the id is in use. */
int container_make(struct error *e, struct container *c, const char *root, const char *id);
void container_close(struct container *c);

/* A container variable that is closed when its scope ends; it starts as NO_CONTAINER. */
#define NO_CONTAINER ((struct container){.dir_fd = -1, .mounts_fd = -1, .room = -1})
#define cleanup_container __attribute__((cleanup(container_close)))

/* Refuses what is not built, by name. */
int container_check(struct error *e, json_object *config);
/* Makes cgroups and the first process; the state file is written. On failure nothing is left but
 * the directory. */
int container_launch(struct error *e, struct container *c, struct launch *launch);
/* Fails when who asked for it has gone. */
int launch_check_client(struct error *e, const struct container *c, const struct launch *launch);
/* True when the first process waits for hooks of the host before it enters its root. */
bool container_waits_mounted(json_object *config);
/* Hooks whose failure is a warning, as config or state list them: poststart, and poststop when pid
 * is 0. */
void container_hooks_after(const struct container *c, json_object *state, const char *kind,
                           pid_t pid);
/* Waits for the outcome of exec: 0, or -1 with the reason. */
int container_started(struct error *e, int failure_fd);
int container_start(struct error *e, struct container *c);
int container_kill(struct error *e, struct container *c, int signal, bool is_for_all);
/* Removes cgroups, left processes and the state directory; kills it first when forced. */
int container_delete(struct error *e, struct container *c, bool is_forced);
/* Kills all of it and waits for its end. */
int container_end(struct error *e, struct container *c, json_object *state);
/* True when a SIGKILL was sent to it on request. */
bool container_was_killed(const struct container *c);
/* Removes the state directory. */
void container_forget(struct container *c);

/* Runs in the new process: sets it up and executes the program; never returns. */
struct init {
    struct container *container;
    const struct launch *launch;
    int sync;
    int listener; /* start.sock, or -1 */
    struct filter *filter;
};
_Noreturn void init_run(struct init *init);

#endif
