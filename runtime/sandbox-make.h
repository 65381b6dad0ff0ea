/* The namespaces of a sandbox that is being made, and which of them a user namespace owns. */
#ifndef MINI_SANDBOX_MAKE_H
#define MINI_SANDBOX_MAKE_H

#include "error.h"

#include <json-c/json.h>

/* Enters new namespaces of these kinds (CLONE_NEW*); userns owns them (-1 = the host's). The caller
 * stays in its own user namespace, with all rights over them. */
int sandbox_unshare(struct error *e, int flags, int userns);
/* POSIX shared memory belongs to an IPC namespace, but is a file system: mounted at dir/shm. */
int sandbox_share_memory(struct error *e, const char *dir, json_object *spec);
/* A process namespace with a reaper in it, pinned at dir/pid; its process stands in dir/reaper. */
int sandbox_share_processes(struct error *e, const char *dir, int userns);
/* Whether its reaper lives: without it nothing can be born there. */
int sandbox_has_processes(const char *dir);
/* Ends the reaper, and with it all processes in its namespace. */
int sandbox_end_processes(struct error *e, const char *dir);

/* In the new network namespace: loopback, then the interface's inner end. host: a netlink socket of
 * the host's. */
int sandbox_set_up_network(struct error *e, const char *run_dir, int host, json_object *wish);
int sandbox_set_sysctls(struct error *e, json_object *sysctls);

#endif
