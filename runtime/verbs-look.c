/* Verbs of the command line that watch a container: events, ps. */
#include "cli.h"

#include "clean.h"
#include "container.h"
#include "io.h"
#include "json.h"
#include "state.h"
#include "stats.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define DEFAULT_INTERVAL "5s"
#define MS_PER_S 1000
#define INTERVAL_MAX_S (24 * 60 * 60)
#define PS_OPTIONS_MAX 64
#define OUTPUT_SIZE_MAX ((size_t)16 << 20)

/* "5", "5s", "500ms" or "1m". */
static int parse_interval(struct error *e, const char *text, int *ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"", MS_PER_S}, {"s", MS_PER_S}, {"ms", 1}, {"m", 60 * MS_PER_S}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof units / sizeof *units; i++) {
        double wanted = value * units[i].ms;
        if (strcmp(units[i].unit, end) != 0 || !(wanted >= 1) ||
            wanted > (double)INTERVAL_MAX_S * MS_PER_S)
            continue;
        *ms = (int)wanted;
        return 0;
    }
    return err_set(e, 0, "--interval \"%s\" must be a time like 5s", text);
}

static int tell(struct error *e, const struct container *c, const char *type, json_object *data)
{
    cleanup_json json_object *event = json_object_new_object();
    json_put_text(event, "type", type);
    json_put_text(event, "id", c->id);
    if (data != NULL)
        json_object_object_add(event, "data", data);
    if (printf("%s\n", json_line(event)) < 0 || fflush(stdout) != 0)
        return err_set(e, errno, "write the event");
    return 0;
}

int verb_events(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    int interval_ms = 0;
    cleanup_json json_object *state = NULL;
    if (parse_interval(e, cli->interval == NULL ? DEFAULT_INTERVAL : cli->interval, &interval_ms) <
            0 ||
        container_open(e, &c, cli->root, cli->args[0]) < 0 || state_read(e, &c, &state) < 0)
        return -1;
    cleanup_close int process = state_process(e, &c, state);
    if (process < 0)
        return -1;
    if (cli->is_once)
        return tell(e, &c, "stats", stats_read(&c.cgroup));
    long kills = cgroup_oom_kills(&c.cgroup);
    for (bool has_ended = false; !has_ended;) {
        struct pollfd ended = {.fd = process, .events = POLLIN};
        int count = poll(&ended, 1, interval_ms);
        if (count < 0 && errno != EINTR)
            return err_set(e, errno, "wait");
        has_ended = count > 0;
        long now = cgroup_oom_kills(&c.cgroup);
        if (now > kills && tell(e, &c, "oom", NULL) < 0)
            return -1;
        kills = now;
        if (!has_ended && tell(e, &c, "stats", stats_read(&c.cgroup)) < 0)
            return -1;
    }
    return 0;
}

/* What the host's `ps` prints with these options. */
static int run_ps(struct error *e, char **options, char **text)
{
    static char name[] = "ps", all[] = "-ef";
    int pair[2], status;
    size_t count = 0;
    while (options[count] != NULL)
        count++;
    char *args[PS_OPTIONS_MAX + 3] = {name, all};
    if (count > PS_OPTIONS_MAX)
        return err_set(e, 0, "ps: more than %d options", PS_OPTIONS_MAX);
    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_set(e, errno, "ps");
    memcpy(args + 1, options, count * sizeof *args);
    cleanup_close int ours = pair[0], theirs = pair[1];
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(theirs, 1) >= 0)
            execvp(name, args);
        dprintf(2, "mini-runtime: the host's ps: %s\n", strerror(errno));
        _exit(127);
    }
    close_now(&theirs);
    if (pid < 0 || fd_read_all(e, ours, text, OUTPUT_SIZE_MAX) < 0)
        return err_set(e, errno, "ps");
    waitpid(pid, &status, 0);
    return status == 0 ? 0 : err_set(e, 0, "the host's ps failed");
}

/* Which column of the header is PID, or -1. */
static int pid_column(const char *header)
{
    int column = 0;
    for (const char *at = header; *at != '\0'; column++) {
        at += strspn(at, " ");
        size_t size = strcspn(at, " ");
        if (size == 3 && strncmp(at, "PID", 3) == 0)
            return column;
        at += size;
    }
    return -1;
}

static long field(const char *line, int column)
{
    line += strspn(line, " ");
    for (; column > 0; column--) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    return strtol(line, NULL, 10);
}

/* Lines of the container's processes alone. */
static int print_lines(struct error *e, char *text, json_object *pids)
{
    char *line = strsep(&text, "\n");
    int column = pid_column(line);
    size_t count = json_count(pids, "");
    if (column < 0)
        return err_set(e, 0, "ps: these options print no column PID");
    printf("%s\n", line);
    while ((line = strsep(&text, "\n")) != NULL)
        for (size_t i = 0; i < count; i++)
            if (*line != '\0' && field(line, column) == json_object_get_int64(json_entry(pids, i)))
                printf("%s\n", line);
    return 0;
}

int verb_ps(struct error *e, struct cli *cli)
{
    cleanup_container struct container c = NO_CONTAINER;
    cleanup_json json_object *pids = NULL;
    char *text = NULL;
    if (container_open(e, &c, cli->root, cli->args[0]) < 0 ||
        cgroup_processes(e, &c.cgroup, &pids) < 0)
        return -1;
    if (strcmp(cli->format, "json") == 0) {
        printf("%s\n", json_line(pids));
        return 0;
    }
    int result = run_ps(e, cli->args + 1, &text);
    if (result == 0)
        result = print_lines(e, text, pids);
    free(text);
    return result;
}
