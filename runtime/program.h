/* Programs of the host that do what has no system call: making and growing file systems. */
#ifndef MINI_PROGRAM_H
#define MINI_PROGRAM_H

#include "error.h"

/* Runs argv (found in the system's directories, not in PATH) to its end. The error carries what it
 * wrote last to its standard error; ENOENT: this host does not have it. */
int program_run(struct error *e, const char *const argv[]);

#endif
