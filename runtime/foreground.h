/* What create, run and exec share: pid file, terminal, and waiting for a process in the foreground.
 */
#ifndef MINI_FOREGROUND_H
#define MINI_FOREGROUND_H

#include "cli.h"
#include "error.h"

#include <json-c/json.h>
#include <sys/types.h>

/* Blocks all signals: foreground_wait passes them on. */
int foreground_begin(struct error *e);
/* A terminal needs somebody to hold it: --console-socket, or us in the foreground, whose terminal's
 * size it then begins with. */
int foreground_check(struct error *e, const struct cli *cli, json_object *process);
/* Gives the terminal's master to whoever listens at --console-socket, if that was given. */
int foreground_console(struct error *e, const struct cli *cli, int master);
int foreground_pid_file(struct error *e, const struct cli *cli, pid_t pid);
/* Until the process, a child of ours, ends; returns the shell's exit code. */
int foreground_wait(struct error *e, const struct cli *cli, int master, pid_t pid);

#endif
