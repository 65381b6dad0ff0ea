/* Verbs of the command line that ask or tell an existing container something. */
#include "cli.h"

#include "clean.h"
#include "config-types.h"
#include "container.h"
#include "io.h"
#include "jobs.h"
#include "json.h"
#include "reaper.h"
#include "serve.h"
#include "state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int open_container(struct error *e, struct cli *cli, struct container *c)
{
    return container_open(e, c, cli->root, cli->args[0]);
}

int verb_serve(struct error *e, struct cli *cli)
{
    return serve(e, cli->run_dir, cli->follows_stdin);
}

int verb_reaper(struct error *e, struct cli *cli)
{
    (void)cli;
    return reaper_run(e);
}

int verb_start(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    if (open_container(e, cli, &c) < 0 || container_start(e, &c) < 0)
        return -1;
    cli_warn(cli, c.warnings);
    return 0;
}

int verb_state(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    cleanup_json json_object *state = NULL;
    if (open_container(e, cli, &c) < 0 || state_describe(e, &c, &state) < 0)
        return -1;
    json_print(state);
    return 0;
}

int verb_list(struct error *e, struct cli *cli)
{
    cleanup_json json_object *list = NULL;
    if (containers_list(e, cli->root, false, &list) < 0)
        return -1;
    size_t count = json_count(list, "");
    for (size_t i = 0; cli->is_quiet && i < count; i++)
        printf("%s\n", json_text(json_entry(list, i), "id", ""));
    if (cli->is_quiet)
        return 0;
    if (strcmp(cli->format, "json") == 0) {
        printf("%s\n", json_line(list));
        return 0;
    }
    printf("%-40s %-8s %-8s %s\n", "ID", "PID", "STATUS", "BUNDLE");
    for (size_t i = 0; i < count; i++) {
        json_object *state = json_entry(list, i);
        printf("%-40s %-8lld %-8s %s\n", json_text(state, "id", ""),
               (long long)json_number(state, "pid", 0), json_text(state, "status", ""),
               json_text(state, "bundle", ""));
    }
    return 0;
}

/* "9", "KILL" or "SIGKILL". 0 = unknown. */
static int signal_number(const char *text)
{
    if (isdigit((unsigned char)*text)) {
        char *end;
        long number = strtol(text, &end, 10);
        return *end == '\0' && number > 0 && number < NSIG ? (int)number : 0;
    }
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int number = 1; number < NSIG; number++) {
        const char *name = sigabbrev_np(number);
        if (name != NULL && strcasecmp(name, text) == 0)
            return number;
    }
    return 0;
}

int verb_kill(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    const char *text = cli->arg_count > 1 ? cli->args[1] : "TERM";
    int number = signal_number(text);
    if (number == 0)
        return err_set(e, 0, "unknown signal \"%s\"", text);
    return open_container(e, cli, &c) < 0 ? -1 : container_kill(e, &c, number, cli->is_for_all);
}

int verb_delete(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    if (open_container(e, cli, &c) < 0)
        return cli->is_forced && e->code == ENOENT ? 0 : -1;
    int result = container_delete(e, &c, cli->is_forced);
    cli_warn(cli, c.warnings);
    return result;
}

int verb_pause(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    return open_container(e, cli, &c) < 0 ? -1 : cgroup_freeze(e, &c.cgroup, true);
}

int verb_resume(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    return open_container(e, cli, &c) < 0 ? -1 : cgroup_freeze(e, &c.cgroup, false);
}

int verb_update(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    cleanup_free char *text = NULL;
    cleanup_json json_object *given = NULL;
    json_object *resources = cli->limits;
    if (cli->resources == NULL && json_object_object_length(resources) == 0)
        return err_set(e, 0, "usage: mini-runtime %s", cli->verb->synopsis);
    if (cli->resources != NULL) {
        int result = strcmp(cli->resources, "-") == 0
                         ? fd_read_all(e, 0, &text, JSON_SIZE_MAX)
                         : file_read(e, cli->resources, &text, JSON_SIZE_MAX);
        if (result < 0 || json_parse(e, text, &given) < 0 ||
            resources_types_check(e, "resources", given) < 0)
            return -1;
        resources = given;
    }
    if (open_container(e, cli, &c) < 0)
        return -1;
    int result = cgroup_extend(e, &c.cgroup, resources);
    if (result == 0)
        result = cgroup_limit(e, &c.cgroup, resources, c.warnings);
    cli_warn(cli, c.warnings);
    return result;
}
