/*
 * A container that another OCI runtime makes, called by its path as the OCI runtime's command line
 * has it. The shim stays what it is: it holds stdio, log and exit, and is the subreaper to which
 * the container's process falls. <state dir>/runtime.json says which runtime it is: {path, args:
 * […], root, cgroupPath}.
 */
#ifndef MINI_FOREIGN_H
#define MINI_FOREIGN_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>
#include <sys/types.h>

/* The file of the state directory; c->runtime has its content. */
#define FOREIGN_FILE "runtime.json"
/* Mount point of the root file system, in the state directory, which is the bundle too. */
#define FOREIGN_ROOT "root"
/* Such, with the index of a bind mount, for its source. */
#define FOREIGN_BIND "bind-"

struct foreign_call {
    const struct container *container;
    const char *const *words; /* the verb and what follows, NULL-terminated */
    const char *log;          /* name of its log in the state directory */
    const int *stdio;         /* three fds, -1 = /dev/null; NULL = /dev/null for all */
    /* Of a creation: it may take its time, but is killed when this connection's client goes. */
    const int *client;
    /* In the new process, before it executes; NULL = nothing. */
    int (*prepare)(struct error *e, const struct container *c);
};

/* Begins it; it is killed when this process ends. */
pid_t foreign_spawn(struct error *e, const struct foreign_call *call);
/* What became of it, from how it ended and what it logged; the log is removed. ENOENT: there is no
 * such program. */
int foreign_outcome(struct error *e, const struct foreign_call *call, int status);
/* From begin to end, in limited time. */
int foreign_run(struct error *e, const struct foreign_call *call);
/* One verb with at most two words after it; NULL = none. */
int foreign_verb(struct error *e, const struct container *c, const char *verb, const char *first,
                 const char *second);

/* c->runtime from the state directory, when another runtime made the container. */
void foreign_find(struct container *c);

/* foreign-launch.c: as container_launch. With a terminal launch->console is its master. */
int foreign_launch(struct error *e, struct container *c, struct launch *launch);
/* The terminal's master that was sent to this socket, -1 = none. */
int foreign_take_console(int listener);
/* <state dir>/<name> by a path that fits into a socket's address. */
char *foreign_socket_path(const struct container *c, const char *name);
/* The process that a runtime wrote into <state dir>/<name>. */
pid_t foreign_read_pid(struct error *e, const struct container *c, const char *name);
/* foreign-config.c: config.json as any runtime can take it on this host. */
int foreign_adapt(struct error *e, const struct container *c);
/* What an exec's process may ask of this host. */
void foreign_adapt_process(json_object *process);
/* What of linux.resources this host can give; the rest becomes warnings. */
void foreign_adapt_resources(const struct container *c, json_object *resources);
/* foreign-mounts.c: in a mount namespace of its own, the root and what only this helper can mount.
 */
int foreign_mount(struct error *e, const struct container *c);
/* For calls once it runs: an empty directory where the root was, as runc wants to find one. */
int foreign_stand_in(struct error *e, const struct container *c);
/* True when the runtime is given a place of its own instead of the mount's source. */
bool foreign_mounts_source(const struct container *c, json_object *mount);
/* The path of such a place, or of the root. */
char *foreign_place(const struct container *c, const char *name);
/* What a call that was cut short has left mounted on the host. */
void foreign_unmount(const struct container *c);
/* foreign-end.c */
int foreign_kill(struct error *e, struct container *c, int signal, bool is_for_all);
int foreign_freeze(struct error *e, struct container *c, bool is_frozen);
int foreign_update(struct error *e, struct container *c, json_object *resources);
bool foreign_is_paused(const struct container *c);
/* Makes the runtime forget the container, and removes what it left. */
int foreign_delete(struct error *e, struct container *c);

#endif
