#include "sandbox-make.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "making.h"
#include "netlink.h"
#include "network.h"
#include "reaper.h"
#include "state.h"
#include "sync.h"
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* How long a killed reaper may take to be gone, with all that is in its namespace. */
#define END_WAIT_MS 10000
#define REAPER_FILE "reaper"

/* Makes the namespaces inside the user namespace, and holds them until the socket is closed. */
static _Noreturn void hold(int userns, int flags, int socket)
{
    struct error e = {0};
    char byte;
    int result = userns_enter(&e, userns);
    if (result == 0 && unshare(flags) < 0)
        result = err_set(&e, errno, "make namespaces");
    if (result < 0)
        sync_send_error(socket, &e);
    else if (sync_send(&e, socket, 'R') == 0)
        (void)!read(socket, &byte, 1);
    _exit(result < 0);
}

int sandbox_unshare(struct error *e, int flags, int userns)
{
    int pair[2];
    if (userns < 0)
        return unshare(flags) < 0 ? err_set(e, errno, "make namespaces") : 0;
    if (sync_pair(e, pair) < 0)
        return -1;
    cleanup_close int own = pair[0], other = pair[1];
    pid_t pid = fork();
    if (pid == 0) {
        close(own);
        hold(userns, flags, other);
    }
    if (pid < 0)
        return err_set(e, errno, "fork");
    close_now(&other);
    cleanup_close int holder = pidfd_open(pid, 0);
    int result = sync_expect(e, own, 'R');
    if (result == 0 && flags != 0 && (holder < 0 || setns(holder, flags) < 0))
        result = err_set(e, errno, "enter namespaces");
    close_now(&own);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return result;
}

int sandbox_share_processes(struct error *e, const char *dir, int userns)
{
    cleanup_free char *path = text_format("%s/pid", dir);
    cleanup_close int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
    cleanup_close int place = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || place < 0)
        return err_set(e, errno, "make %s", path);
    pid_t pid = reaper_start(e, userns);
    if (pid < 0)
        return -1;
    cleanup_free char *own = text_format("/proc/%d/ns/pid", (int)pid);
    cleanup_free char *mark = text_format("%d %lld", (int)pid, process_birth(pid));
    int result = file_replace_at(e, place, REAPER_FILE, mark);
    if (result == 0 && mount(own, path, NULL, MS_BIND, NULL) < 0)
        result = err_set(e, errno, "pin process namespace at %s", path);
    if (result < 0)
        kill(pid, SIGKILL);
    return result;
}

/* A pidfd of the reaper, or -1. */
static int find_reaper(const char *dir, pid_t *pid)
{
    struct error ignored;
    cleanup_free char *path = text_format("%s/" REAPER_FILE, dir), *text = NULL;
    long long birth;
    if (file_read(&ignored, path, &text, 64) < 0 || sscanf(text, "%d %lld", pid, &birth) != 2)
        return -1;
    return process_find(*pid, birth);
}

int sandbox_has_processes(const char *dir)
{
    pid_t pid;
    cleanup_close int reaper = find_reaper(dir, &pid);
    /* It waits for the end of all the others before its own. */
    return reaper >= 0 && !process_is_ending(pid);
}

int sandbox_end_processes(struct error *e, const char *dir)
{
    cleanup_free char *path = text_format("%s/" REAPER_FILE, dir);
    pid_t pid;
    cleanup_close int reaper = find_reaper(dir, &pid);
    struct pollfd gone = {.fd = reaper, .events = POLLIN};
    if (reaper >= 0) {
        if (pidfd_send_signal(reaper, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
            return err_set(e, errno, "end the processes of %s", dir);
        int count;
        do
            count = poll(&gone, 1, END_WAIT_MS);
        while (count < 0 && errno == EINTR);
        if (count == 0)
            return err_set(e, ETIMEDOUT, "end the processes of %s", dir);
    }
    return unlink(path) < 0 && errno != ENOENT ? err_set(e, errno, "remove %s", path) : 0;
}

/* The host's id of root inside. */
static long long first_id(json_object *mappings)
{
    return json_count(mappings, "") == 0 ? 0 : json_number(json_entry(mappings, 0), "hostID", 0);
}

int sandbox_share_memory(struct error *e, const char *dir, json_object *spec)
{
    cleanup_free char *path = text_format("%s/shm", dir);
    cleanup_free char *data =
        text_format("mode=1777,size=64m,uid=%lld,gid=%lld", first_id(json_at(spec, "uidMappings")),
                    first_id(json_at(spec, "gidMappings")));
    if (mkdir(path, 0700) < 0 ||
        mount("shm", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, data) < 0)
        return err_set(e, errno, "mount shared memory at %s", path);
    return 0;
}

int sandbox_set_sysctls(struct error *e, json_object *sysctls)
{
    if (sysctls == NULL)
        return 0;
    json_object_object_foreach(sysctls, key, value)
    {
        if (strstr(key, "..") != NULL || network_sysctl(e, key, json_object_get_string(value)) < 0)
            return err_wrap(e, "sysctl %s", key);
    }
    return 0;
}

int sandbox_set_up_network(struct error *e, const char *run_dir, int host, json_object *wish)
{
    struct error ignored;
    /* One after the other, as the kernel would do it: but who writes a sysctl of an interface while
     * it makes another one is sent back to try again at once, and takes a whole processor for it.
     */
    cleanup_close int turn = lock_file(e, run_dir, "network.lock");
    if (turn < 0)
        return -1;
    /* Off unless asked for by a sysctl; a kernel without IPv6 has no such file. This one sets the
     * default of interfaces to come, too. */
    (void)network_sysctl(&ignored, "net.ipv6.conf.all.disable_ipv6", "1");
    cleanup_close int inside = netlink_open(e);
    if (inside < 0 || link_up(e, inside, "lo") < 0)
        return -1;
    if (wish == NULL)
        return 0;
    cleanup_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return err_set(e, errno, "open network namespace");
    const char *name = json_text(wish, "name", "eth0");
    const char *gateway = json_text(wish, "gateway", "");
    if (link_veth(e, host, wish, own) < 0 ||
        address_add(e, inside, name, json_text(wish, "address", "")) < 0 ||
        link_up(e, inside, name) < 0)
        return -1;
    return *gateway == '\0' ? 0 : route_add(e, inside, "default", gateway, name, RTPROT_STATIC);
}
