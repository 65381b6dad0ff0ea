/* Files that a container may have written, and the kernel's and other runtimes' texts. The sources
 * are included for the functions that they keep to themselves. */
#include "fuzz.h"

#define mounts_read_memberships fuzzed_read_memberships
#define mounts_cgroups fuzzed_cgroups
#include "../mount-cgroups.c"

#define process_reset_signals fuzzed_reset_signals
#define process_terminal fuzzed_terminal
#define process_stdio fuzzed_stdio
#define process_become fuzzed_become
#define process_execute fuzzed_execute
#define text_vector fuzzed_vector
#include "../process.c"

#include "../foreign.h"
#include "../state.h"
#include "../update.h"
#include "../userns.h"

#define PASSWD "/etc/passwd"
#define CONTAINER SCRATCH "/fuzz"
#define OPTIONS_MAX 8
#define OPTIONS_SIZE 256

static void write_input(const char *path)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write_all(fd, now.data, now.size) < 0)
        abort();
}

static void find_home(void)
{
    static const char path[] = SCRATCH "/passwd";
    static bool is_bound;
    write_input(path);
    if (!is_bound && mount(path, PASSWD, NULL, MS_BIND, NULL) < 0)
        abort();
    is_bound = true;
    free(home_directory(0));
    free(home_directory(1000));
}

/* What another runtime logged. */
static void read_log(void)
{
    struct error e = {0};
    struct container c = {.dir_fd = -1, .mounts_fd = -1};
    (void)mkdir(CONTAINER, 0700);
    c.dir_fd = open(CONTAINER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c.dir_fd < 0)
        abort();
    c.dir = text_format(CONTAINER);
    write_input(CONTAINER "/log");
    c.runtime = json_object_new_object();
    json_put_text(c.runtime, "path", "/none");
    static const char *const words[] = {"state", NULL};
    struct foreign_call call = {.container = &c, .words = words, .log = "log"};
    (void)foreign_outcome(&e, &call, 256);
    container_close(&c);
}

static void take_options(void)
{
    struct error e = {0};
    cleanup_free char *copy = text_slice(now.data, OPTIONS_SIZE);
    char *words[OPTIONS_MAX + 1] = {NULL}, *rest = copy;
    cleanup_json json_object *limits = json_object_new_object();
    for (int i = 0; i < OPTIONS_MAX && rest != NULL; i++)
        words[i] = strsep(&rest, " \n");
    for (int at = 0; words[at] != NULL;)
        if (update_option(&e, &limits, words, &at) <= 0)
            break;
}

void fuzz_texts(void)
{
    struct container c = {.memberships = now.data};
    static const char *const names[] = {"", "unified", "systemd", "memory", "cpu,cpuacct"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        free(own_dir(&c, names[i]));
    (void)userns_outside(now.data, 0);
    (void)userns_outside(now.data, 70000);
    find_home();
    read_log();
    take_options();
}

/* A state that an older or a killed runtime left. */
void fuzz_state(void)
{
    struct error e = {0};
    struct container c;
    json_object *state = NULL;
    (void)mkdir(CONTAINER, 0700);
    write_input(CONTAINER "/state.json");
    write_input(CONTAINER "/exit.json");
    if (container_open(&e, &c, SCRATCH, "fuzz") == 0)
        (void)state_describe(&e, &c, &state);
    json_object_put(state);
    container_close(&c);
}
