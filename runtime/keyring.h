/* A container's session keyring: its keys are not the host's, nor another container's. */
#ifndef MINI_KEYRING_H
#define MINI_KEYRING_H

#include "error.h"

/* Makes this process a member of the container's session keyring, which is made when it is not
 * there; a kernel without keys needs none. */
int keyring_join(struct error *e, const char *id);

#endif
