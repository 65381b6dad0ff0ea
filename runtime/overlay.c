/* The root file system as an overlay of image layers. */
#include "mounts.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for "<key>/proc/self/fd/<n>" of each layer in the one page that mount(2) takes. */
#define DATA_SIZE 4096

/* Layers that are named by an fd: short, so that many fit into one page, and free of ':' and ','.
 */
struct layers {
    int *fds;
    size_t count;
    char data[DATA_SIZE];
};

static int add_layer(struct error *e, struct layers *layers, const char *key, const char *path)
{
    char *data = layers->data;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open layer %s", path);
    layers->fds[layers->count++] = fd;
    size_t used = strlen(data);
    int more = snprintf(data + used, DATA_SIZE - used, "%s/proc/self/fd/%d", key, fd);
    if (more < 0 || (size_t)more >= DATA_SIZE - used)
        return err_set(e, 0, "too many layers");
    return 0;
}

/* All of the root has one label, as its layers are those of other containers, too. */
static int add_label(struct error *e, struct layers *layers, const char *label)
{
    size_t used = strlen(layers->data);
    if (*label == '\0')
        return 0;
    int more = snprintf(layers->data + used, DATA_SIZE - used, ",context=\"%s\"", label);
    return more < 0 || (size_t)more >= DATA_SIZE - used ? err_set(e, 0, "too many layers") : 0;
}

static int open_layers(struct error *e, struct layers *layers, json_object *overlay,
                       json_object *lower)
{
    size_t count = json_count(lower, "");
    for (size_t i = 0; i < count; i++)
        if (add_layer(e, layers, i == 0 ? "lowerdir=" : ":", json_entry_text(lower, i)) < 0)
            return -1;
    return add_layer(e, layers, ",upperdir=", json_text(overlay, "upper", "")) < 0 ||
                   add_layer(e, layers, ",workdir=", json_text(overlay, "work", "")) < 0
               ? -1
               : add_label(e, layers, json_text(overlay, OVERLAY_LABEL, ""));
}

/* lower: instead of the overlay's own. */
static int mount_layers(struct error *e, json_object *overlay, json_object *lower,
                        const char *target)
{
    size_t count = json_count(lower, "");
    if (count == 0)
        return err_set(e, 0, "overlay without lower directories");
    struct layers layers = {.fds = calloc(count + 2, sizeof *layers.fds)};
    if (layers.fds == NULL)
        return err_set(e, ENOMEM, "mount overlay");
    int result = open_layers(e, &layers, overlay, lower);
    if (result == 0 && mount("overlay", target, "overlay", 0, layers.data) < 0)
        result = err_set(e, errno, "mount overlay at %s (%s)", target, layers.data);
    for (size_t i = 0; i < layers.count; i++)
        close(layers.fds[i]);
    free(layers.fds);
    return result;
}

static int configure(struct error *e, int context, const char *key, const char *value)
{
    if (fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0)
        return err_set(e, errno, "overlay option %s=%s", key, value);
    return 0;
}

/* data is "key=value,key=value". */
static int make_detached(struct error *e, char *data)
{
    cleanup_close int context = fsopen("overlay", FSOPEN_CLOEXEC);
    if (context < 0)
        return err_set(e, errno, "open overlay");
    if (configure(e, context, "source", "overlay") < 0)
        return -1;
    for (char *rest = data, *option; (option = strsep(&rest, ",")) != NULL;) {
        char *key = strsep(&option, "=");
        if (configure(e, context, key, option) < 0)
            return -1;
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set(e, errno, "make overlay");
    int fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
    return fd < 0 ? err_set(e, errno, "make mount of overlay") : fd;
}

int overlay_detached(struct error *e, json_object *overlay)
{
    json_object *lower = json_at(overlay, "lower");
    int fds[OVERLAY_DETACHED_MAX + 2];
    struct layers layers = {.fds = fds};
    size_t count = json_count(lower, "");
    if (count == 0 || count > OVERLAY_DETACHED_MAX)
        return err_set(e, 0, "overlay with %zu lower directories", count);
    int tree = open_layers(e, &layers, overlay, lower) < 0 ? -1 : make_detached(e, layers.data);
    for (size_t i = 0; i < layers.count; i++)
        close(fds[i]);
    return tree;
}

int overlay_mount_layers(struct error *e, json_object *lower, const char *target)
{
    const unsigned long flags = MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV;
    size_t count = json_count(lower, "");
    struct layers layers = {.fds = calloc(count + 1, sizeof *layers.fds)};
    int result = layers.fds == NULL ? err_set(e, ENOMEM, "mount layers") : 0;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = add_layer(e, &layers, i == 0 ? "lowerdir=" : ":", json_entry_text(lower, i));
    /* Without an upper directory overlayfs wants two lower ones; this one is empty. */
    if (result == 0)
        result = add_layer(e, &layers, count == 0 ? "lowerdir=" : ":", target);
    if (result == 0 && mount("overlay", target, "overlay", flags, layers.data) < 0)
        result = err_set(e, errno, "mount layers at %s (%s)", target, layers.data);
    for (size_t i = 0; i < layers.count; i++)
        close(layers.fds[i]);
    free(layers.fds);
    return result;
}

int overlay_mount(struct error *e, json_object *overlay, const char *target)
{
    return mount_layers(e, overlay, json_at(overlay, "lower"), target);
}

static int map_layer(struct error *e, const char *layer, const char *place, int userns)
{
    cleanup_close int tree = open_tree(AT_FDCWD, layer, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        return err_set(e, errno, "open layer %s", layer);
    if (mount_map_ids(e, tree, userns, false, layer) < 0)
        return -1;
    if (mkdir(place, 0700) < 0 ||
        move_mount(tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, errno, "mount layer %s", layer);
    return 0;
}

/* In a mount namespace of its own, so that the mapped layers, which overlayfs wants to find
 * mounted, are seen by nobody. */
static int mount_mapped(struct error *e, json_object *overlay, const char *target, int userns)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        mount("layers", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700") < 0)
        return err_set(e, errno, "prepare layers at %s", target);
    json_object *lower = json_at(overlay, "lower");
    cleanup_json json_object *mapped = json_object_new_array();
    size_t count = json_count(lower, "");
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *place = text_format("%s/%zu", target, i);
        if (map_layer(e, json_entry_text(lower, i), place, userns) < 0)
            return -1;
        json_object_array_add(mapped, json_object_new_string(place));
    }
    cleanup_free char *merged = text_format("%s/merged", target);
    if (mkdir(merged, 0700) < 0)
        return err_set(e, errno, "mkdir %s", merged);
    if (mount_layers(e, overlay, mapped, merged) < 0)
        return -1;
    int tree = open_tree(AT_FDCWD, merged, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return tree < 0 ? err_set(e, errno, "open %s", merged) : tree;
}

int overlay_tree(struct error *e, json_object *overlay, const char *target, int userns)
{
    cleanup_close int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    cleanup_close int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (own < 0 || cwd < 0)
        return err_set(e, errno, "open own mount namespace");
    cleanup_close int tree = mount_mapped(e, overlay, target, userns);
    if (setns(own, CLONE_NEWNS) < 0 || fchdir(cwd) < 0)
        return err_set(e, errno, "return to own mount namespace");
    return steal_fd(&tree);
}
