/* Masked and read-only paths, and /dev/console: what is put over a container's own files once it
 * has its root. Whoever shares files with the container may exchange them meanwhile. */
#ifndef MINI_PROTECT_H
#define MINI_PROTECT_H

#include "error.h"

#include <json-c/json.h>

/* Both after the pivot. */
int protect_paths(struct error *e, json_object *config);
/* Puts the terminal (its slave's fd) at /dev/console. */
int protect_console(struct error *e, int terminal);

#endif
