#include "sandbox.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "making.h"
#include "netlink.h"
#include "network.h"
#include "sandbox-make.h"
#include "serve.h"
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct {
    const char *name;
    int flag;
} kinds[] = {{"net", CLONE_NEWNET},
             {"ipc", CLONE_NEWIPC},
             {"uts", CLONE_NEWUTS},
             {"user", CLONE_NEWUSER},
             {"pid", CLONE_NEWPID}};
/* Those that this process enters itself. */
#define OWN_FLAGS (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define KIND_COUNT (sizeof kinds / sizeof *kinds)
/* In the directory of a sandbox until it is complete. */
#define UNFINISHED "unfinished"

static int check_id(struct error *e, const char *id)
{
    size_t size = strlen(id);
    if (size == 0 || size > 64 || strchr(id, '/') != NULL || *id == '.')
        return err_set(e, EINVAL, "sandbox id \"%s\"", id);
    return 0;
}

static bool is_mount(const char *path)
{
    struct statx info;
    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0, &info) == 0 &&
           (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* Making the first and removing the last sandbox also makes and removes the mount that holds the
 * pins. */
static int lock(struct error *e, const char *run_dir)
{
    return lock_file(e, run_dir, "sandboxes.lock");
}

/* The pins hang below a private mount, so that no other mount namespace gets copies that would keep
 * them. */
static int make_private(struct error *e, const char *dir)
{
    if (make_dirs(e, dir, 0700) < 0)
        return -1;
    if (is_mount(dir))
        return 0;
    if (mount(dir, dir, NULL, MS_BIND, NULL) < 0 || mount(NULL, dir, NULL, MS_PRIVATE, NULL) < 0)
        return err_set(e, errno, "make %s a private mount", dir);
    return 0;
}

/* userns: the one to pin when it is a user namespace; others are pinned as those of the caller. */
static int pin(struct error *e, const char *dir, const char *name, int userns)
{
    cleanup_free char *path = text_format("%s/%s", dir, name);
    cleanup_free char *own = userns >= 0 ? text_format("/proc/self/fd/%d", userns)
                                         : text_format("/proc/self/ns/%s", name);
    cleanup_close int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
    if (fd < 0 || mount(own, path, NULL, MS_BIND, NULL) < 0)
        return err_set(e, errno, "pin %s namespace at %s", name, path);
    return 0;
}

static int make_namespaces(struct error *e, const struct job *job, const char *dir, int userns)
{
    json_object *spec = job->request, *wanted = json_at(spec, "namespaces");
    const char *hostname = json_text(spec, "hostname", "");
    cleanup_close int host = netlink_open(e);
    int flags = 0;
    if (host < 0)
        return -1;
    for (size_t i = 0; i < KIND_COUNT; i++)
        if ((kinds[i].flag & OWN_FLAGS) != 0 && json_has_text(wanted, kinds[i].name))
            flags |= kinds[i].flag;
    /* Before: here it is still the host's names that paths below /proc are made of. */
    if (userns >= 0 && pin(e, dir, "user", userns) < 0)
        return -1;
    if (json_has_text(wanted, "pid") && sandbox_share_processes(e, dir, userns) < 0)
        return -1;
    if (sandbox_unshare(e, flags, userns) < 0)
        return -1;
    if ((flags & CLONE_NEWUTS) != 0 && *hostname != '\0' &&
        sethostname(hostname, strlen(hostname)) < 0)
        return err_set(e, errno, "set hostname %s", hostname);
    for (size_t i = 0; i < KIND_COUNT; i++)
        if ((flags & kinds[i].flag) != 0 && pin(e, dir, kinds[i].name, -1) < 0)
            return -1;
    if ((flags & CLONE_NEWIPC) != 0 && sandbox_share_memory(e, dir, spec) < 0)
        return -1;
    if ((flags & CLONE_NEWNET) != 0 &&
        sandbox_set_up_network(e, job->run_dir, host, json_at(spec, "interface")) < 0)
        return -1;
    return sandbox_set_sysctls(e, json_at(spec, "sysctls"));
}

/* The paths of what is pinned in dir; none when its making was cut off. */
static json_object *paths_in(const char *dir)
{
    json_object *paths = json_object_new_object();
    cleanup_free char *unfinished = text_format("%s/" UNFINISHED, dir);
    if (faccessat(AT_FDCWD, unfinished, F_OK, 0) == 0)
        return paths;
    for (size_t i = 0; i <= KIND_COUNT; i++) {
        const char *name = i < KIND_COUNT ? kinds[i].name : "shm";
        cleanup_free char *path = text_format("%s/%s", dir, name);
        if (is_mount(path) && (strcmp(name, "pid") != 0 || sandbox_has_processes(dir)))
            json_put_text(paths, name, path);
    }
    return paths;
}

/* Returns the directory's fd, locked until the sandbox is made. */
static int prepare(struct error *e, const char *run_dir, const char *id, json_object *spec,
                   char **dir)
{
    cleanup_free char *parent = text_format("%s/sandboxes", run_dir);
    cleanup_close int guard = lock(e, run_dir);
    if (guard < 0 || make_private(e, parent) < 0)
        return -1;
    *dir = text_format("%s/%s", parent, id);
    if (mkdir(*dir, 0700) < 0)
        return err_set(e, errno, "make sandbox %s", id);
    cleanup_close int fd = open(*dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open sandbox %s", id);
    /* Its deletion may hold the lock and wait for the guard. */
    close_now(&guard);
    /* Deletion must know the interface even when making was cut short. */
    if (making_begin(e, fd) < 0 || file_replace_at(e, fd, UNFINISHED, "") < 0 ||
        file_replace_at(e, fd, "spec.json", json_line(spec)) < 0)
        return -1;
    return steal_fd(&fd);
}

static int finish(struct error *e, int dir_fd, const char *id)
{
    if (unlinkat(dir_fd, UNFINISHED, 0) < 0)
        return err_set(e, errno, "finish sandbox %s", id);
    making_end(dir_fd);
    return 0;
}

int sandbox_create(struct error *e, const struct job *job, json_object **result)
{
    json_object *spec = job->request;
    const char *id = json_text(spec, "id", ""), *run_dir = job->run_dir;
    cleanup_free char *dir = NULL;
    cleanup_close int userns = -1;
    if (check_id(e, id) < 0)
        return -1;
    cleanup_close int making = prepare(e, run_dir, id, spec, &dir);
    if (making < 0)
        return -1;
    cleanup_close int host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (host < 0)
        return err_set(e, errno, "open own network namespace");
    bool has_users = json_has_text(json_at(spec, "namespaces"), "user");
    if (has_users)
        userns = userns_make(e, json_at(spec, "uidMappings"), json_at(spec, "gidMappings"));
    if ((has_users && userns < 0) || job_check_daemon(e, job) < 0 ||
        make_namespaces(e, job, dir, userns) < 0 || finish(e, making, id) < 0) {
        struct error ignored;
        making_end(making);
        if (setns(host, CLONE_NEWNET) == 0)
            (void)sandbox_delete(&ignored, run_dir, id);
        return -1;
    }
    *result = json_object_new_object();
    json_put_text(*result, "id", id);
    json_object_object_add(*result, "namespaces", paths_in(dir));
    return 0;
}

/* Its own files; what a killed maker was about to rename has any name. */
static void forget(const char *dir)
{
    cleanup_dir DIR *handle = opendir(dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL)
        if (entry->d_type == DT_REG)
            unlinkat(dirfd(handle), entry->d_name, 0);
}

/* Those that are being made are waited for, all together at most so long. */
static int list_below(struct error *e, const char *parent, unsigned int patience_s,
                      json_object **list)
{
    struct error ignored = {0};
    cleanup_dir DIR *handle = opendir(parent);
    struct dirent *entry;
    *list = json_object_new_array();
    if (handle == NULL)
        return errno == ENOENT ? 0 : err_set(e, errno, "open %s", parent);
    while ((entry = readdir(handle)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        cleanup_free char *dir = text_format("%s/%s", parent, entry->d_name);
        cleanup_close int made = making_wait(&ignored, dir, false, patience_s);
        if (made < 0 && ignored.code == ENOENT)
            continue;
        patience_s = made < 0 ? 0 : patience_s;
        json_object *sandbox = json_object_new_object();
        json_put_text(sandbox, "id", entry->d_name);
        json_object_object_add(sandbox, "namespaces", paths_in(dir));
        json_object_array_add(*list, sandbox);
    }
    return 0;
}

int sandbox_delete(struct error *e, const char *run_dir, const char *id)
{
    struct error ignored;
    if (check_id(e, id) < 0)
        return -1;
    cleanup_free char *parent = text_format("%s/sandboxes", run_dir);
    cleanup_free char *dir = text_format("%s/%s", parent, id);
    cleanup_free char *spec_path = text_format("%s/spec.json", dir);
    cleanup_json json_object *spec = NULL;
    cleanup_close int alone = making_wait(e, dir, true, MAKING_WAIT_S);
    if (alone < 0 && e->code != ENOENT)
        return -1;
    (void)json_read_file(&ignored, spec_path, &spec);
    const char *interface = json_text(spec, "interface.hostName", NULL);
    if (interface != NULL) {
        cleanup_close int host = netlink_open(e);
        if (host < 0 || link_delete(e, host, interface) < 0)
            return -1;
    }
    if (sandbox_end_processes(e, dir) < 0)
        return -1;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        cleanup_free char *path = text_format("%s/%s", dir, kinds[i].name);
        if (is_mount(path) && umount2(path, MNT_DETACH) < 0)
            return err_set(e, errno, "unpin %s", path);
        if (unlink(path) < 0 && errno != ENOENT)
            return err_set(e, errno, "remove %s", path);
    }
    cleanup_free char *shm = text_format("%s/shm", dir);
    if (is_mount(shm) && umount2(shm, MNT_DETACH) < 0)
        return err_set(e, errno, "unmount %s", shm);
    if (rmdir(shm) < 0 && errno != ENOENT)
        return err_set(e, errno, "remove %s", shm);
    cleanup_close int guard = lock(e, run_dir);
    if (guard < 0)
        return -1;
    forget(dir);
    if (rmdir(dir) < 0 && errno != ENOENT)
        return err_set(e, errno, "remove sandbox %s", id);
    if (dir_is_empty(parent) && is_mount(parent) && umount2(parent, MNT_DETACH) < 0)
        return err_set(e, errno, "unmount %s", parent);
    return 0;
}

int sandbox_list(struct error *e, const char *run_dir, json_object **list)
{
    cleanup_free char *all = text_format("%s/sandboxes", run_dir);
    return list_below(e, all, MAKING_WAIT_S, list);
}

int sandbox_enter_network(struct error *e, const char *run_dir, const char *id)
{
    if (check_id(e, id) < 0)
        return -1;
    cleanup_free char *dir = text_format("%s/sandboxes/%s", run_dir, id);
    cleanup_free char *path = text_format("%s/net", dir);
    if (faccessat(AT_FDCWD, dir, F_OK, 0) < 0)
        return err_set(e, errno, "sandbox %s", id);
    if (!is_mount(path))
        return 0;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        return err_set(e, errno, "enter network namespace of sandbox %s", id);
    return 0;
}
