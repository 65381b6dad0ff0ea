/* The command line: options as OCI runtimes' callers give them, and the table of verbs. */
#ifndef MINI_CLI_H
#define MINI_CLI_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>

#define DEFAULT_RUN_DIR "/run/mini"
#define DEFAULT_ROOT DEFAULT_RUN_DIR "/containers"

struct cli {
    const struct cli_verb *verb;
    const char *root, *log, *log_format; /* before the verb */
    const char *run_dir, *bundle, *pid_file, *console_socket, *process, *resources, *format, *cwd,
        *user, *apparmor, *label, *interval, *preserve_text, *rootless;
    bool is_detached, is_forced, is_for_all, follows_stdin, has_terminal, is_quiet, is_once,
        ignores_pause, no_new_privileges, is_systemd, has_no_pivot, is_debugged, keeps_keyring;
    /* Given more than once: arrays of texts, or NULL. */
    json_object *env, *groups, *capabilities;
    json_object *limits; /* of update: by flag */
    int preserve_fds;    /* from fd 3 on, passed on to the process */
    /* What follows the options. */
    char **args;
    int arg_count;
};

struct cli_verb {
    const char *name;
    const char *synopsis;
    int args_min, args_max; /* args_max < 0: any number */
    bool needs_protection;  /* forks processes into containers */
    int (*run)(struct error *e, struct cli *cli);
};

int cli_parse(struct error *e, struct cli *cli, int argc, char **argv);
void cli_free(struct cli *cli);
/* Writes the error where the caller asked for it: the JSON log, and standard error. */
void cli_report(const struct cli *cli, const struct error *e);
/* Tells each warning in the same places; they stop nothing. */
void cli_warn(const struct cli *cli, json_object *warnings);

int verb_create(struct error *e, struct cli *cli);
int verb_start(struct error *e, struct cli *cli);
int verb_run(struct error *e, struct cli *cli);
int verb_exec(struct error *e, struct cli *cli);
int verb_state(struct error *e, struct cli *cli);
int verb_list(struct error *e, struct cli *cli);
int verb_kill(struct error *e, struct cli *cli);
int verb_delete(struct error *e, struct cli *cli);
int verb_pause(struct error *e, struct cli *cli);
int verb_resume(struct error *e, struct cli *cli);
int verb_update(struct error *e, struct cli *cli);
int verb_ps(struct error *e, struct cli *cli);
int verb_events(struct error *e, struct cli *cli);
int verb_spec(struct error *e, struct cli *cli);
int verb_features(struct error *e, struct cli *cli);
int verb_reaper(struct error *e, struct cli *cli);
int verb_serve(struct error *e, struct cli *cli);
int verb_help(struct error *e, struct cli *cli);
int verb_version(struct error *e, struct cli *cli);

#endif
