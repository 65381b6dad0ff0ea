/* cgroup v2 lets a cgroup either hold processes or give controllers to those below it. Inside
 * another container mini's own cgroup is the root that it sees, and holds processes. */
#include "cgroup.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define LEAF "mini-processes"
#define PROCS_SIZE_MAX ((size_t)4 << 20)
/* A process may be born while the others are moved. */
#define ROUNDS_MAX 10

int cgroup_evacuate(struct error *e, const char *dir)
{
    cleanup_free char *from = text_format("%s/cgroup.procs", dir);
    cleanup_free char *leaf = text_format("%s/" LEAF, dir);
    cleanup_free char *to = text_format("%s/cgroup.procs", leaf);
    if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "mkdir %s", leaf);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        cleanup_free char *text = NULL;
        if (file_read(e, from, &text, PROCS_SIZE_MAX) < 0)
            return -1;
        if (*text == '\0')
            return 0;
        char *rest = text, *pid;
        while ((pid = strsep(&rest, "\n")) != NULL)
            if (*pid != '\0' && file_write(e, to, pid) < 0 && e->code != ESRCH)
                return err_wrap(e, "move processes of %s out of the way", dir);
    }
    return err_set(e, EBUSY, "%s holds processes that cannot be moved", dir);
}
