/* The mount option tmpcopyup: a tmpfs that begins with a copy of the directory it covers. The
 * directory is the image's and may be hostile: every step goes by fd and follows no link. */
#include "mounts.h"

#include "clean.h"
#include "detached.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define CHUNK ((size_t)1 << 20)

static int copy_dir(struct error *e, int from, int to, int depth);

static int copy_file(struct error *e, int from, const char *name, int to)
{
    cleanup_close int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    cleanup_close int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in < 0 || out < 0)
        return err_set(e, errno, "copy %s", name);
    ssize_t sent;
    do
        sent = sendfile(out, in, NULL, CHUNK);
    while (sent > 0 || (sent < 0 && errno == EINTR));
    return sent < 0 ? err_set(e, errno, "copy %s", name) : 0;
}

static int copy_link(struct error *e, int from, const char *name, int to)
{
    char target[4096];
    ssize_t size = readlinkat(from, name, target, sizeof target - 1);
    if (size < 0)
        return err_set(e, errno, "read link %s", name);
    target[size] = '\0';
    return symlinkat(target, to, name) < 0 ? err_set(e, errno, "make link %s", name) : 0;
}

static int copy_below(struct error *e, int from, const char *name, int to, int depth)
{
    cleanup_close int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0 || mkdirat(to, name, 0700) < 0)
        return err_set(e, errno, "copy directory %s", name);
    cleanup_close int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out < 0)
        return err_set(e, errno, "open directory %s", name);
    return copy_dir(e, in, out, depth + 1);
}

static int copy_entry(struct error *e, int from, const char *name, int to, int depth)
{
    struct stat info;
    int result;
    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(e, errno, "stat %s", name);
    if (S_ISREG(info.st_mode))
        result = copy_file(e, from, name, to);
    else if (S_ISLNK(info.st_mode))
        result = copy_link(e, from, name, to);
    else if (S_ISDIR(info.st_mode))
        result = copy_below(e, from, name, to, depth);
    else if (mknodat(to, name, info.st_mode, info.st_rdev) < 0)
        result = err_set(e, errno, "make node %s", name);
    else
        result = 0;
    if (result < 0)
        return -1;
    struct timespec times[2] = {info.st_atim, info.st_mtim};
    if (fchownat(to, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
        (!S_ISLNK(info.st_mode) && fchmodat(to, name, info.st_mode & 07777, 0) < 0) ||
        utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(e, errno, "set owner, mode and time of %s", name);
    return 0;
}

static int copy_dir(struct error *e, int from, int to, int depth)
{
    int own = fcntl(from, F_DUPFD_CLOEXEC, 3);
    cleanup_dir DIR *handle = own < 0 ? NULL : fdopendir(own);
    struct dirent *entry;
    if (handle == NULL)
        return err_set(e, errno, "read directory");
    if (depth > DEPTH_MAX)
        return err_set(e, ELOOP, "directories more than %d deep", DEPTH_MAX);
    while ((entry = readdir(handle)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            copy_entry(e, from, entry->d_name, to, depth) < 0)
            return -1;
    return 0;
}

/* A detached tmpfs with these options. */
static int make_tmpfs(struct error *e, const struct mount_options *o)
{
    cleanup_close int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (context < 0)
        return err_set(e, errno, "open tmpfs");
    cleanup_free char *data = text_format("%s", o->data);
    char *rest = *data == '\0' ? NULL : data, *option;
    while ((option = strsep(&rest, ",")) != NULL) {
        char *value = strchr(option, '=');
        if (value != NULL)
            *value++ = '\0';
        if (fsconfig(context, value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, option,
                     value, 0) < 0)
            return err_set(e, errno, "tmpfs option %s", option);
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set(e, errno, "make tmpfs");
    int tree = fsmount(context, FSMOUNT_CLOEXEC, 0);
    return tree < 0 ? err_set(e, errno, "mount tmpfs") : tree;
}

/* Mode and owner of the covered directory, unless options give others. */
static int take_looks(struct error *e, int from, int to, const struct mount_options *o)
{
    struct stat info;
    if (fstat(from, &info) < 0)
        return err_set(e, errno, "stat");
    if (strstr(o->data, "mode=") == NULL && fchmod(to, info.st_mode & 07777) < 0)
        return err_set(e, errno, "set mode");
    if (strstr(o->data, "uid=") == NULL && fchown(to, info.st_uid, info.st_gid) < 0)
        return err_set(e, errno, "set owner");
    return 0;
}

int tmpfs_copy_up(struct error *e, int target, const char *destination,
                  const struct mount_options *o)
{
    cleanup_close int tree = make_tmpfs(e, o);
    if (tree < 0)
        return err_wrap(e, "mount %s", destination);
    cleanup_close int from = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || to < 0)
        return err_set(e, errno, "open %s", destination);
    if (copy_dir(e, from, to, 0) < 0 || take_looks(e, from, to, o) < 0 ||
        mount_set_attributes(e, tree, &o->own, false) < 0)
        return err_wrap(e, "tmpcopyup of %s", destination);
    return detached_attach(e, tree, target);
}
