/* One more process in the container, its stdio held by the shim for one client. */
#include "shim.h"

#include "clean.h"
#include "container.h"
#include "exec.h"
#include "io.h"
#include "json.h"
#include "process.h"
#include "sync.h"

#include <string.h>
#include <unistd.h>

int exec_begin(struct error *e, struct shim *shim, struct client *client, json_object *request)
{
    if (shim->main == NULL || shim->main->is_ended)
        return err_set(e, 0, "container %s is not running", shim->container.id);
    if (shim->container.runtime != NULL)
        return foreign_exec_begin(e, shim, client, request);
    cleanup_json json_object *process = exec_process(shim->container.config, request);
    struct program *program = program_new(shim);
    struct exec exec = {
        .config = shim->container.config, .process = process, .stdio = {-1, -1, -1}};
    bool has_stdin = json_flag(request, "hasStdin", false);
    program->has_terminal = json_flag(process, "terminal", false);
    program->exec_id = text_format("%s", json_text(request, "execId", ""));
    int result = strlen(program->exec_id) > 64 || strchr(program->exec_id, '/') != NULL
                     ? err_set(e, 0, "invalid execId")
                     : 0;
    if (result == 0 && !program->has_terminal)
        result = program_pipes(e, program, has_stdin, exec.stdio);
    long oom_kills = cgroup_oom_kills(&shim->container.cgroup);
    if (result == 0)
        result = exec_launch(e, &shim->container, shim->main->pid, &exec);
    for (int fd = 0; fd < 3; fd++)
        close_now(&exec.stdio[fd]);
    time_text(program->started);
    if (result < 0) {
        program->is_ended = true; /* The loop takes it away. */
        program_hang_up(program);
        close_now(&program->out[1]);
        return -1;
    }
    program->pid = exec.pid;
    program->oom_kills = oom_kills;
    program->failure = exec.failure;
    program->client = client;
    client->program = program;
    client->has_stdin = has_stdin;
    return 0;
}
