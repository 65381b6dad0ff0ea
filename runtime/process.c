#include "process.h"

#include "caps.h"
#include "clean.h"
#include "io.h"
#include "json.h"
#include "proc.h"
#include "rlimits.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <linux/major.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define GROUPS_MAX 1024
#define PASSWD_SIZE_MAX ((off_t)1 << 20)
#define PTMX_MINOR 2

void process_reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The container may have put anything at this path: only a terminal multiplexer will do. */
static int open_multiplexer(struct error *e)
{
    cleanup_close int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct stat info;
    struct statfs place;
    if (master < 0 || fstat(master, &info) < 0 || fstatfs(master, &place) < 0)
        return err_set(e, errno, "open /dev/pts/ptmx");
    if (place.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(info.st_mode) ||
        info.st_rdev != makedev(TTYAUX_MAJOR, PTMX_MINOR))
        return err_set(e, 0, "/dev/pts/ptmx is not the terminal multiplexer");
    fd_set_blocking(master, true);
    return steal_fd(&master);
}

int process_terminal(struct error *e, json_object *process)
{
    cleanup_close int master = open_multiplexer(e);
    int unlock = 0;
    if (master < 0)
        return -1;
    if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
        return err_set(e, errno, "unlock terminal");
    cleanup_close int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return err_set(e, errno, "open terminal");
    struct winsize size = {.ws_row = (unsigned short)json_number(process, "consoleSize.height", 0),
                           .ws_col = (unsigned short)json_number(process, "consoleSize.width", 0)};
    if (size.ws_row > 0 && ioctl(master, TIOCSWINSZ, &size) < 0)
        return err_set(e, errno, "size terminal");
    uid_t uid = (uid_t)json_number(process, "user.uid", 0);
    if (fchown(slave, uid, (gid_t)-1) < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
        return err_set(e, errno, "take over terminal");
    for (int fd = 0; fd < 3; fd++)
        if (dup2(slave, fd) < 0)
            return err_set(e, errno, "terminal as stdio");
    return steal_fd(&master);
}

int process_stdio(struct error *e, const int stdio[3])
{
    /* Copied above 2 first: one of the fds may itself be 0, 1 or 2. */
    int copies[3] = {-1, -1, -1};
    for (int fd = 0; fd < 3; fd++)
        if (stdio[fd] >= 0 && (copies[fd] = fcntl(stdio[fd], F_DUPFD_CLOEXEC, 3)) < 0)
            return err_set(e, errno, "copy stdio");
    for (int fd = 0; fd < 3; fd++) {
        if (copies[fd] < 0)
            continue;
        if (dup2(copies[fd], fd) < 0)
            return err_set(e, errno, "set stdio");
        close(copies[fd]);
    }
    return 0;
}

/* So that the program can open /dev/stdout and so on as its own user. */
static int own_stdio(struct error *e, uid_t uid)
{
    for (int fd = 0; fd < 3; fd++) {
        struct stat info;
        if (fstat(fd, &info) < 0)
            return err_set(e, errno, "stat stdio");
        if (!S_ISFIFO(info.st_mode) || info.st_uid == uid)
            continue;
        if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL)
            return err_set(e, errno, "own stdio");
    }
    return 0;
}

static const char *env_value(json_object *process, const char *name)
{
    size_t count = json_count(process, "env"), size = strlen(name);
    const char *value = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *entry = json_entry_text(json_at(process, "env"), i);
        if (strncmp(entry, name, size) == 0 && entry[size] == '=')
            value = entry + size + 1;
    }
    return value;
}

/* 0 when path is a file that may be executed by this user, else an errno. */
static int executable(const char *path)
{
    struct stat info;
    if (stat(path, &info) < 0)
        return errno;
    if (S_ISDIR(info.st_mode))
        return EISDIR;
    if (!S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0)
        return EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static int find_program(struct error *e, json_object *process, char **path)
{
    const char *name = json_entry_text(json_at(process, "args"), 0);
    if (strchr(name, '/') != NULL) {
        int code = executable(name);
        if (code == ENOENT || code == ENOTDIR) {
            e->code = code;
            snprintf(e->message, sizeof e->message, "exec: \"%s\": stat %s: %s", name, name,
                     code == ENOENT ? "no such file or directory" : "not a directory");
            return -1;
        }
        if (code != 0) {
            err_set(e, 0, "exec: \"%s\": %spermission denied", name,
                    code == EISDIR ? "is a directory: " : "");
            e->code = EACCES;
            return -1;
        }
        *path = text_format("%s", name);
        return 0;
    }
    const char *search = env_value(process, "PATH");
    cleanup_free char *copy = text_format("%s", search != NULL ? search : DEFAULT_PATH);
    char *rest = copy, *dir;
    int denied = 0;
    while (*name != '\0' && (dir = strsep(&rest, ":")) != NULL) {
        cleanup_free char *candidate = text_format("%s/%s", *dir == '\0' ? "." : dir, name);
        int code = executable(candidate);
        if (code == 0) {
            *path = candidate;
            candidate = NULL;
            return 0;
        }
        denied |= code == EACCES;
    }
    err_set(e, 0,
            denied ? "exec: \"%s\": permission denied"
                   : "exec: \"%s\": executable file not found in $PATH",
            name);
    e->code = denied ? EACCES : ENOENT;
    return -1;
}

static int set_user(struct error *e, json_object *process)
{
    uid_t uid = (uid_t)json_number(process, "user.uid", 0);
    gid_t gid = (gid_t)json_number(process, "user.gid", 0);
    gid_t groups[GROUPS_MAX];
    size_t count = json_count(process, "user.additionalGids");
    if (count > GROUPS_MAX)
        return err_set(e, 0, "more than %d additional groups", GROUPS_MAX);
    for (size_t i = 0; i < count; i++)
        groups[i] =
            (gid_t)json_object_get_int64(json_entry(json_at(process, "user.additionalGids"), i));
    /* A user namespace may forbid it, and then there is nothing to drop. */
    if (setgroups(count, groups) < 0 && (errno != EPERM || count > 0 || getgroups(0, NULL) > 0))
        return err_set(e, errno, "set groups");
    if (setresgid(gid, gid, gid) < 0)
        return err_set(e, errno, "set group %u", gid);
    if (setresuid(uid, uid, uid) < 0)
        return err_set(e, errno, "set user %u", uid);
    umask((mode_t)json_number(process, "user.umask", 0022));
    return 0;
}

/* Without no-new-privileges only an administrator may set a filter. */
static bool is_privileged_filter(json_object *process, const struct filter *filter)
{
    return filter->code != NULL && !json_flag(process, "noNewPrivileges", false);
}

int process_become(struct error *e, json_object *process, const struct filter *filter, char **path)
{
    const char *cwd = json_text(process, "cwd", "/");
    json_object *capabilities = json_at(process, "capabilities");
    if (rlimits_apply(e, process) < 0 ||
        own_stdio(e, (uid_t)json_number(process, "user.uid", 0)) < 0)
        return -1;
    bool is_inside = chdir(cwd) == 0; /* May need root's rights, or the user's (NFS). */
    if (caps_bound(e, capabilities) < 0 || set_user(e, process) < 0 ||
        caps_apply(e, capabilities, is_privileged_filter(process, filter) ? CAP_SYS_ADMIN_BIT : 0) <
            0)
        return -1;
    if (!is_inside && chdir(cwd) < 0)
        return err_set(e, errno, "chdir to cwd (\"%s\")", cwd);
    /* A directory outside the root has no path. It could only be reached through an fd of the host.
     */
    cleanup_free char *inside = getcwd(NULL, 0);
    if (inside == NULL || *inside != '/')
        return err_set(e, 0, "cwd \"%s\" is outside the container", cwd);
    if (json_flag(process, "noNewPrivileges", false) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "set no-new-privileges");
    return find_program(e, process, path);
}

char **text_vector(json_object *object, const char *key, const char *extra)
{
    size_t count = json_count(object, key);
    char **vector = calloc(count + 2, sizeof *vector);
    if (vector == NULL)
        abort();
    for (size_t i = 0; i < count; i++)
        vector[i] = text_format("%s", json_entry_text(json_at(object, key), i));
    if (extra != NULL)
        vector[count] = text_format("%s", extra);
    return vector;
}

static void free_vector(char **vector)
{
    for (size_t i = 0; vector[i] != NULL; i++)
        free(vector[i]);
    free(vector);
}

/* The container's /etc/passwd; NULL when it is no file of this size. Not blocked by a pipe in its
 * place. */
static char *read_passwd(void)
{
    struct error ignored;
    struct stat info;
    char *text = NULL;
    cleanup_close int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size > PASSWD_SIZE_MAX)
        return NULL;
    return fd_read_all(&ignored, fd, &text, (size_t)PASSWD_SIZE_MAX) < 0 ? NULL : text;
}

/* The home directory of the user as /etc/passwd has it. */
static char *home_directory(uid_t uid)
{
    cleanup_free char *text = read_passwd();
    char *lines = text, *line, *home = NULL;
    while (home == NULL && lines != NULL && (line = strsep(&lines, "\n")) != NULL) {
        char *fields[7] = {NULL};
        for (int i = 0; i < 7; i++)
            fields[i] = strsep(&line, ":");
        if (fields[2] != NULL && fields[5] != NULL && *fields[5] == '/' &&
            strtoul(fields[2], NULL, 10) == uid)
            home = text_format("HOME=%s", fields[5]);
    }
    return home != NULL ? home : text_format("HOME=%s", uid == 0 ? "/root" : "/");
}

/* The last thing of all: the fewer system calls follow, the fewer must the profile allow. */
static int apply_filter(struct error *e, json_object *process, const struct filter *filter)
{
    if (!is_privileged_filter(process, filter))
        return filter_load(e, filter);
    if (caps_raise(e, CAP_SYS_ADMIN_BIT) < 0 || filter_load(e, filter) < 0)
        return -1;
    return caps_apply(e, json_at(process, "capabilities"), 0);
}

int process_execute(struct error *e, json_object *process, const struct filter *filter,
                    const char *path)
{
    cleanup_free char *home = env_value(process, "HOME") == NULL ? home_directory(getuid()) : NULL;
    char **args = text_vector(process, "args", NULL);
    char **env = text_vector(process, "env", home);
    int result = apply_filter(e, process, filter);
    if (result == 0)
        execve(path, args, env);
    int code = errno;
    free_vector(args);
    free_vector(env);
    if (result < 0)
        return -1;
    err_set(e, 0, "exec %s: %s", path,
            code == ENOEXEC  ? "exec format error"
            : code == ENOENT ? "no such file or directory"
                             : strerror(code));
    e->code = code;
    return -1;
}
