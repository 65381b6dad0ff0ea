/* Unpacking an image layer into a directory, with whiteouts as overlayfs has them. */
#ifndef MINI_UNPACK_H
#define MINI_UNPACK_H

#include "error.h"

#include <stddef.h>

/* Reads a tar stream from fd, whose first bytes were read already. Nothing outside the directory is
 * ever touched. */
int unpack(struct error *e, const char *directory, int fd, const char *rest, size_t rest_size);

#endif
