/* What extended headers of an archive say about the entry that follows them. */
#ifndef MINI_TAR_PAX_H
#define MINI_TAR_PAX_H

#include "error.h"
#include "tar.h"

#include <stdbool.h>
#include <stddef.h>

struct extended {
    bool has_size, has_uid, has_gid, has_modified;
    struct tar_entry entry;
};

/* Reads a header's records into x. The text is changed. */
int pax_parse(struct error *e, struct extended *x, char *text, size_t size);
/* Frees the old text and takes the new one. */
void pax_replace(char **text, char *with);

#endif
