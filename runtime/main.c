/* mini-runtime: the OCI runtime, the daemon of mini and its shims. */
#include "cli.h"
#include "error.h"
#include "selfexe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
/* Also when another engine starts it, which hands on no ASAN_OPTIONS. Processes that execute a
 * program or end at once free nothing. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

/* A caller may have closed some: what is opened next must not be the program's stdio. */
static int hold_stdio(struct error *e)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 ? err_set(e, errno, "open /dev/null") : close(fd);
}

int main(int argc, char **argv)
{
    struct error e = {0};
    struct cli cli = {0};
    int result = hold_stdio(&e);
    if (result == 0)
        result = cli_parse(&e, &cli, argc, argv);
    if (result == 0 && cli.verb->needs_protection)
        result = selfexe_protect(&e, argv);
    if (result == 0)
        result = cli.verb->run(&e, &cli);
    if (result < 0)
        cli_report(&cli, &e);
    cli_free(&cli);
    return result < 0 ? 1 : result;
}
