/* The table of mount options. */
#include "mounts.h"

#include "json.h"

#include <string.h>
#include <sys/mount.h>

enum kind { SET, CLEAR, PROPAGATION, RECURSIVE, BIND, RBIND, COPY_UP, NOTHING };

static const struct {
    const char *name;
    enum kind kind;
    unsigned long flag;
    unsigned long attribute;
} table[] = {
    {"defaults", NOTHING, 0, 0},
    {"bind", BIND, MS_BIND, 0},
    {"rbind", RBIND, MS_BIND | MS_REC, 0},
    {"ro", SET, MS_RDONLY, MOUNT_ATTR_RDONLY},
    {"rw", CLEAR, MS_RDONLY, MOUNT_ATTR_RDONLY},
    {"nosuid", SET, MS_NOSUID, MOUNT_ATTR_NOSUID},
    {"suid", CLEAR, MS_NOSUID, MOUNT_ATTR_NOSUID},
    {"nodev", SET, MS_NODEV, MOUNT_ATTR_NODEV},
    {"dev", CLEAR, MS_NODEV, MOUNT_ATTR_NODEV},
    {"noexec", SET, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    {"exec", CLEAR, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    {"noatime", SET, MS_NOATIME, MOUNT_ATTR_NOATIME},
    {"relatime", SET, MS_RELATIME, 0},
    {"strictatime", SET, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    {"nodiratime", SET, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    {"diratime", CLEAR, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", SET, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", SET, MS_SYNCHRONOUS, 0},
    {"async", CLEAR, MS_SYNCHRONOUS, 0},
    {"dirsync", SET, MS_DIRSYNC, 0},
    {"mand", NOTHING, 0, 0},
    {"nomand", NOTHING, 0, 0},
    {"private", PROPAGATION, MS_PRIVATE, 0},
    {"rprivate", PROPAGATION, MS_PRIVATE | MS_REC, 0},
    {"slave", PROPAGATION, MS_SLAVE, 0},
    {"rslave", PROPAGATION, MS_SLAVE | MS_REC, 0},
    {"shared", PROPAGATION, MS_SHARED, 0},
    {"rshared", PROPAGATION, MS_SHARED | MS_REC, 0},
    {"unbindable", PROPAGATION, MS_UNBINDABLE, 0},
    {"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC, 0},
    {"rro", RECURSIVE, 0, MOUNT_ATTR_RDONLY},
    {"rnosuid", RECURSIVE, 0, MOUNT_ATTR_NOSUID},
    {"rnodev", RECURSIVE, 0, MOUNT_ATTR_NODEV},
    {"rnoexec", RECURSIVE, 0, MOUNT_ATTR_NOEXEC},
    {"tmpcopyup", COPY_UP, 0, 0},
};

const char *mount_option_name(size_t index)
{
    return index < sizeof table / sizeof *table ? table[index].name : NULL;
}

static void apply(struct mount_options *o, size_t row)
{
    switch (table[row].kind) {
    case SET:
        o->flags |= table[row].flag;
        o->attributes |= table[row].attribute;
        break;
    case CLEAR:
        o->flags &= ~table[row].flag;
        o->attributes &= ~table[row].attribute;
        o->attributes_cleared |= table[row].attribute;
        break;
    case PROPAGATION:
        o->propagation = table[row].flag;
        break;
    case RECURSIVE:
        o->attributes_recursive |= table[row].attribute;
        break;
    case BIND:
        o->is_bind = true;
        break;
    case RBIND:
        o->is_bind = o->is_recursive = true;
        break;
    case COPY_UP:
        o->copies_up = true;
        break;
    case NOTHING:
        break;
    }
}

static int add_data(struct error *e, struct mount_options *o, const char *option)
{
    size_t used = strlen(o->data), more = strlen(option) + 1;
    if (used + more + 1 > sizeof o->data)
        return err_set(e, 0, "mount options are longer than %zu bytes", sizeof o->data);
    if (used > 0)
        o->data[used++] = ',';
    memcpy(o->data + used, option, more);
    return 0;
}

int mount_options_parse(struct error *e, json_object *mount, struct mount_options *o)
{
    json_object *list = json_at(mount, "options");
    size_t count = json_count(list, "");
    *o = (struct mount_options){.is_bind = strcmp(json_text(mount, "type", ""), "bind") == 0};
    for (size_t i = 0; i < count; i++) {
        const char *option = json_entry_text(list, i);
        size_t row = 0;
        while (mount_option_name(row) != NULL && strcmp(mount_option_name(row), option) != 0)
            row++;
        if (mount_option_name(row) != NULL)
            apply(o, row);
        else if (add_data(e, o, option) < 0)
            return -1;
    }
    return 0;
}
