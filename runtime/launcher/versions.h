/*
 * The versions laid out on this host: one directory each, named by the hash of its payload, below
 * one parent. Who runs a version holds a shared lock on its directory; laying out a new one removes
 * those that nobody holds.
 */
#ifndef MINI_VERSIONS_H
#define MINI_VERSIONS_H

#include "payload.h"

#define PROGRAM "mini"

/*
 * Makes sure that the version's files are in `home`, a directory in `parent`, and that they stay
 * for as long as this process lives, whatever it becomes. Returns 0, or -1 once it has printed why
 * not.
 */
int version_enter(struct payload *p, const struct trailer *t, const char *parent, const char *home);

#endif
