/* Execs in a container of another runtime: the runtime is called beside the shim's other work, and
 * leaves the process to the shim, its subreaper. */
#include "shim.h"

#include "clean.h"
#include "exec.h"
#include "foreign.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct foreign_exec {
    pid_t pid;         /* of the runtime */
    int console;       /* where it sends the terminal, or -1 */
    json_object *size; /* {columns, rows} that the terminal is to have, or NULL */
};

static char *name_of(const struct program *program, const char *what)
{
    return text_format("exec-%s.%s", program->exec_id, what);
}

void foreign_exec_free(struct program *program)
{
    if (program->foreign == NULL)
        return;
    close_now(&program->foreign->console);
    json_object_put(program->foreign->size);
    free(program->foreign);
    program->foreign = NULL;
}

/* Before there is a terminal. The runtime may have set its first size itself, or not. */
void foreign_exec_resize(struct program *program, json_object *size)
{
    json_object_put(program->foreign->size);
    program->foreign->size = json_object_get(size);
}

static void keep_first_size(struct program *program, json_object *process)
{
    json_object *given = json_at(process, "consoleSize");
    cleanup_json json_object *size = json_object_new_object();
    if (given == NULL)
        return;
    json_put_number(size, "columns", json_number(given, "width", 0));
    json_put_number(size, "rows", json_number(given, "height", 0));
    foreign_exec_resize(program, size);
}

static int spawn(struct error *e, struct shim *shim, struct program *program, const int *stdio)
{
    const struct container *c = &shim->container;
    cleanup_free char *log = name_of(program, "log"), *pid = name_of(program, "pid");
    cleanup_free char *spec = name_of(program, "spec"), *socket = name_of(program, "sock");
    cleanup_free char *pid_path = text_format("%s/%s", c->dir, pid);
    cleanup_free char *spec_path = text_format("%s/%s", c->dir, spec);
    cleanup_free char *socket_path = foreign_socket_path(c, socket);
    const char *words[] = {"exec",   "--detach", "--process", spec_path, "--pid-file",
                           pid_path, c->id,      NULL,        NULL,      NULL};
    if (program->has_terminal) {
        program->foreign->console = socket_listen_at(e, c->dir_fd, socket);
        if (program->foreign->console < 0)
            return -1;
        words[6] = "--console-socket";
        words[7] = socket_path;
        words[8] = c->id;
    }
    struct foreign_call call = {
        .container = c, .words = words, .log = log, .stdio = stdio, .prepare = foreign_stand_in};
    program->foreign->pid = foreign_spawn(e, &call);
    return program->foreign->pid < 0 ? -1 : 0;
}

static int prepare(struct error *e, struct shim *shim, struct program *program,
                   json_object *request)
{
    const struct container *c = &shim->container;
    cleanup_json json_object *process = exec_process(c->config, request);
    cleanup_free char *spec = name_of(program, "spec");
    int stdio[3] = {-1, -1, -1};
    program->has_terminal = json_flag(process, "terminal", false);
    if (strlen(program->exec_id) > 64 || strchr(program->exec_id, '/') != NULL)
        return err_set(e, 0, "invalid execId");
    program->foreign = calloc(1, sizeof *program->foreign);
    if (program->foreign == NULL)
        return err_set(e, ENOMEM, "exec in container %s", c->id);
    program->foreign->console = -1;
    keep_first_size(program, process);
    foreign_adapt_process(process);
    if (file_replace_at(e, c->dir_fd, spec, json_line(process)) < 0)
        return -1;
    int result = program->has_terminal
                     ? 0
                     : program_pipes(e, program, json_flag(request, "hasStdin", false), stdio);
    program->oom_kills = cgroup_oom_kills(&c->cgroup);
    if (result == 0)
        result = spawn(e, shim, program, program->has_terminal ? NULL : stdio);
    for (int fd = 0; fd < 3; fd++)
        close_now(&stdio[fd]);
    return result;
}

/* The loop takes it away. */
static void drop(struct program *program)
{
    foreign_exec_free(program);
    program->is_ended = true;
    program_hang_up(program);
    close_now(&program->out[1]);
}

static void remove_files(const struct shim *shim, const struct program *program)
{
    static const char *const kinds[] = {"log", "pid", "spec", "sock"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        cleanup_free char *name = name_of(program, kinds[i]);
        unlinkat(shim->container.dir_fd, name, 0);
    }
}

int foreign_exec_begin(struct error *e, struct shim *shim, struct client *client,
                       json_object *request)
{
    struct program *program = program_new(shim);
    program->exec_id = text_format("%s", json_text(request, "execId", ""));
    time_text(program->started);
    if (prepare(e, shim, program, request) < 0) {
        remove_files(shim, program);
        drop(program);
        return -1;
    }
    shim->foreign_count++;
    program->client = client;
    client->program = program;
    client->has_stdin = json_flag(request, "hasStdin", false);
    return 0;
}

/* What the runtime left when it has ended: the program's process and its terminal. */
static int take_over(struct error *e, struct shim *shim, struct program *program, int status)
{
    const char *const words[] = {"exec", NULL};
    cleanup_free char *log = name_of(program, "log"), *pid = name_of(program, "pid");
    struct foreign_call call = {.container = &shim->container, .words = words, .log = log};
    if (foreign_outcome(e, &call, status) < 0)
        return -1;
    program->pid = foreign_read_pid(e, &shim->container, pid);
    if (program->pid < 0)
        return -1;
    if (!program->has_terminal)
        return 0;
    int master = foreign_take_console(program->foreign->console);
    if (master < 0)
        return err_set(e, 0, "the runtime has sent no terminal");
    program_hold_terminal(program, master);
    if (program->foreign->size != NULL)
        program_resize(program, program->foreign->size);
    return 0;
}

static void answer(struct program *program, const struct error *e)
{
    struct client *client = program->client;
    if (client == NULL)
        return;
    if (e != NULL) {
        client_answer_error(client, e);
        client->program = NULL;
        program->client = NULL;
        return;
    }
    cleanup_json json_object *object = json_object_new_object();
    json_put_number(object, "pid", program->pid);
    const char *text = json_line(object);
    client_send(client, FRAME_ANSWER, text, strlen(text));
}

/* Its process may have ended, and been seen to, before the runtime did. */
static void find_stray(struct shim *shim, struct program *program)
{
    for (unsigned int i = 0; i < shim->stray_count; i++) {
        const struct stray *stray = &shim->strays[i];
        if (stray->pid == program->pid && !program->is_ended)
            program_end(shim, program, stray->status, stray->finished);
    }
}

static void finish(struct shim *shim, struct program *program, int status)
{
    struct error e = {0};
    int result = take_over(&e, shim, program, status);
    remove_files(shim, program);
    foreign_exec_free(program);
    shim->foreign_count--;
    program->is_started = result == 0;
    answer(program, result < 0 ? &e : NULL);
    if (result < 0)
        drop(program);
    else
        find_stray(shim, program);
    if (program->client == NULL && program->has_terminal)
        program_hang_up(program);
    if (shim->foreign_count == 0)
        shim->stray_count = 0;
}

void foreign_reap(struct shim *shim, pid_t pid, int status, const char *finished)
{
    for (struct program *program = shim->programs; program != NULL; program = program->next)
        if (program->foreign != NULL && program->foreign->pid == pid) {
            finish(shim, program, status);
            return;
        }
    if (shim->stray_count == STRAYS_MAX) {
        shim->stray_count--;
        memmove(shim->strays, shim->strays + 1, shim->stray_count * sizeof *shim->strays);
    }
    struct stray *stray = &shim->strays[shim->stray_count++];
    *stray = (struct stray){.pid = pid, .status = status};
    snprintf(stray->finished, sizeof stray->finished, "%s", finished);
}
