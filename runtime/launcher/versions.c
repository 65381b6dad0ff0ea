#include "versions.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNPACKING ".unpacking"
#define REMOVING ".removing"
/* Another process may remove a version between its being there and its being held. */
#define ENTER_ATTEMPTS 10

static int make_dirs(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made < 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

/* Removes a directory of plain files, and of directories of such, if it is there. */
static void remove_at(int at, const char *path)
{
    int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) < 0 && errno == EISDIR)
            remove_at(fd, entry->d_name);
    }
    closedir(dir);
    unlinkat(at, path, AT_REMOVEDIR);
}

static void remove_dir(const char *path)
{
    remove_at(AT_FDCWD, path);
}

static bool is_version(const char *name)
{
    return strlen(name) == ID_HEX && strspn(name, "0123456789abcdef") == ID_HEX;
}

/* Removes another version unless somebody holds it. The caller has the parent's lock. */
static void remove_unheld(const char *parent, const char *version)
{
    char path[PATH_MAX], removing[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", parent, version) >= (int)sizeof(path) ||
        snprintf(removing, sizeof(removing), "%s/" REMOVING, parent) >= (int)sizeof(removing))
        return;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    /* Out of sight before it is emptied: who comes for it must not find half of it. */
    if (flock(dir, LOCK_EX | LOCK_NB) == 0 && rename(path, removing) == 0)
        remove_dir(removing);
    close(dir);
}

static void remove_others(const char *parent, const char *home)
{
    const char *own = strrchr(home, '/') + 1;
    DIR *dir = opendir(parent);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        if (is_version(entry->d_name) && strcmp(entry->d_name, own) != 0)
            remove_unheld(parent, entry->d_name);
    closedir(dir);
}

/* Unpacks beside `home` and renames: what is there is whole. The caller has the parent's lock. */
static int unpack_version(struct payload *p, const struct trailer *t, const char *parent,
                          const char *home)
{
    char path[PATH_MAX];
    /* One name is enough: the lock is held. What a killed attempt has left goes first. */
    snprintf(path, sizeof(path), "%s/" REMOVING, parent);
    remove_dir(path);
    snprintf(path, sizeof(path), "%s/" UNPACKING, parent);
    remove_dir(path);
    if (mkdir(path, 0755) < 0)
        return fail("create", path);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail("open", path);
    if (payload_unpack(p, t, dir) < 0) {
        close(dir);
        remove_dir(path);
        return -1;
    }
    if (fsync(dir) < 0) {
        close(dir);
        return fail("write", path);
    }
    close(dir);
    return rename(path, home) < 0 ? fail("rename to", home) : 0;
}

static bool is_whole(const char *home)
{
    char program[PATH_MAX];
    return snprintf(program, sizeof(program), "%s/" PROGRAM, home) < (int)sizeof(program) &&
           access(program, F_OK) == 0;
}

/* Lays the payload out in `home` unless another process has done so. */
static int lay_out(struct payload *p, const struct trailer *t, const char *parent, const char *home)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", parent);
    if (make_dirs(path) < 0)
        return fail("create", parent);
    snprintf(path, sizeof(path), "%s/.lock", parent);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return fail("open", path);
    int result = 0;
    if (flock(lock, LOCK_EX) < 0)
        result = fail("lock", path);
    else if (!is_whole(home)) {
        remove_dir(home);
        if ((result = unpack_version(p, t, parent, home)) == 0)
            remove_others(parent, home);
    }
    close(lock);
    return result;
}

int version_enter(struct payload *p, const struct trailer *t, const char *parent, const char *home)
{
    for (int attempt = 0; attempt < ENTER_ATTEMPTS; attempt++) {
        /* Stays open in the program that this process becomes; the kernel drops the lock at its
         * end. */
        int dir = open(home, O_RDONLY | O_DIRECTORY);
        if (dir < 0 && errno != ENOENT)
            return fail("open", home);
        if (dir >= 0) {
            /* A file system without locks: nobody else removes from it either. */
            (void)flock(dir, LOCK_SH);
            if (faccessat(dir, PROGRAM, F_OK, 0) == 0 && is_whole(home))
                return 0;
            close(dir);
        }
        if (lay_out(p, t, parent, home) < 0)
            return -1;
    }
    errno = EBUSY;
    return fail("keep", home);
}
