/* Signalling, pausing, changing and deleting containers of another runtime. */
#include "foreign.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "remove-tree.h"
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* A runtime need not pause by a cgroup that this helper could ask. */
#define PAUSED_MARK "paused"

bool foreign_is_paused(const struct container *c)
{
    return faccessat(c->dir_fd, PAUSED_MARK, F_OK, 0) == 0;
}

int foreign_freeze(struct error *e, struct container *c, bool is_frozen)
{
    if (foreign_is_paused(c) == is_frozen)
        return 0;
    if (foreign_verb(e, c, is_frozen ? "pause" : "resume", c->id, NULL) < 0)
        return -1;
    if (!is_frozen)
        return unlinkat(c->dir_fd, PAUSED_MARK, 0) < 0 ? err_set(e, errno, "resume %s", c->id) : 0;
    return file_replace_at(e, c->dir_fd, PAUSED_MARK, "");
}

int foreign_kill(struct error *e, struct container *c, int number, bool is_for_all)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    const char *const words[] = {"kill", is_for_all ? "--all" : c->id, is_for_all ? c->id : text,
                                 is_for_all ? text : NULL, NULL};
    cleanup_free char *log = text_format("kill-%d.log", (int)getpid());
    struct foreign_call call = {.container = c, .words = words, .log = log};
    if (foreign_run(e, &call) < 0)
        return -1;
    /* Frozen on v1 it would not die before it is thawed. */
    if (number == SIGKILL && foreign_is_paused(c)) {
        struct error ignored;
        (void)foreign_freeze(&ignored, c, false);
    }
    return 0;
}

int foreign_update(struct error *e, struct container *c, json_object *resources)
{
    cleanup_free char *name = text_format("resources-%d.json", (int)getpid());
    cleanup_free char *path = text_format("%s/%s", c->dir, name);
    const char *const words[] = {"update", "--resources", path, c->id, NULL};
    cleanup_free char *log = text_format("update-%d.log", (int)getpid());
    struct foreign_call call = {.container = c, .words = words, .log = log};
    foreign_adapt_resources(c, resources);
    if (file_replace_at(e, c->dir_fd, name, json_line(resources)) < 0)
        return -1;
    int result = foreign_run(e, &call);
    unlinkat(c->dir_fd, name, 0);
    return result;
}

int foreign_delete(struct error *e, struct container *c)
{
    struct error ignored;
    const char *path = json_text(c->runtime, "cgroupPath", "/mini");
    cleanup_free char *left = text_format("%s/%s", json_text(c->runtime, "root", ""), c->id);
    foreign_unmount(c);
    /* It may not know of the container, or may itself be gone: what counts is that nothing stays.
     */
    if (foreign_verb(&ignored, c, "delete", "--force", c->id) < 0 && remove_tree(e, left) < 0)
        return -1;
    struct cgroup cgroup;
    cgroup_find(&cgroup, path);
    int result = cgroup_remove(e, &cgroup);
    cgroup_free(&cgroup);
    cgroup_remove_others(path);
    return result;
}
