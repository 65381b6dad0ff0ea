#include "detached.h"

#include "clean.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

static int configure(struct error *e, int context, const char *option)
{
    char key[32];
    const char *equals = strchr(option, '=');
    size_t size = equals == NULL ? sizeof key : (size_t)(equals - option);
    if (size >= sizeof key)
        return err_set(e, EINVAL, "tmpfs option %s", option);
    memcpy(key, option, size);
    key[size] = '\0';
    if (fsconfig(context, FSCONFIG_SET_STRING, key, equals + 1, 0) < 0)
        return err_set(e, errno, "tmpfs option %s", option);
    return 0;
}

int detached_tmpfs(struct error *e, const char *const *options, unsigned int attributes)
{
    cleanup_close int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (context < 0)
        return err_set(e, errno, "open tmpfs");
    for (size_t i = 0; options[i] != NULL; i++)
        if (configure(e, context, options[i]) < 0)
            return -1;
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set(e, errno, "make tmpfs");
    int fd = fsmount(context, FSMOUNT_CLOEXEC, attributes);
    return fd < 0 ? err_set(e, errno, "make mount of tmpfs") : fd;
}

int detached_copy(struct error *e, int fd, bool is_recursive)
{
    unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    int copy = open_tree(fd, "", flags | (is_recursive ? (unsigned int)AT_RECURSIVE : 0U));
    return copy < 0 ? err_set(e, errno, "copy mount") : copy;
}

int detached_attributes(struct error *e, int fd, uint64_t attributes, bool is_recursive)
{
    struct mount_attr wanted = {.attr_set = attributes};
    unsigned int flags = AT_EMPTY_PATH | (is_recursive ? (unsigned int)AT_RECURSIVE : 0U);
    if (mount_setattr(fd, "", flags, &wanted, sizeof wanted) < 0)
        return err_set(e, errno, "set attributes of mount");
    return 0;
}

int detached_attach(struct error *e, int mount_fd, int target)
{
    if (move_mount(mount_fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_set(e, errno, "put mount in place");
    return 0;
}
