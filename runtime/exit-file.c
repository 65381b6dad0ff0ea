#include "exit-file.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Until the end comes, both names lead to one file of this size. */
#define RESERVED ".exit"
#define RESERVED_SIZE 4096
/* What a container "ended with" that was ended as its shim was killed; containerd says the same. */
#define LOST_CODE (128 + SIGKILL)

static int open_exits(struct error *e, const struct container *c)
{
    cleanup_free char *path = text_format("%s/../exits", c->root);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open %s", path) : fd;
}

int exit_reserve(struct error *e, const struct container *c)
{
    cleanup_free char *path = text_format("%s/../exits", c->root);
    if (make_dirs(e, path, 0700) < 0)
        return -1;
    cleanup_close int exits = open_exits(e, c);
    cleanup_close int fd =
        openat(c->dir_fd, RESERVED, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (exits < 0)
        return -1;
    if (fd < 0)
        return err_set(e, errno, "create %s/%s", c->dir, RESERVED);
    int code = posix_fallocate(fd, 0, RESERVED_SIZE);
    if (code != 0)
        return err_set(e, code, "reserve space for the exit of container %s", c->id);
    cleanup_free char *notice = text_format(".%s", c->id);
    unlinkat(exits, notice, 0);
    if (linkat(c->dir_fd, RESERVED, exits, notice, 0) < 0)
        return err_set(e, errno, "reserve notice of container %s", c->id);
    return 0;
}

void exit_unreserve(const struct container *c)
{
    struct error ignored;
    cleanup_close int exits = open_exits(&ignored, c);
    cleanup_free char *notice = text_format(".%s", c->id);
    if (exits >= 0)
        unlinkat(exits, notice, 0);
}

static int fill_reserved(const struct container *c, const char *text)
{
    size_t size = strlen(text);
    cleanup_close int fd = openat(c->dir_fd, RESERVED, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || size > RESERVED_SIZE || write_all(fd, text, size) < 0)
        return -1;
    return ftruncate(fd, (off_t)size);
}

int exit_write(struct error *e, const struct container *c, const char *text)
{
    cleanup_close int exits = open_exits(e, c);
    cleanup_free char *hidden = text_format(".%s", c->id), *notice = text_format("%s.json", c->id);
    bool is_filled = fill_reserved(c, text) == 0;
    if ((!is_filled || renameat(c->dir_fd, RESERVED, c->dir_fd, "exit.json") < 0) &&
        file_replace_at(e, c->dir_fd, "exit.json", text) < 0)
        return -1;
    if (exits < 0)
        return -1;
    if (is_filled && renameat(exits, hidden, exits, notice) == 0)
        return 0;
    unlinkat(exits, hidden, 0);
    return file_replace_at(e, exits, notice, text);
}

static bool is_told(const struct container *c)
{
    return faccessat(c->dir_fd, "exit.json", F_OK, 0) == 0;
}

static int write_lost(struct error *e, struct container *c)
{
    char now[TIME_TEXT_SIZE];
    struct error ignored;
    cleanup_free char *started = NULL, *path = text_format("%s/started", c->dir);
    cleanup_json json_object *exit = json_object_new_object();
    time_text(now);
    if (file_read(&ignored, path, &started, TIME_TEXT_SIZE) < 0)
        started = text_format("%s", now);
    json_put_text(exit, "id", c->id);
    json_put_number(exit, "exitCode", LOST_CODE);
    json_object_object_add(exit, "isOomKilled", json_object_new_boolean(false));
    json_object_object_add(exit, "isLost", json_object_new_boolean(true));
    json_put_text(exit, "startedAt", started);
    json_put_text(exit, "finishedAt", now);
    return exit_write(e, c, json_line(exit));
}

int exit_settle(struct error *e, struct container *c)
{
    struct error ignored;
    cleanup_json json_object *state = NULL;
    if (is_told(c) || state_read(&ignored, c, &state) < 0)
        return 0;
    pid_t shim = (pid_t)json_number(state, "shimPid", 0);
    if (shim == 0)
        return 0; /* It was made without one. */
    cleanup_close int alive = process_find(shim, json_number(state, "shimBirth", 0));
    if (alive >= 0 && !process_is_ending(shim))
        return 0;
    /* One at a time; and the shim may have ended well just before it was looked for. */
    cleanup_close int lock = openat(c->dir_fd, "state.json", O_RDONLY | O_CLOEXEC);
    if (lock < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "open state of container %s", c->id);
    if (flock(lock, LOCK_EX) < 0)
        return err_set(e, errno, "lock container %s", c->id);
    if (is_told(c))
        return 0;
    if (container_end(e, c, state) < 0)
        return -1;
    return write_lost(e, c);
}
