#include "unpack.h"

#include "clean.h"
#include "io.h"
#include "remove-tree.h"
#include "rootpath.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

/* A directory's times are set last: what is put into it changes them. */
struct directory_time {
    struct directory_time *next;
    struct timespec modified;
    char name[];
};

struct unpacker {
    int root;
    /* The last entry's parent: archives list a directory's files one after another. */
    char *parent_name;
    int parent;
    struct directory_time *times;
};

static int parent_of(struct error *e, struct unpacker *u, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    if (u->parent >= 0 && strlen(u->parent_name) == size &&
        strncmp(u->parent_name, path, size) == 0) {
        *name = slash == NULL ? path : slash + 1;
        return u->parent;
    }
    close_now(&u->parent);
    free(u->parent_name);
    u->parent_name = text_slice(path, size);
    u->parent = root_make_parent(e, u->root, path, name);
    return u->parent;
}

/* Strips "./", leading and trailing slashes; ".." is left to the kernel, which keeps it inside. */
static char *plain_name(char *name)
{
    while (*name == '/' || (name[0] == '.' && name[1] == '/'))
        name++;
    size_t size = strlen(name);
    while (size > 0 && name[size - 1] == '/')
        name[--size] = '\0';
    return strcmp(name, ".") == 0 ? name + 1 : name;
}

/* Makes room for an entry. */
static int clear_place(struct error *e, int parent, const char *name)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "stat %s", name);
    if (S_ISDIR(info.st_mode))
        return remove_tree_at(e, parent, name);
    return unlinkat(parent, name, 0) < 0 ? err_set(e, errno, "remove %s", name) : 0;
}

static int write_file(struct error *e, struct tar *tar, struct tar_entry *entry, int fd)
{
    unsigned long long left = entry->size;
    while (left > 0) {
        const char *data;
        ssize_t part = tar_data(e, tar, left, &data);
        if (part < 0)
            return -1;
        if (write_all(fd, data, (size_t)part) < 0)
            return err_set(e, errno, "write %s", entry->name);
        left -= (unsigned long long)part;
    }
    return 0;
}

static int make_link(struct error *e, struct unpacker *u, struct tar_entry *entry, int parent,
                     const char *name)
{
    const char *target = plain_name(entry->link), *slash = strrchr(target, '/');
    cleanup_free char *above = text_slice(target, slash == NULL ? 0 : (size_t)(slash - target));
    cleanup_close int dir = root_open(u->root, above, O_PATH | O_DIRECTORY);
    if (dir < 0 || linkat(dir, slash == NULL ? target : slash + 1, parent, name, 0) < 0)
        return err_set(e, errno, "hard link %s to %s", entry->name, entry->link);
    return 0;
}

static int make_entry(struct error *e, struct unpacker *u, struct tar *tar, struct tar_entry *entry,
                      int parent, const char *name)
{
    dev_t device = makedev(entry->major, entry->minor);
    int result = 0;
    switch (entry->type) {
    case '0': {
        cleanup_close int fd =
            openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_set(e, errno, "make %s", entry->name);
        return write_file(e, tar, entry, fd);
    }
    case '1':
        return make_link(e, u, entry, parent, name);
    case '2':
        result = symlinkat(entry->link, parent, name);
        break;
    case '3':
        result = mknodat(parent, name, S_IFCHR | 0600, device);
        break;
    case '4':
        result = mknodat(parent, name, S_IFBLK | 0600, device);
        break;
    case '5':
        result = mkdirat(parent, name, 0700);
        break;
    default:
        result = mkfifoat(parent, name, 0600);
        break;
    }
    return result < 0 ? err_set(e, errno, "make %s", entry->name) : 0;
}

/* security.* and user.* are carried over, but nothing that steers overlayfs itself. */
static int set_xattrs(struct error *e, const struct tar_entry *entry, const char *path)
{
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct tar_xattr *x = &entry->xattrs[i];
        bool is_carried = strncmp(x->name, "user.", 5) == 0 ||
                          strncmp(x->name, "security.capability", 20) == 0 ||
                          strncmp(x->name, "system.posix_acl_", 17) == 0;
        if (is_carried && lsetxattr(path, x->name, x->value, x->size, 0) < 0 &&
            errno != EOPNOTSUPP && errno != EPERM)
            return err_set(e, errno, "set %s of %s", x->name, entry->name);
    }
    return 0;
}

static int keep_time(struct error *e, struct unpacker *u, const struct tar_entry *entry,
                     const char *path)
{
    size_t size = strlen(path) + 1;
    struct directory_time *time = malloc(sizeof *time + size);
    if (time == NULL)
        return err_set(e, ENOMEM, "keep time of %s", entry->name);
    *time = (struct directory_time){.next = u->times, .modified = entry->modified};
    memcpy(time->name, path, size);
    u->times = time;
    return 0;
}

/* Owner before mode, as a change of owner clears set-id bits, and both before capabilities, for the
 * same reason. */
static int set_attributes(struct error *e, struct unpacker *u, const struct tar_entry *entry,
                          int parent, const char *name, const char *path)
{
    struct timespec times[2] = {entry->modified, entry->modified};
    char magic[64 + NAME_MAX];
    snprintf(magic, sizeof magic, "/proc/self/fd/%d/%s", parent, name);
    if (entry->type == '1')
        return 0;
    if (fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(e, errno, "set owner of %s", entry->name);
    if (entry->type != '2' && fchmodat(parent, name, entry->mode, 0) < 0)
        return err_set(e, errno, "set mode of %s", entry->name);
    if (entry->xattr_count > 0 && set_xattrs(e, entry, magic) < 0)
        return -1;
    if (entry->type == '5')
        return keep_time(e, u, entry, path);
    if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return err_set(e, errno, "set time of %s", entry->name);
    return 0;
}

static int white_out(struct error *e, int parent, const char *name)
{
    if (strcmp(name, OPAQUE) == 0) {
        char magic[64];
        snprintf(magic, sizeof magic, "/proc/self/fd/%d", parent);
        if (setxattr(magic, "trusted.overlay.opaque", "y", 1, 0) < 0)
            return err_set(e, errno, "make directory opaque");
        return 0;
    }
    if (strncmp(name, WHITEOUT WHITEOUT, 8) == 0)
        return 0; /* Another file system's bookkeeping. */
    const char *hidden = name + strlen(WHITEOUT);
    if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return err_set(e, 0, "whiteout \"%s\" names nothing", name);
    if (clear_place(e, parent, hidden) < 0)
        return -1;
    if (mknodat(parent, hidden, S_IFCHR, 0) < 0)
        return err_set(e, errno, "make whiteout %s", hidden);
    return 0;
}

static int unpack_entry(struct error *e, struct unpacker *u, struct tar *tar,
                        struct tar_entry *entry)
{
    const char *path = plain_name(entry->name), *name;
    if (*path == '\0') /* The directory itself: only its attributes. */
        return set_attributes(e, u, entry, u->root, ".", ".");
    int parent = parent_of(e, u, path, &name);
    if (parent < 0)
        return -1;
    if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0)
        return err_set(e, 0, "archive entry \"%s\" names no file", entry->name);
    if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0)
        return white_out(e, parent, name);
    struct stat info;
    bool is_there = entry->type == '5' && fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISDIR(info.st_mode);
    if (!is_there &&
        (clear_place(e, parent, name) < 0 || make_entry(e, u, tar, entry, parent, name) < 0))
        return -1;
    return set_attributes(e, u, entry, parent, name, path);
}

static int set_directory_times(struct error *e, struct unpacker *u)
{
    int result = 0;
    while (u->times != NULL) {
        struct directory_time *time = u->times;
        struct timespec times[2] = {time->modified, time->modified};
        cleanup_close int fd = root_open(u->root, time->name, O_RDONLY | O_DIRECTORY);
        if (fd >= 0 && futimens(fd, times) < 0 && result == 0)
            result = err_set(e, errno, "set time of %s", time->name);
        u->times = time->next;
        free(time);
    }
    return result;
}

/* Those of an archive that broke off. */
static void forget_times(struct unpacker *u)
{
    while (u->times != NULL) {
        struct directory_time *time = u->times;
        u->times = time->next;
        free(time);
    }
}

int unpack(struct error *e, const char *directory, int fd, const char *rest, size_t rest_size)
{
    struct tar tar;
    struct tar_entry entry = {0};
    struct unpacker u = {.parent = -1};
    cleanup_close int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_set(e, errno, "open %s", directory);
    if (tar_open(e, &tar, fd, rest, rest_size) < 0)
        return -1;
    u.root = root;
    umask(0);
    int result;
    while ((result = tar_next(e, &tar, &entry)) == 1) {
        result = unpack_entry(e, &u, &tar, &entry);
        tar_entry_free(&entry);
        if (result < 0)
            break;
    }
    if (result == 0)
        result = set_directory_times(e, &u);
    forget_times(&u);
    /* The caller gives it its name next, and a power cut must not leave empty files behind that. */
    if (result == 0 && syncfs(root) < 0)
        result = err_set(e, errno, "sync %s", directory);
    close_now(&u.parent);
    free(u.parent_name);
    tar_close(&tar);
    return result;
}
