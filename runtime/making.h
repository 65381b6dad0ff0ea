/*
 * What is being made (a container, a sandbox) has its directory locked, so that whoever asks for it
 * waits until it is complete or its maker has ended: also the next daemon, when the one that began
 * it was killed. The kernel gives the lock back with the last process that holds the fd.
 */
#ifndef MINI_MAKING_H
#define MINI_MAKING_H

#include "error.h"

#include <stdbool.h>

/* How long another's making is waited for. */
#define MAKING_WAIT_S 30

/* For its maker. Fails with ESTALE when somebody has removed the directory meanwhile. */
int making_begin(struct error *e, int dir_fd);
void making_end(int dir_fd);
/*
 * Waits for the end of its making, at most wait_s. Returns an fd that keeps the lock, shared or,
 * for its removal, alone; or -1: ENOENT when it is not there any more, ETIMEDOUT.
 */
int making_wait(struct error *e, const char *dir, bool is_alone, unsigned int wait_s);
/* A file of this name, made if need be, locked alone until its fd is closed. */
int lock_file(struct error *e, const char *dir, const char *name);
/* Locks an open file or directory alone; ETIMEDOUT after wait_s. */
int lock_within(struct error *e, int fd, int how, unsigned int wait_s);

#endif
