#include "program.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static const char *const directories[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};
/* What is kept of its standard error. */
#define OUTPUT_MAX ((size_t)512)
/* As the shell counts. */
#define NOT_FOUND 127
/* e2fsck: errors were corrected. */
#define MENDED 1

_Noreturn static void execute(const char *const argv[], int output)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(output, 2) < 0)
        _exit(NOT_FOUND - 1);
    (void)signal(SIGPIPE, SIG_DFL);
    char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        cleanup_free char *path = text_format("%s/%s", directories[i], argv[0]);
        (void)execve(path, (char *const *)(uintptr_t)argv, environment);
    }
    _exit(NOT_FOUND);
}

static void read_output(int fd, char *text)
{
    size_t size = 0;
    for (;;) {
        char rest[OUTPUT_MAX];
        bool is_full = size == OUTPUT_MAX;
        ssize_t got =
            read(fd, is_full ? rest : text + size, is_full ? sizeof rest : OUTPUT_MAX - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += is_full ? 0 : (size_t)got;
    }
    text[size] = '\0';
    while (size > 0 && text[size - 1] == '\n')
        text[--size] = '\0';
}

int program_run(struct error *e, const char *const argv[])
{
    int pair[2];
    char text[OUTPUT_MAX + 1];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return err_set(e, errno, "pipe");
    cleanup_close int ours = pair[0], theirs = pair[1];
    pid_t pid = fork();
    if (pid == 0)
        execute(argv, theirs);
    if (pid < 0)
        return err_set(e, errno, "fork");
    close_now(&theirs);
    read_output(ours, text);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, errno, "wait for %s", argv[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) <= MENDED)
        return WEXITSTATUS(status) == 0 || strcmp(argv[0], "e2fsck") == 0
                   ? 0
                   : err_set(e, 0, "%s failed: %s", argv[0], text);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        return err_set(e, ENOENT, "%s is not on this host", argv[0]);
    return err_set(e, 0, "%s failed: %s", argv[0], text);
}
