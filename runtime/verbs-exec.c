/* `exec`: a further process, from a file of the specification's form or from flags. */
#include "cli.h"

#include "clean.h"
#include "container.h"
#include "exec.h"
#include "foreground.h"
#include "json.h"
#include "state.h"
#include "sync.h"

#include <ctype.h>
#include <string.h>

/* "UID[:GID]" */
static int parse_user(struct error *e, const char *text, json_object *user)
{
    char *end;
    json_put_number(user, "uid", strtol(text, &end, 10));
    if (isdigit((unsigned char)*text) && *end == ':' && isdigit((unsigned char)end[1]))
        json_put_number(user, "gid", strtol(end + 1, &end, 10));
    if (!isdigit((unsigned char)*text) || *end != '\0')
        return err_set(e, 0, "--user \"%s\" must be UID[:GID]", text);
    return 0;
}

static int make_user(struct error *e, const struct cli *cli, json_object *process)
{
    size_t count = json_count(cli->groups, "");
    json_object *user = json_object_new_object(), *groups = json_object_new_array();
    json_object *own = json_at(process, "user");
    if (cli->user == NULL && own != NULL) {
        json_object_object_foreach(own, key, value)
            json_object_object_add(user, key, json_object_get(value));
    }
    int result = cli->user == NULL ? 0 : parse_user(e, cli->user, user);
    for (size_t i = 0; i < count && result == 0; i++) {
        const char *text = json_entry_text(cli->groups, i);
        char *end;
        json_object_array_add(groups, json_object_new_int64(strtol(text, &end, 10)));
        if (!isdigit((unsigned char)*text) || *end != '\0')
            result = err_set(e, 0, "--additional-gids \"%s\" must be a number", text);
    }
    if (count > 0)
        json_object_object_add(user, "additionalGids", groups);
    else
        json_object_put(groups);
    json_object_object_add(process, "user", user);
    return result;
}

/* The container's own variables, with ours in the places of those of the same name. */
static int make_env(struct error *e, const struct cli *cli, json_object *process)
{
    json_object *own = json_at(process, "env"), *merged = json_object_new_array();
    size_t own_count = json_count(own, ""), count = json_count(cli->env, "");
    for (size_t i = 0; i < own_count + count; i++) {
        const char *entry =
            i < own_count ? json_entry_text(own, i) : json_entry_text(cli->env, i - own_count);
        size_t size = strcspn(entry, "="), at = 0, known = json_count(merged, "");
        if (i >= own_count && entry[size] != '=') {
            json_object_put(merged);
            return err_set(e, 0, "--env \"%s\" must be NAME=VALUE", entry);
        }
        while (at < known && strncmp(json_entry_text(merged, at), entry, size + 1) != 0)
            at++;
        json_object_array_put_idx(merged, at, json_object_new_string(entry));
    }
    json_object_object_add(process, "env", merged);
    return 0;
}

static void add_capabilities(const struct cli *cli, json_object *process)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    json_object *own = json_at(process, "capabilities"), *all = json_object_new_object();
    size_t count = json_count(cli->capabilities, "");
    if (own != NULL) {
        json_object_object_foreach(own, key, value)
            json_object_object_add(all, key, json_object_get(value));
    }
    for (size_t s = 0; count > 0 && s < sizeof sets / sizeof *sets; s++) {
        json_object *list = json_object_new_array();
        size_t had = json_count(own, sets[s]);
        for (size_t i = 0; i < had; i++)
            json_object_array_add(list, json_object_get(json_entry(json_at(own, sets[s]), i)));
        for (size_t i = 0; i < count; i++)
            json_object_array_add(list, json_object_get(json_entry(cli->capabilities, i)));
        json_object_object_add(all, sets[s], list);
    }
    json_object_object_add(process, "capabilities", all);
}

/* The container's own process with what the flags say. */
static int from_flags(struct error *e, const struct cli *cli, json_object *state,
                      json_object **process)
{
    if (cli->arg_count < 2)
        return err_set(e, 0, "usage: mini-runtime %s", cli->verb->synopsis);
    json_object *args = json_object_new_array(), *request = json_object_new_object();
    for (int i = 1; i < cli->arg_count; i++)
        json_object_array_add(args, json_object_new_string(cli->args[i]));
    json_object_object_add(request, "args", args);
    if (cli->cwd != NULL)
        json_put_text(request, "cwd", cli->cwd);
    json_object_object_add(request, "hasTerminal", json_object_new_boolean(cli->has_terminal));
    *process = exec_process(state, request);
    json_object_put(request);
    if (cli->no_new_privileges)
        json_object_object_add(*process, "noNewPrivileges", json_object_new_boolean(true));
    if (cli->apparmor != NULL)
        json_put_text(*process, "apparmorProfile", cli->apparmor);
    if (cli->label != NULL)
        json_put_text(*process, "selinuxLabel", cli->label);
    add_capabilities(cli, *process);
    return make_user(e, cli, *process) < 0 ? -1 : make_env(e, cli, *process);
}

static int make_process(struct error *e, const struct cli *cli, json_object *state,
                        json_object **process)
{
    if (cli->process == NULL)
        return from_flags(e, cli, state, process);
    if (json_read_file(e, cli->process, process) < 0)
        return -1;
    if (json_count(*process, "args") == 0)
        return err_set(e, 0, "%s: args must not be empty", cli->process);
    return 0;
}

static int check_status(struct error *e, const struct cli *cli, const struct container *c,
                        json_object *state)
{
    const char *status = state_status(c, state);
    if (strcmp(status, "paused") == 0 && !cli->ignores_pause)
        return err_set(e, 0, "cannot exec in container \"%s\": it is paused (use --ignore-paused)",
                       c->id);
    if (strcmp(status, "stopped") == 0)
        return err_set(e, 0, "cannot exec in container \"%s\": it is stopped", c->id);
    return 0;
}

int verb_exec(struct error *e, struct cli *cli)
{
    struct container c;
    cleanup_json json_object *process = NULL, *state = NULL;
    if (container_open(e, &c, cli->root, cli->args[0]) < 0 || state_read(e, &c, &state) < 0 ||
        check_status(e, cli, &c, state) < 0 || make_process(e, cli, state, &process) < 0 ||
        foreground_begin(e) < 0)
        return -1;
    struct exec exec = {.config = state,
                        .process = process,
                        .stdio = {-1, -1, -1},
                        .preserve_fds = cli->preserve_fds};
    if (foreground_check(e, cli, process) < 0 ||
        exec_launch(e, &c, (pid_t)json_number(state, "pid", 0), &exec) < 0)
        return -1;
    int master = -1, result = sync_next(e, exec.failure, &master);
    if (result == 1 && (result = foreground_console(e, cli, master)) == 0)
        result = container_started(e, exec.failure);
    if (result < 0 || foreground_pid_file(e, cli, exec.pid) < 0)
        return -1;
    return cli->is_detached ? 0 : foreground_wait(e, cli, master, exec.pid);
}
