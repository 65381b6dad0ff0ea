/* An update may limit what the container's making did not: on v1 its processes then have to enter
 * one more hierarchy. */
#include "cgroup.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <string.h>

/* A process that ends meanwhile needs no limit; one that is born meanwhile is seen the next time
 * round. */
#define ROUNDS_MAX 10

static int move_all(struct error *e, const struct cgroup *g, const char *controller)
{
    cleanup_free char *file = text_format(CGROUP_ROOT "/%s%s/cgroup.procs", controller, g->path);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        cleanup_json json_object *pids = NULL;
        cleanup_free char *inside = NULL;
        if (cgroup_processes(e, g, &pids) < 0 || file_read(e, file, &inside, (size_t)4 << 20) < 0)
            return -1;
        size_t count = json_count(pids, ""), moved = 0;
        for (size_t i = 0; i < count; i++) {
            cleanup_free char *pid =
                text_format("%s\n", json_object_get_string(json_entry(pids, i)));
            const char *found = strstr(inside, pid);
            if (found != NULL && (found == inside || found[-1] == '\n'))
                continue;
            moved++;
            if (file_write(e, file, pid) < 0 && e->code != ESRCH)
                return -1;
        }
        if (moved == 0)
            return 0;
    }
    return err_set(e, EAGAIN, "move the processes of %s to controller %s", g->path, controller);
}

int cgroup_extend(struct error *e, struct cgroup *g, json_object *resources)
{
    struct cgroup wanted;
    cleanup_json json_object *config = json_object_new_object();
    json_object *part = json_object_new_object();
    if (g->is_v2 || g->path == NULL)
        return 0;
    json_put_text(part, "cgroupsPath", g->path);
    json_object_object_add(part, "resources", json_object_get(resources));
    json_object_object_add(config, "linux", part);
    if (cgroup_plan(e, &wanted, config, "") < 0)
        return -1;
    int result = cgroup_make(e, &wanted);
    for (unsigned int i = 0; result == 0 && i < wanted.count; i++) {
        cleanup_free char *dir = cgroup_dir(g, wanted.controllers[i]);
        if (dir == NULL)
            result = move_all(e, g, wanted.controllers[i]);
    }
    cgroup_free(&wanted);
    if (result < 0)
        return -1;
    cleanup_free char *path = text_format("%s", g->path);
    cgroup_free(g);
    cgroup_find(g, path);
    return 0;
}
