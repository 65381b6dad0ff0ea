#include "reaper.h"

#include "caps.h"
#include "clean.h"
#include "sync.h"
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Where it finds the socket on which it tells that it is ready, or why not. */
#define READY_FD 3

/* In the new process: keeps nothing open but the socket. */
static _Noreturn void become_reaper(int socket)
{
    struct error e = {0};
    char *argv[] = {"mini-runtime", "reaper", NULL}, *env[] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int kept = fcntl(socket, F_DUPFD_CLOEXEC, 10);
    if (null < 0 || kept < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
        dup2(kept, READY_FD) < 0 || close_range(READY_FD + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
        err_set(&e, errno, "prepare reaper");
    else {
        execve("/proc/self/exe", argv, env);
        err_set(&e, errno, "execute reaper");
    }
    sync_send_error(kept < 0 ? socket : kept, &e);
    _exit(1);
}

/* The process between, in the user namespace: the new process namespace belongs to that. The
 * reaper is its sibling. */
static _Noreturn void bear_reaper(int userns, int socket)
{
    struct error e = {0};
    struct userns_root root;
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_PARENT};
    if (userns >= 0 &&
        (userns_enter(&e, userns) < 0 || userns_root_ids(&e, "/proc/self", &root) < 0 ||
         userns_become_root(&e, &root) < 0))
        goto failed;
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0)
        become_reaper(socket);
    if (pid < 0) {
        err_set(&e, errno, "make process namespace");
        goto failed;
    }
    _exit(send(socket, &pid, sizeof pid, MSG_NOSIGNAL) == sizeof pid ? 0 : 1);
failed:
    sync_send_error(socket, &e);
    _exit(1);
}

static pid_t await_reaper(struct error *e, int socket)
{
    pid_t pid;
    if (sync_expect_data(e, socket, &pid, sizeof pid) < 0)
        return -1;
    if (sync_expect(e, socket, 'R') == 0)
        return pid;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return -1;
}

pid_t reaper_start(struct error *e, int userns)
{
    int pair[2];
    if (sync_pair(e, pair) < 0)
        return -1;
    cleanup_close int own = pair[0], other = pair[1];
    pid_t between = fork();
    if (between == 0) {
        close(own);
        bear_reaper(userns, other);
    }
    if (between < 0)
        return err_set(e, errno, "fork");
    close_now(&other);
    pid_t pid = await_reaper(e, own);
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
        continue;
    return pid;
}

/* An empty root: /proc/1/root and /proc/1/cwd lead nowhere. */
static int leave_host(struct error *e)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return err_set(e, errno, "make mount namespace");
    if (mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "nr_blocks=1,nr_inodes=1,mode=555") < 0 ||
        chdir("/proc") < 0)
        return err_set(e, errno, "make empty root");
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return err_set(e, errno, "enter empty root");
    return 0;
}

int reaper_run(struct error *e)
{
    struct error failure = {0};
    /* The kernel buries its children at once; whatever else comes is not for it. */
    signal(SIGCHLD, SIG_IGN);
    setsid();
    if (leave_host(&failure) < 0 || caps_bound(&failure, NULL) < 0 ||
        caps_apply(&failure, NULL, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
        sync_send_error(READY_FD, &failure);
        *e = failure;
        return -1;
    }
    if (sync_send(e, READY_FD, 'R') < 0)
        return -1;
    close(READY_FD);
    for (;;)
        pause();
}
