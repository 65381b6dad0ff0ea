#include "cli.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "update.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Fds that --preserve-fds may name. */
#define PRESERVE_MAX 1000
#define FIRST_PRESERVED 3

static const struct cli_verb verbs[] = {
    {"create", "create [--bundle DIR] [--pid-file F] [--console-socket S] [--preserve-fds N] ID", 1,
     1, true, verb_create},
    {"start", "start ID", 1, 1, false, verb_start},
    {"run",
     "run [--bundle DIR] [--detach] [--pid-file F] [--console-socket S] [--preserve-fds N] ID", 1,
     1, true, verb_run},
    {"exec",
     "exec [--process F] [--detach] [--pid-file F] [--console-socket S] [--tty] [--cwd D] "
     "[--env N=V] [--user U[:G]] [--additional-gids G] [--cap C] [--no-new-privs] "
     "[--apparmor P] [--process-label L] [--preserve-fds N] [--ignore-paused] ID [COMMAND …]",
     1, -1, true, verb_exec},
    {"state", "state ID", 1, 1, false, verb_state},
    {"list", "list [--format json|table] [--quiet]", 0, 0, false, verb_list},
    {"kill", "kill [--all] ID [SIGNAL]", 1, 2, false, verb_kill},
    {"delete", "delete [--force] ID", 1, 1, false, verb_delete},
    {"pause", "pause ID", 1, 1, false, verb_pause},
    {"resume", "resume ID", 1, 1, false, verb_resume},
    {"update", "update --resources FILE|- ID, or with a flag for each limit", 1, 1, false,
     verb_update},
    {"ps", "ps [--format json|table] ID [PS-OPTION …]", 1, -1, false, verb_ps},
    {"events", "events [--stats] [--interval SECONDS] ID", 1, 1, false, verb_events},
    {"spec", "spec [--bundle DIR]", 0, 0, false, verb_spec},
    {"features", "features", 0, 0, false, verb_features},
    {"serve", "serve --run-dir DIR [--follow-stdin]", 0, 0, true, verb_serve},
    {"reaper", "reaper (only by serve itself)", 0, 0, false, verb_reaper},
    {"help", "help", 0, 0, false, verb_help},
    {"version", "version", 0, 0, false, verb_version},
};

enum { TEXT, FLAG, LIST };

struct option_row {
    const char *name;
    char letter;
    int kind;
    void *value;
    const char *verb; /* whose letter it is; NULL = of all */
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

static int take_flag(struct error *e, const struct option_row *row, const char *value)
{
    if (value != NULL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        return err_set(e, 0, "option --%s is true or false, not \"%s\"", row->name, value);
    *(bool *)row->value = value == NULL || *value == 't';
    return 1;
}

static int take_value(struct error *e, const struct option_row *row, const char *value)
{
    if (value == NULL)
        return err_set(e, 0, "option --%s needs a value", row->name);
    if (row->kind == TEXT) {
        *(const char **)row->value = value;
        return 1;
    }
    json_object **list = row->value;
    if (*list == NULL)
        *list = json_object_new_array();
    json_object_array_add(*list, json_object_new_string(value));
    return 1;
}

static bool is_meant(const struct cli *cli, const struct option_row *row, const char *arg,
                     size_t size)
{
    if (strncmp(arg, "--", 2) == 0)
        return strlen(row->name) == size && strncmp(row->name, arg + 2, size) == 0;
    bool is_own =
        row->verb == NULL || (cli->verb != NULL && strcmp(row->verb, cli->verb->name) == 0);
    return is_own && arg[1] == row->letter && (arg[2] == '\0' || arg[2] == '=');
}

/* Takes "--name value", "--name=value" or "-n value" at argv[*at]. Returns 0 when it is no option.
 */
static int take_option(struct error *e, const struct cli *cli, const struct option_row *rows,
                       char **argv, int *at)
{
    char *arg = argv[*at];
    if (arg[0] != '-' || arg[1] == '\0')
        return 0;
    size_t size = strncmp(arg, "--", 2) == 0 ? strcspn(arg + 2, "=") : 0;
    const char *value = strchr(arg, '=');
    value = value == NULL ? NULL : value + 1;
    for (const struct option_row *row = rows; row->name != NULL; row++) {
        if (!is_meant(cli, row, arg, size))
            continue;
        (*at)++;
        if (row->kind == FLAG)
            return take_flag(e, row, value);
        if (value == NULL && argv[*at] != NULL)
            value = argv[(*at)++];
        return take_value(e, row, value);
    }
    int taken = update_option(e, &cli->limits, argv, at);
    return taken != 0 ? taken : err_set(e, 0, "unknown option \"%s\"", arg);
}

static int parse_options(struct error *e, struct cli *cli, int argc, char **argv, int *at)
{
    const struct option_row rows[] = {
        {"root", 0, TEXT, &cli->root, NULL},
        {"log", 0, TEXT, &cli->log, NULL},
        {"log-format", 0, TEXT, &cli->log_format, NULL},
        {"debug", 0, FLAG, &cli->is_debugged, NULL},
        {"systemd-cgroup", 0, FLAG, &cli->is_systemd, NULL},
        {"rootless", 0, TEXT, &cli->rootless, NULL},
        {"run-dir", 0, TEXT, &cli->run_dir, NULL},
        {"bundle", 'b', TEXT, &cli->bundle, NULL},
        {"pid-file", 0, TEXT, &cli->pid_file, NULL},
        {"console-socket", 0, TEXT, &cli->console_socket, NULL},
        {"preserve-fds", 0, TEXT, &cli->preserve_text, NULL},
        {"no-pivot", 0, FLAG, &cli->has_no_pivot, NULL},
        {"no-new-keyring", 0, FLAG, &cli->keeps_keyring, NULL},
        {"process", 'p', TEXT, &cli->process, NULL},
        {"resources", 'r', TEXT, &cli->resources, NULL},
        {"force", 'f', FLAG, &cli->is_forced, "delete"},
        {"format", 'f', TEXT, &cli->format, NULL},
        {"quiet", 'q', FLAG, &cli->is_quiet, NULL},
        {"cwd", 0, TEXT, &cli->cwd, NULL},
        {"env", 'e', LIST, &cli->env, NULL},
        {"user", 'u', TEXT, &cli->user, NULL},
        {"additional-gids", 'g', LIST, &cli->groups, NULL},
        {"cap", 'c', LIST, &cli->capabilities, NULL},
        {"no-new-privs", 0, FLAG, &cli->no_new_privileges, NULL},
        {"apparmor", 0, TEXT, &cli->apparmor, NULL},
        {"process-label", 0, TEXT, &cli->label, NULL},
        {"ignore-paused", 0, FLAG, &cli->ignores_pause, NULL},
        {"detach", 'd', FLAG, &cli->is_detached, NULL},
        {"all", 'a', FLAG, &cli->is_for_all, NULL},
        {"tty", 't', FLAG, &cli->has_terminal, NULL},
        {"stats", 0, FLAG, &cli->is_once, NULL},
        {"interval", 0, TEXT, &cli->interval, NULL},
        {"follow-stdin", 0, FLAG, &cli->follows_stdin, NULL},
        {NULL, 0, 0, NULL, NULL},
    };
    while (*at < argc) {
        if (cli->verb == NULL && find_verb(argv[*at]) != NULL)
            return 0;
        if (strcmp(argv[*at], "--") == 0) {
            (*at)++;
            return 0;
        }
        int taken = take_option(e, cli, rows, argv, at);
        if (taken <= 0)
            return taken;
    }
    return 0;
}

static int check_preserved(struct error *e, struct cli *cli)
{
    char *end;
    if (cli->preserve_text == NULL)
        return 0;
    long count = strtol(cli->preserve_text, &end, 10);
    if (!isdigit((unsigned char)*cli->preserve_text) || *end != '\0' || count > PRESERVE_MAX)
        return err_set(e, 0, "--preserve-fds \"%s\" must be a number up to %d", cli->preserve_text,
                       PRESERVE_MAX);
    /* Before this process opens any of its own. */
    for (int fd = FIRST_PRESERVED; fd < FIRST_PRESERVED + count; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            return err_set(e, 0, "--preserve-fds %ld: fd %d is not open", count, fd);
    cli->preserve_fds = (int)count;
    return 0;
}

static int check_global(struct error *e, struct cli *cli)
{
    const char *format = cli->log_format, *rootless = cli->rootless;
    if (cli->is_systemd)
        return err_set(e, 0,
                       "--systemd-cgroup is not supported: cgroups are made directly, at the path "
                       "that cgroupsPath names (use the cgroupfs driver)");
    if (format != NULL && strcmp(format, "json") != 0 && strcmp(format, "text") != 0)
        return err_set(e, 0, "--log-format \"%s\" must be text or json", format);
    if (rootless != NULL && strcmp(rootless, "auto") != 0 && strcmp(rootless, "false") != 0)
        return err_set(e, 0, "--rootless \"%s\" is not supported: run this as root", rootless);
    if (cli->has_no_pivot)
        return err_set(e, 0,
                       "--no-pivot is not supported: the root is always entered by pivot_root");
    if (strcmp(cli->format, "json") != 0 && strcmp(cli->format, "table") != 0)
        return err_set(e, 0, "--format \"%s\" must be json or table", cli->format);
    return check_preserved(e, cli);
}

int cli_parse(struct error *e, struct cli *cli, int argc, char **argv)
{
    int at = 1;
    *cli = (struct cli){
        .root = DEFAULT_ROOT, .run_dir = DEFAULT_RUN_DIR, .bundle = ".", .format = "table"};
    cli->limits = json_object_new_object();
    if (parse_options(e, cli, argc, argv, &at) < 0)
        return -1;
    if (at >= argc)
        return err_set(e, 0, "no command: see mini-runtime help");
    cli->verb = find_verb(argv[at]);
    if (cli->verb == NULL)
        return err_set(e, 0, "unknown command \"%s\": see mini-runtime help", argv[at]);
    at++;
    if (parse_options(e, cli, argc, argv, &at) < 0 || check_global(e, cli) < 0)
        return -1;
    cli->args = argv + at;
    cli->arg_count = argc - at;
    if ((cli->verb->args_max >= 0 && cli->arg_count > cli->verb->args_max) ||
        cli->arg_count < cli->verb->args_min)
        return err_set(e, 0, "usage: mini-runtime %s", cli->verb->synopsis);
    return 0;
}

void cli_free(struct cli *cli)
{
    json_object_put(cli->env);
    json_object_put(cli->groups);
    json_object_put(cli->capabilities);
    json_object_put(cli->limits);
}

static void log_line(const struct cli *cli, const char *level, const char *message)
{
    if (cli->log == NULL)
        return;
    cleanup_close int fd = open(cli->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    char now[TIME_TEXT_SIZE];
    time_text(now);
    if (fd < 0)
        return;
    if (cli->log_format == NULL || strcmp(cli->log_format, "json") != 0) {
        dprintf(fd, "%s %s %s\n", now, level, message);
        return;
    }
    cleanup_json json_object *line = json_object_new_object();
    json_put_text(line, "level", level);
    json_put_text(line, "msg", message);
    json_put_text(line, "time", now);
    dprintf(fd, "%s\n", json_line(line));
}

void cli_report(const struct cli *cli, const struct error *e)
{
    fprintf(stderr, "mini-runtime: %s\n", e->message);
    log_line(cli, "error", e->message);
}

void cli_warn(const struct cli *cli, json_object *warnings)
{
    size_t count = json_count(warnings, "");
    for (size_t i = 0; i < count; i++) {
        fprintf(stderr, "mini-runtime: warning: %s\n", json_entry_text(warnings, i));
        log_line(cli, "warning", json_entry_text(warnings, i));
    }
}
