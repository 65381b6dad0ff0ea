/* One input after the other for each target: what is read is in `now`. */
#ifndef MINI_FUZZ_H
#define MINI_FUZZ_H

#include <stddef.h>

#define INPUT_MAX ((size_t)64 << 10)
/* A stand-in for a directory of the host, in a mount namespace of its own. */
#define SCRATCH "/mnt"

struct input {
    char data[INPUT_MAX + 1]; /* followed by a null byte */
    size_t size;
};

extern struct input now;

/* targets.c: what images, engines and clients send. */
void fuzz_config(void);
void fuzz_frames(void);
void fuzz_tar(void);
/* texts.c: files of the container, of the kernel and of other runtimes. */
void fuzz_texts(void);
void fuzz_state(void);
/* messages.c: what netlink answers. */
void fuzz_messages(void);

#endif
