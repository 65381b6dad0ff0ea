/*
 * The payload of the executable: a zstd-compressed tar of plain files between this program and a
 * trailer at the end of the file. Sync with payload.mjs.
 */
#ifndef MINI_PAYLOAD_H
#define MINI_PAYLOAD_H

#include <stdint.h>
#include <zstd.h>

#define ID_HEX 16

struct trailer {
    char magic[8];
    uint64_t offset;
    uint64_t size;
    /* Hash of the payload: names the version's directory. */
    char id[ID_HEX];
};

struct payload {
    int fd;
    uint64_t left;
    ZSTD_DStream *stream;
    ZSTD_inBuffer in;
    char *in_data;
    size_t in_capacity;
};

/* Prints what could not be done, why (errno), and what helps. Returns -1, as all functions here do
 * once they have printed what was wrong. */
int fail(const char *what, const char *path);

/* Finds the payload in this very file. */
int payload_open(struct payload *p, struct trailer *t);

/* Unpacks all of it into a directory and verifies its checksum. */
int payload_unpack(struct payload *p, const struct trailer *t, int dir);

#endif
