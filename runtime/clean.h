/* Cleanup attributes: a value so marked is released when its scope ends. fds start at -1, pointers
 * at NULL. */
#ifndef MINI_CLEAN_H
#define MINI_CLEAN_H

#include <dirent.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

static inline void clean_free(void *p)
{
    free(*(void **)p);
}

static inline void clean_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void clean_json(json_object **object)
{
    json_object_put(*object);
}

static inline void clean_dir(DIR **dir)
{
    if (*dir != NULL)
        closedir(*dir);
}

#define cleanup_free __attribute__((cleanup(clean_free)))
#define cleanup_close __attribute__((cleanup(clean_close)))
#define cleanup_json __attribute__((cleanup(clean_json)))
#define cleanup_dir __attribute__((cleanup(clean_dir)))

/* Takes the fd out of a cleanup variable: the caller owns it now. */
static inline int steal_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Closes now what the cleanup would close later. */
static inline void close_now(int *fd)
{
    clean_close(fd);
    *fd = -1;
}

#endif
