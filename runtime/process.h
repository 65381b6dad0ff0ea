/* Turning the current process into one of a container: user, capabilities, limits, directory,
 * program. */
#ifndef MINI_PROCESS_H
#define MINI_PROCESS_H

#include "error.h"
#include "filter.h"

#include <json-c/json.h>

/* Opens a terminal in the container's devpts, makes it stdio and the controlling terminal; returns
 * its master. */
int process_terminal(struct error *e, json_object *process);

/* Puts these fds at 0, 1 and 2; -1 keeps what is there. */
int process_stdio(struct error *e, const int stdio[3]);

/* Finds the program, sets limits, user, capabilities and directory. *path: what to execute (in new
 * memory). */
int process_become(struct error *e, json_object *process, const struct filter *filter, char **path);

/* Sets the filter and executes; returns only when that failed. */
int process_execute(struct error *e, json_object *process, const struct filter *filter,
                    const char *path);

/* The texts of an array, then extra when it is not NULL, NULL-terminated, in new memory. */
char **text_vector(json_object *object, const char *key, const char *extra);

/* After fork: signals as a program expects them. */
void process_reset_signals(void);

#endif
