/* The kernel reads the command line out of the process's own memory: the arguments, and on into the
 * environment when their last byte is not NUL any more. */
#include "title.h"

#include "clean.h"
#include "error.h"
#include "io.h"

#include <stdlib.h>
#include <string.h>

/* Fields of /proc/self/stat, counted from 1. */
#define FIRST_AFTER_NAME 3
#define ARG_START 48
#define ARG_END 49
#define ENV_START 50
#define ENV_END 51

static int read_places(unsigned long *places)
{
    struct error ignored;
    cleanup_free char *text = NULL;
    if (file_read(&ignored, "/proc/self/stat", &text, 65536) < 0)
        return -1;
    char *at = strrchr(text, ')');
    for (int field = FIRST_AFTER_NAME; at != NULL && field <= ENV_END; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL && field >= ARG_START)
            places[field - ARG_START] = strtoul(at + 1, NULL, 10);
    }
    return at == NULL ? -1 : 0;
}

void title_set(const char *text)
{
    unsigned long places[ENV_END - ARG_START + 1] = {0};
    if (read_places(places) < 0 || places[0] == 0)
        return;
    unsigned long end = places[ARG_END - ARG_START];
    size_t size = strlen(text);
    if (places[ENV_START - ARG_START] == end)
        end = places[ENV_END - ARG_START];
    if (size >= end - places[0])
        return;
    clearenv();
    char *area = (char *)places[0];
    memset(area, 0, end - places[0]);
    memcpy(area, text, size);
}
