/* mini-runtime: the OCI runtime, the daemon of mini and its shims. */
#include "cli.h"
#include "error.h"
#include "selfexe.h"

int main(int argc, char **argv)
{
    struct error e = {0};
    struct cli cli;
    int result = cli_parse(&e, &cli, argc, argv);
    if (result == 0 && cli.verb->needs_protection)
        result = selfexe_protect(&e, argv);
    if (result == 0)
        result = cli.verb->run(&e, &cli);
    if (result < 0)
        cli_report(&cli, &e);
    return result < 0 ? 1 : result;
}
