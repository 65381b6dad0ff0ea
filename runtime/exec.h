/* A further process in a running container. */
#ifndef MINI_EXEC_H
#define MINI_EXEC_H

#include "container.h"
#include "error.h"

#include <json-c/json.h>
#include <sys/types.h>

struct exec {
    json_object *config;  /* the container's: its linux part counts */
    json_object *process; /* OCI process */
    int stdio[3];
    int preserve_fds;    /* so many from fd 3 on are the program's */
    pid_t container_pid; /* set by exec_launch */
    pid_t pid;           /* result */
    int failure; /* result: the terminal's master when it has one, then why exec failed, or end of
                    file */
};

/* The container's own process with what the request (args, env, cwd, user, …) replaces. */
json_object *exec_process(json_object *config, json_object *request);
/* A child of the caller in the container's namespaces and cgroups. */
int exec_launch(struct error *e, struct container *c, pid_t container_pid, struct exec *exec);

#endif
