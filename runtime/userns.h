/* User namespaces: made from OCI mappings, entered, and which ids of the host stand for those
 * inside. */
#ifndef MINI_USERNS_H
#define MINI_USERNS_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

/* A new user namespace with these mappings ([{containerID, hostID, size}]) as an fd that keeps it.
 */
int userns_make(struct error *e, json_object *uids, json_object *gids);
/* The container's user namespace as linux.namespaces asks for it: *fd, or -1 when it is the host's.
 */
int userns_of(struct error *e, json_object *config, int *fd);
/* Refuses mappings that no namespace or no kernel can have. */
int userns_check(struct error *e, json_object *config);
/* Enters it without changing ids, which stand for nobody inside until userns_become_root. */
int userns_enter(struct error *e, int fd);
/* Ids 0 inside, or the first that are mapped, of the namespace of a process ("/proc/self"). */
struct userns_root {
    long uid, gid;
};
int userns_root_ids(struct error *e, const char *process, struct userns_root *root);
int userns_become_root(struct error *e, const struct userns_root *root);
/* The id of the host for an id inside, by a map as /proc/<pid>/uid_map shows it; -1 = none. */
int64_t userns_outside(const char *map, int64_t inside);
/* True when the process (by its number here) is in another user namespace than the caller. */
bool userns_differs(pid_t pid);
/* Gives pipes among these fds to the user inside, so that it can open /dev/stdout and so on. */
void userns_own_pipes(const int stdio[3], const char *map, int64_t uid);

#endif
