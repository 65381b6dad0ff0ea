/* Protection of the helper's own executable from containers (CVE-2019-5736). */
#ifndef MINI_SELFEXE_H
#define MINI_SELFEXE_H

#include "error.h"

/* Runs the program again from a sealed copy in memory, unless it already does. */
int selfexe_protect(struct error *e, char **argv);

#endif
