/* The table of mount options. */
#include "mounts.h"

#include "json.h"

#include <string.h>
#include <sys/mount.h>

/* The R kinds also hold for what is mounted below. ATIME: one of several that exclude another. */
enum kind { SET, CLEAR, ATIME, RSET, RCLEAR, RATIME, PROPAGATION, BIND, RBIND, COPY_UP, IDS, RIDS };

static const struct {
    const char *name;
    enum kind kind;
    unsigned long flag;
    unsigned long attribute;
} table[] = {
    {"defaults", CLEAR, 0, 0},
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
    {"atime", ATIME, 0, MOUNT_ATTR_RELATIME},
    {"noatime", ATIME, MS_NOATIME, MOUNT_ATTR_NOATIME},
    {"relatime", ATIME, MS_RELATIME, MOUNT_ATTR_RELATIME},
    {"norelatime", ATIME, 0, MOUNT_ATTR_RELATIME},
    {"strictatime", ATIME, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", ATIME, 0, MOUNT_ATTR_RELATIME},
    {"nodiratime", SET, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    {"diratime", CLEAR, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", SET, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    {"symfollow", CLEAR, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    {"sync", SET, MS_SYNCHRONOUS, 0},
    {"async", CLEAR, MS_SYNCHRONOUS, 0},
    {"dirsync", SET, MS_DIRSYNC, 0},
    {"lazytime", SET, MS_LAZYTIME, 0},
    {"nolazytime", CLEAR, MS_LAZYTIME, 0},
    {"iversion", SET, MS_I_VERSION, 0},
    {"noiversion", CLEAR, MS_I_VERSION, 0},
    {"silent", SET, MS_SILENT, 0},
    {"loud", CLEAR, MS_SILENT, 0},
    /* The kernel has no mandatory locks any more. */
    {"mand", CLEAR, 0, 0},
    {"nomand", CLEAR, 0, 0},
    {"private", PROPAGATION, MS_PRIVATE, 0},
    {"rprivate", PROPAGATION, MS_PRIVATE | MS_REC, 0},
    {"slave", PROPAGATION, MS_SLAVE, 0},
    {"rslave", PROPAGATION, MS_SLAVE | MS_REC, 0},
    {"shared", PROPAGATION, MS_SHARED, 0},
    {"rshared", PROPAGATION, MS_SHARED | MS_REC, 0},
    {"unbindable", PROPAGATION, MS_UNBINDABLE, 0},
    {"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC, 0},
    {"rro", RSET, 0, MOUNT_ATTR_RDONLY},
    {"rrw", RCLEAR, 0, MOUNT_ATTR_RDONLY},
    {"rnosuid", RSET, 0, MOUNT_ATTR_NOSUID},
    {"rsuid", RCLEAR, 0, MOUNT_ATTR_NOSUID},
    {"rnodev", RSET, 0, MOUNT_ATTR_NODEV},
    {"rdev", RCLEAR, 0, MOUNT_ATTR_NODEV},
    {"rnoexec", RSET, 0, MOUNT_ATTR_NOEXEC},
    {"rexec", RCLEAR, 0, MOUNT_ATTR_NOEXEC},
    {"ratime", RATIME, 0, MOUNT_ATTR_RELATIME},
    {"rnoatime", RATIME, 0, MOUNT_ATTR_NOATIME},
    {"rrelatime", RATIME, 0, MOUNT_ATTR_RELATIME},
    {"rnorelatime", RATIME, 0, MOUNT_ATTR_RELATIME},
    {"rstrictatime", RATIME, 0, MOUNT_ATTR_STRICTATIME},
    {"rnostrictatime", RATIME, 0, MOUNT_ATTR_RELATIME},
    {"rnodiratime", RSET, 0, MOUNT_ATTR_NODIRATIME},
    {"rdiratime", RCLEAR, 0, MOUNT_ATTR_NODIRATIME},
    {"rnosymfollow", RSET, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"rsymfollow", RCLEAR, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"idmap", IDS, 0, 0},
    {"ridmap", RIDS, 0, 0},
    {"tmpcopyup", COPY_UP, 0, 0},
};

const char *mount_option_name(size_t index)
{
    return index < sizeof table / sizeof *table ? table[index].name : NULL;
}

static void set_attribute(struct mount_attributes *a, enum kind kind, unsigned long attribute)
{
    if (kind == ATIME || kind == RATIME) {
        a->set = (a->set & ~(unsigned long)MOUNT_ATTR__ATIME) | attribute;
        a->cleared |= MOUNT_ATTR__ATIME;
    } else if (kind == SET || kind == RSET) {
        a->set |= attribute;
        a->cleared &= ~attribute;
    } else {
        a->set &= ~attribute;
        a->cleared |= attribute;
    }
}

static void apply(struct mount_options *o, size_t row)
{
    enum kind kind = table[row].kind;
    switch (kind) {
    case SET:
    case ATIME:
        if (kind == ATIME)
            o->flags &= ~(unsigned long)(MS_NOATIME | MS_RELATIME | MS_STRICTATIME);
        o->flags |= table[row].flag;
        set_attribute(&o->own, kind, table[row].attribute);
        break;
    case CLEAR:
        o->flags &= ~table[row].flag;
        set_attribute(&o->own, kind, table[row].attribute);
        break;
    case RSET:
    case RCLEAR:
    case RATIME:
        set_attribute(&o->recursive, kind, table[row].attribute);
        break;
    case PROPAGATION:
        o->propagation = table[row].flag;
        break;
    case BIND:
    case RBIND:
        o->is_bind = true;
        o->is_recursive = o->is_recursive || kind == RBIND;
        break;
    case IDS:
    case RIDS:
        o->maps_ids = true;
        o->maps_ids_below = kind == RIDS;
        break;
    case COPY_UP:
        o->copies_up = true;
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
    *o = (struct mount_options){.is_bind = strcmp(json_text(mount, "type", ""), "bind") == 0,
                                .maps_ids = json_count(mount, "uidMappings") > 0 ||
                                            json_count(mount, "gidMappings") > 0};
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
    if (o->maps_ids && !o->is_bind)
        return err_set(e, 0, "mount %s: ids can be mapped for bind mounts only",
                       json_text(mount, "destination", ""));
    return 0;
}
