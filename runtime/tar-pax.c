/* pax extended headers: records "<length> <key>=<value>\n" about the entry that follows. */
#include "tar-pax.h"

#include "clean.h"
#include "io.h"

#include <errno.h>
#include <string.h>

void pax_replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

static struct timespec pax_time(const char *value)
{
    char *end;
    struct timespec time = {.tv_sec = strtoll(value, &end, 10)};
    long digit = 100000000;
    for (const char *c = *end == '.' ? end + 1 : ""; *c >= '0' && *c <= '9' && digit > 0; c++) {
        time.tv_nsec += (*c - '0') * digit;
        digit /= 10;
    }
    return time;
}

static int pax_xattr(struct error *e, struct tar_entry *entry, const char *name, const char *value,
                     size_t size)
{
    if (entry->xattr_count == TAR_XATTRS_MAX)
        return err_set(e, 0, "more than %d extended attributes", TAR_XATTRS_MAX);
    struct tar_xattr *xattr = &entry->xattrs[entry->xattr_count++];
    *xattr = (struct tar_xattr){
        .name = text_format("%s", name), .value = malloc(size + 1), .size = size};
    if (xattr->value == NULL)
        return err_set(e, ENOMEM, "read archive");
    memcpy(xattr->value, value, size);
    return 0;
}

static int pax_record(struct error *e, struct extended *x, const char *key, const char *value,
                      size_t size)
{
    static const char xattr[] = "SCHILY.xattr.";
    struct tar_entry *entry = &x->entry;
    if (strcmp(key, "path") == 0) {
        pax_replace(&entry->name, text_slice(value, size));
    } else if (strcmp(key, "linkpath") == 0) {
        pax_replace(&entry->link, text_slice(value, size));
    } else if (strcmp(key, "size") == 0) {
        entry->size = strtoull(value, NULL, 10);
        x->has_size = true;
    } else if (strcmp(key, "uid") == 0) {
        entry->uid = (uid_t)strtoul(value, NULL, 10);
        x->has_uid = true;
    } else if (strcmp(key, "gid") == 0) {
        entry->gid = (gid_t)strtoul(value, NULL, 10);
        x->has_gid = true;
    } else if (strcmp(key, "mtime") == 0) {
        entry->modified = pax_time(value);
        x->has_modified = true;
    } else if (strncmp(key, xattr, sizeof xattr - 1) == 0) {
        return pax_xattr(e, entry, key + sizeof xattr - 1, value, size);
    } else if (strncmp(key, "GNU.sparse.", 11) == 0) {
        return err_set(e, 0, "sparse files in archives are not supported");
    }
    return 0;
}

/* Records "<length> <key>=<value>\n". */
int pax_parse(struct error *e, struct extended *x, char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        char *end;
        size_t length = strtoul(text + at, &end, 10);
        char *stop = length > size - at ? NULL : text + at + length;
        if (*end != ' ' || stop == NULL || stop <= end + 1 || stop[-1] != '\n')
            return err_set(e, 0, "damaged extended header in archive");
        char *key = end + 1, *equals = memchr(key, '=', (size_t)(stop - key));
        if (equals == NULL)
            return err_set(e, 0, "damaged extended header in archive");
        *equals = stop[-1] = '\0';
        if (pax_record(e, x, key, equals + 1, (size_t)(stop - 1 - (equals + 1))) < 0)
            return -1;
        at += length;
    }
    return 0;
}
