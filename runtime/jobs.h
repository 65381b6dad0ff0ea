/* The daemon's verbs, by topic; jobs.c has the table. */
#ifndef MINI_JOBS_H
#define MINI_JOBS_H

#include "serve.h"

/* The state of each container below root. */
int containers_list(struct error *e, const char *root, json_object **list);

#endif
