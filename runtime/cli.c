#include "cli.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct cli_verb verbs[] = {
    {"create", "create --bundle DIR [--pid-file F] [--console-socket S] ID", 1, 1, true,
     verb_create},
    {"start", "start ID", 1, 1, false, verb_start},
    {"run", "run --bundle DIR [--detach] [--pid-file F] [--console-socket S] ID", 1, 1, true,
     verb_run},
    {"exec", "exec [--process F] [--detach] [--pid-file F] [--console-socket S] ID [COMMAND …]", 1,
     -1, true, verb_exec},
    {"state", "state ID", 1, 1, false, verb_state},
    {"list", "list [--format json|table]", 0, 0, false, verb_list},
    {"kill", "kill [--all] ID [SIGNAL]", 1, 2, false, verb_kill},
    {"delete", "delete [--force] ID", 1, 1, false, verb_delete},
    {"pause", "pause ID", 1, 1, false, verb_pause},
    {"resume", "resume ID", 1, 1, false, verb_resume},
    {"update", "update --resources FILE|- ID", 1, 1, false, verb_update},
    {"ps", "ps [--format json|table] ID", 1, 1, false, verb_ps},
    {"features", "features", 0, 0, false, verb_features},
    {"serve", "serve --run-dir DIR [--follow-stdin]", 0, 0, true, verb_serve},
    {"reaper", "reaper (only by serve itself)", 0, 0, false, verb_reaper},
    {"help", "help", 0, 0, false, verb_help},
    {"version", "version", 0, 0, false, verb_version},
};

enum { TEXT, FLAG };

struct option_row {
    const char *name;
    char letter;
    int kind;
    void *value;
};

int verb_help(struct error *e, struct cli *cli)
{
    (void)e;
    (void)cli;
    printf("Usage: mini-runtime [--root DIR] [--log FILE] [--log-format text|json] COMMAND\n\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        printf("  %s\n", verbs[i].synopsis);
    return 0;
}

int verb_version(struct error *e, struct cli *cli)
{
    (void)e;
    (void)cli;
    printf("mini-runtime version %s\nspec: 1.2.0\n", MINI_VERSION);
    return 0;
}

static const struct cli_verb *find_verb(const char *name)
{
    if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
        name = "version";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* Takes "--name value", "--name=value" or "-n value" at argv[*at]. Returns 0 when it is no option.
 */
static int take_option(struct error *e, const struct option_row *rows, char **argv, int argc,
                       int *at)
{
    char *arg = argv[*at];
    bool is_long = strncmp(arg, "--", 2) == 0;
    if (arg[0] != '-' || arg[1] == '\0')
        return 0;
    size_t size = is_long ? strcspn(arg + 2, "=") : 1;
    for (const struct option_row *row = rows; row->name != NULL; row++) {
        bool matches = is_long ? strlen(row->name) == size && strncmp(row->name, arg + 2, size) == 0
                               : arg[1] == row->letter && arg[2] == '\0';
        if (!matches)
            continue;
        (*at)++;
        if (row->kind == FLAG) {
            *(bool *)row->value = true;
        } else if (is_long && arg[2 + size] == '=') {
            *(const char **)row->value = arg + 3 + size;
        } else {
            if (*at >= argc)
                return err_set(e, 0, "option %s needs a value", arg);
            *(const char **)row->value = argv[(*at)++];
        }
        return 1;
    }
    return err_set(e, 0, "unknown option \"%s\"", arg);
}

static int parse_options(struct error *e, struct cli *cli, int argc, char **argv, int *at)
{
    const struct option_row rows[] = {
        {"root", 0, TEXT, &cli->root},
        {"log", 0, TEXT, &cli->log},
        {"log-format", 0, TEXT, &cli->log_format},
        {"run-dir", 0, TEXT, &cli->run_dir},
        {"bundle", 'b', TEXT, &cli->bundle},
        {"pid-file", 0, TEXT, &cli->pid_file},
        {"console-socket", 0, TEXT, &cli->console_socket},
        {"process", 'p', TEXT, &cli->process},
        {"resources", 'r', TEXT, &cli->resources},
        {"format", 'f', TEXT, &cli->format},
        {"cwd", 0, TEXT, &cli->cwd},
        {"user", 'u', TEXT, &cli->user},
        {"detach", 'd', FLAG, &cli->is_detached},
        {"force", 0, FLAG, &cli->is_forced},
        {"all", 'a', FLAG, &cli->is_for_all},
        {"tty", 't', FLAG, &cli->has_terminal},
        {"follow-stdin", 0, FLAG, &cli->follows_stdin},
        {NULL, 0, 0, NULL},
    };
    while (*at < argc) {
        if (cli->verb == NULL && find_verb(argv[*at]) != NULL)
            return 0;
        if (strcmp(argv[*at], "--") == 0) {
            (*at)++;
            return 0;
        }
        int taken = take_option(e, rows, argv, argc, at);
        if (taken <= 0)
            return taken;
    }
    return 0;
}

int cli_parse(struct error *e, struct cli *cli, int argc, char **argv)
{
    int at = 1;
    *cli = (struct cli){
        .root = DEFAULT_ROOT, .run_dir = DEFAULT_RUN_DIR, .bundle = ".", .format = "table"};
    if (parse_options(e, cli, argc, argv, &at) < 0)
        return -1;
    if (at >= argc)
        return err_set(e, 0, "no command: see mini-runtime help");
    cli->verb = find_verb(argv[at]);
    if (cli->verb == NULL)
        return err_set(e, 0, "unknown command \"%s\": see mini-runtime help", argv[at]);
    at++;
    if (parse_options(e, cli, argc, argv, &at) < 0)
        return -1;
    cli->args = argv + at;
    cli->arg_count = argc - at;
    /* Options may follow the id, too; but a command to execute has its own. */
    while (cli->verb->args_max >= 0 && cli->arg_count > cli->verb->args_max)
        return err_set(e, 0, "usage: mini-runtime %s", cli->verb->synopsis);
    if (cli->arg_count < cli->verb->args_min)
        return err_set(e, 0, "usage: mini-runtime %s", cli->verb->synopsis);
    return 0;
}

void cli_report(const struct cli *cli, const struct error *e)
{
    fprintf(stderr, "mini-runtime: %s\n", e->message);
    if (cli->log == NULL)
        return;
    cleanup_close int fd = open(cli->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    char now[TIME_TEXT_SIZE];
    time_text(now);
    if (fd < 0)
        return;
    if (cli->log_format == NULL || strcmp(cli->log_format, "json") != 0) {
        dprintf(fd, "%s error %s\n", now, e->message);
        return;
    }
    cleanup_json json_object *line = json_object_new_object();
    json_put_text(line, "level", "error");
    json_put_text(line, "msg", e->message);
    json_put_text(line, "time", now);
    dprintf(fd, "%s\n", json_line(line));
}
