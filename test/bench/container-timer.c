/*
 * Times the start and the end of containers from a process as small as an engine's shim, for
 * test/bench/containers.ts; prints two numbers in microseconds, the medians of start and end:
 *  container-timer cli COUNT FIFO RUNTIME ROOT BUNDLE   create, start; delete --force
 *  container-timer serve COUNT FIFO SOCKET RUN DELETE   these files hold the two request lines
 *  container-timer floor COUNT FIFO DIR CGROUP…         the bare kernel: cgroups, clone, overlay,
 * exec A container has started when its program has written a byte into the FIFO, and has ended
 * when the call that deletes it returns.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 1000

extern char **environ;

static int fifo;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void await_program(void)
{
    char byte;
    if (read(fifo, &byte, 1) != 1)
        fail("read fifo");
}

static void call(char *const *args)
{
    pid_t pid;
    int status;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (posix_spawn(&pid, args[0], &actions, NULL, args, environ) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0)
        fail(args[0]);
    posix_spawn_file_actions_destroy(&actions);
}

static void cli_start(char **a)
{
    char *create[] = {a[0], "--root", a[1], "create", "--bundle", a[2], "timed", NULL};
    char *start[] = {a[0], "--root", a[1], "start", "timed", NULL};
    call(create);
    call(start);
}

static void cli_end(char **a)
{
    char *args[] = {a[0], "--root", a[1], "delete", "--force", "timed", NULL};
    call(args);
}

static void request(const char *socket_path, const char *file)
{
    static char line[1 << 20];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, socket_path, sizeof address.sun_path - 1);
    int in = open(file, O_RDONLY), s = socket(AF_UNIX, SOCK_STREAM, 0);
    ssize_t size = read(in, line, sizeof line), got;
    if (connect(s, (struct sockaddr *)&address, sizeof address) < 0 ||
        write(s, line, (size_t)size) != size)
        fail("request");
    got = read(s, line, sizeof line - 1);
    if (got <= 0)
        fail("answer");
    line[got] = '\0';
    if (strstr(line, "\"error\"") != NULL) {
        fputs(line, stderr);
        exit(1);
    }
    close(in);
    close(s);
}

static void serve_start(char **a)
{
    request(a[0], a[1]);
}

static void serve_end(char **a)
{
    request(a[0], a[2]);
}

static pid_t floor_pid;

static void put(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(file);
    close(fd);
}

static void floor_mounts(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "lowerdir=%s/rootfs,upperdir=%s/upper,workdir=%s/work", dir, dir,
             dir);
    if (chdir(dir) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
        mount("overlay", "merged", "overlay", 0, path) < 0 || chdir("merged") < 0 ||
        mount("../sync", "sync", NULL, MS_BIND, NULL) < 0 ||
        mount("proc", "proc", "proc", 0, NULL) < 0 || mount("dev", "dev", "tmpfs", 0, NULL) < 0 ||
        mkdir("dev/pts", 0755) < 0 || mkdir("dev/shm", 0755) < 0 ||
        mount("devpts", "dev/pts", "devpts", 0, "newinstance") < 0 ||
        mount("shm", "dev/shm", "tmpfs", 0, NULL) < 0 ||
        mknod("dev/null", S_IFCHR | 0666, 0x103) < 0 ||
        mount("sysfs", "sys", "sysfs", MS_RDONLY, NULL) < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        fail("mount");
}

static void floor_start(char **a)
{
    char path[4096];
    for (char **group = a + 1; *group != NULL; group++)
        if (mkdir(*group, 0755) < 0)
            fail(*group);
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                       CLONE_NEWNS,
                              .exit_signal = SIGCHLD};
    floor_pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (floor_pid != 0)
        return;
    for (char **group = a + 1; *group != NULL; group++) {
        snprintf(path, sizeof path, "%s/tasks", *group);
        put(access(path, F_OK) == 0
                ? path
                : (snprintf(path, sizeof path, "%s/cgroup.procs", *group), path),
            "0");
    }
    if (unshare(CLONE_NEWCGROUP) < 0)
        fail("unshare");
    floor_mounts(a[0]);
    char *program[] = {"/bin/sh", "-c", "echo x > /sync/fifo; exec sleep 1000", NULL};
    char *none[] = {"PATH=/bin", NULL};
    execve(program[0], program, none);
    fail("exec");
}

static void floor_end(char **a)
{
    kill(floor_pid, SIGKILL);
    waitpid(floor_pid, NULL, 0);
    for (char **group = a + 1; *group != NULL; group++)
        while (rmdir(*group) < 0)
            if (errno != EBUSY)
                fail(*group);
}

static int by_size(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*start)(char **), (*end)(char **);
    } modes[] = {{"cli", cli_start, cli_end},
                 {"serve", serve_start, serve_end},
                 {"floor", floor_start, floor_end}};
    static double starts[COUNT_MAX], ends[COUNT_MAX];
    int count = argc > 5 ? atoi(argv[2]) : 0, mode = 0;
    if (count < 1 || count > COUNT_MAX)
        return 2;
    while (mode < 2 && strcmp(modes[mode].name, argv[1]) != 0)
        mode++;
    /* Open for both, so that neither side ever waits for the other or sees an end. */
    fifo = open(argv[3], O_RDWR | O_CLOEXEC);
    if (fifo < 0)
        fail(argv[3]);
    for (int i = 0; i < count; i++) {
        double begin = now_us();
        modes[mode].start(argv + 4);
        await_program();
        starts[i] = now_us() - begin;
        char rest[8];
        fcntl(fifo, F_SETFL, O_NONBLOCK);
        usleep(2000);
        (void)!read(fifo, rest, sizeof rest);
        fcntl(fifo, F_SETFL, 0);
        begin = now_us();
        modes[mode].end(argv + 4);
        ends[i] = now_us() - begin;
    }
    qsort(starts, (size_t)count, sizeof *starts, by_size);
    qsort(ends, (size_t)count, sizeof *ends, by_size);
    printf("%.0f %.0f\n", starts[count / 2], ends[count / 2]);
    return 0;
}
