/* What another runtime finds mounted: the root file system, and sources of bind mounts that only
 * this helper can make (see mount-sources.c). All of it in a mount namespace that ends with the
 * call, so that nothing is left on the host: the container has taken copies by then. */
#include "foreign.h"

#include "clean.h"
#include "container-users.h"
#include "io.h"
#include "json.h"
#include "mounts.h"
#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where all may go: a user namespace may not enter the state directory. */
#define PUBLIC_DIR "/mnt"

static bool has_users(const struct container *c)
{
    return namespace_is_listed(c->config, "user");
}

char *foreign_place(const struct container *c, const char *name)
{
    return text_format("%s/%s", has_users(c) ? PUBLIC_DIR : c->dir, name);
}

bool foreign_mounts_source(const struct container *c, json_object *mount)
{
    json_object *options = json_at(mount, "options");
    struct mount_options parsed;
    struct error ignored;
    if (has_users(c))
        return mount_options_parse(&ignored, mount, &parsed) == 0 && parsed.is_bind;
    return json_at(mount, "sourceRoot") != NULL || json_has_text(options, "idmap") ||
           json_has_text(options, "ridmap") || json_has_text(options, "rro");
}

/* Mounts that are passed on to the host cannot be made in a namespace of their own. */
static bool is_shared(const struct container *c)
{
    return !has_users(c) &&
           strstr(json_text(c->config, "linux.rootfsPropagation", ""), "shared") != NULL;
}

static int enter_own_mounts(struct error *e, const struct container *c)
{
    if (is_shared(c))
        return 0;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return err_set(e, errno, "make a mount namespace");
    return 0;
}

/* A file or a directory at place, as the tree is. */
static int make_place(struct error *e, int tree, const char *place)
{
    struct stat info;
    if (fstat(tree, &info) < 0)
        return err_set(e, errno, "look at a mount's source");
    if (S_ISDIR(info.st_mode))
        return mkdir(place, 0700) < 0 && errno != EEXIST ? err_set(e, errno, "mkdir %s", place) : 0;
    cleanup_close int fd = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? err_set(e, errno, "create %s", place) : 0;
}

static int put_tree(struct error *e, int tree, const char *place)
{
    if (make_place(e, tree, place) < 0)
        return -1;
    if (move_mount(tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, errno, "mount at %s", place);
    return 0;
}

static int mount_root(struct error *e, const struct container *c)
{
    cleanup_free char *place = foreign_place(c, FOREIGN_ROOT);
    if (c->overlay == NULL)
        return 0;
    if (mkdir(place, 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "mkdir %s", place);
    return overlay_mount(e, c->overlay, place);
}

static int mount_binds(struct error *e, const struct container *c)
{
    json_object *mounts = json_at(c->config, "mounts");
    size_t count = json_count(mounts, "");
    for (size_t i = 0; i < count; i++) {
        struct mount_options o;
        json_object *entry = json_entry(mounts, i);
        if (!foreign_mounts_source(c, entry))
            continue;
        cleanup_free char *name = text_format(FOREIGN_BIND "%zu", i);
        cleanup_free char *place = foreign_place(c, name);
        if (mount_options_parse(e, entry, &o) < 0)
            return -1;
        cleanup_close int tree = mount_source(e, c, entry, &o);
        if (tree < 0 || put_tree(e, tree, place) < 0)
            return -1;
    }
    return 0;
}

static int cover_public(struct error *e)
{
    if (mount("tmpfs", PUBLIC_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
        return err_set(e, errno, "mount a tmpfs at %s", PUBLIC_DIR);
    return 0;
}

/* Everything is opened before the public directory is covered: it may be a source. */
static int mount_for_users(struct error *e, struct container *c)
{
    if (users_prepare(e, c) < 0 || cover_public(e) < 0)
        return -1;
    cleanup_free char *root = foreign_place(c, FOREIGN_ROOT);
    if (put_tree(e, c->sources->root, root) < 0)
        return -1;
    for (size_t i = 0; i < c->sources->count; i++) {
        cleanup_free char *name = text_format(FOREIGN_BIND "%zu", i);
        cleanup_free char *place = foreign_place(c, name);
        if (c->sources->binds[i] >= 0 && put_tree(e, c->sources->binds[i], place) < 0)
            return -1;
    }
    return 0;
}

int foreign_mount(struct error *e, const struct container *c)
{
    struct container inside = *c;
    if (enter_own_mounts(e, c) < 0)
        return -1;
    if (has_users(c))
        return mount_for_users(e, &inside);
    return mount_root(e, c) < 0 ? -1 : mount_binds(e, c);
}

int foreign_stand_in(struct error *e, const struct container *c)
{
    cleanup_free char *place = foreign_place(c, FOREIGN_ROOT);
    if (!has_users(c))
        return 0;
    if (enter_own_mounts(e, c) < 0 || cover_public(e) < 0)
        return -1;
    return mkdir(place, 0755) < 0 ? err_set(e, errno, "mkdir %s", place) : 0;
}

void foreign_unmount(const struct container *c)
{
    cleanup_dir DIR *handle = opendir(c->dir);
    struct dirent *entry;
    while (handle != NULL && (entry = readdir(handle)) != NULL) {
        bool is_place = strcmp(entry->d_name, FOREIGN_ROOT) == 0 ||
                        strncmp(entry->d_name, FOREIGN_BIND, strlen(FOREIGN_BIND)) == 0;
        cleanup_free char *path = text_format("%s/%s", c->dir, entry->d_name);
        if (is_place)
            (void)umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
}
