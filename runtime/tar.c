#include "tar.h"

#include "clean.h"
#include "io.h"
#include "tar-pax.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define BUFFER_SIZE ((size_t)256 << 10)

/* A ustar header; GNU's differs only behind `minor`. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], modified[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], end[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK_SIZE, "a tar header is one block");

int tar_open(struct error *e, struct tar *tar, int fd, const char *rest, size_t rest_size)
{
    *tar = (struct tar){.fd = fd, .buffer = malloc(BUFFER_SIZE + rest_size), .end = rest_size};
    if (tar->buffer == NULL)
        return err_set(e, ENOMEM, "read archive");
    memcpy(tar->buffer, rest, rest_size);
    return 0;
}

void tar_close(struct tar *tar)
{
    free(tar->buffer);
    tar->buffer = NULL;
}

/* Makes at least one byte available; 0 at the end of the stream. */
static ssize_t fill(struct error *e, struct tar *tar)
{
    if (tar->begin < tar->end)
        return (ssize_t)(tar->end - tar->begin);
    ssize_t got;
    do
        got = read(tar->fd, tar->buffer, BUFFER_SIZE);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_set(e, errno, "read archive");
    tar->begin = 0;
    tar->end = (size_t)got;
    return got;
}

/* Copies exactly size bytes, or skips them when out is NULL. */
static int take(struct error *e, struct tar *tar, void *out, unsigned long long size)
{
    char *next = out;
    while (size > 0) {
        ssize_t there = fill(e, tar);
        if (there < 0)
            return -1;
        if (there == 0)
            return err_set(e, 0, "archive ends in the middle of an entry");
        size_t part = (unsigned long long)there < size ? (size_t)there : (size_t)size;
        if (next != NULL) {
            memcpy(next, tar->buffer + tar->begin, part);
            next += part;
        }
        tar->begin += part;
        size -= part;
    }
    return 0;
}

/* Octal text, or GNU's base 256 when the first bit is set. */
static long long number(const char *field, size_t size)
{
    unsigned long long value = 0;
    if ((field[0] & 0x80) != 0) {
        value = (field[0] & 0x40) != 0 ? UINT64_MAX << 6 : 0;
        value |= field[0] & 0x3f;
        for (size_t i = 1; i < size; i++)
            value = value << 8 | (unsigned char)field[i];
        return (long long)value;
    }
    for (size_t i = 0; i < size; i++) {
        if (field[i] >= '0' && field[i] <= '7')
            value = value * 8 + (unsigned long long)(field[i] - '0');
        else if (value != 0 || field[i] == '\0')
            break;
    }
    return (long long)value;
}

static bool sum_is_right(const struct header *h)
{
    const unsigned char *bytes = (const unsigned char *)h;
    long long sum = 0;
    for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
        sum += i >= offsetof(struct header, sum) && i < offsetof(struct header, sum) + 8 ? ' '
                                                                                         : bytes[i];
    return sum == number(h->sum, sizeof h->sum);
}

static char *field_text(const char *field, size_t size)
{
    return text_format("%.*s", (int)strnlen(field, size), field);
}

void tar_entry_free(struct tar_entry *entry)
{
    free(entry->name);
    free(entry->link);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        free(entry->xattrs[i].name);
        free(entry->xattrs[i].value);
    }
    *entry = (struct tar_entry){0};
}

static unsigned long long padded(unsigned long long size)
{
    return (size + TAR_BLOCK_SIZE - 1) / TAR_BLOCK_SIZE * TAR_BLOCK_SIZE;
}

/* A header whose data describes the next entry: 'x' pax, 'L' and 'K' GNU's long name and link. */
static int take_extension(struct error *e, struct tar *tar, const struct header *h,
                          struct extended *x)
{
    unsigned long long size = (unsigned long long)number(h->size, sizeof h->size);
    if (size > TAR_TEXT_MAX)
        return err_set(e, 0, "extended header of %llu bytes in archive", size);
    cleanup_free char *text = calloc(1, (size_t)size + 1);
    if (text == NULL)
        return err_set(e, ENOMEM, "read archive");
    if (take(e, tar, text, size) < 0 || take(e, tar, NULL, padded(size) - size) < 0)
        return -1;
    if (h->type == 'x')
        return pax_parse(e, x, text, (size_t)size);
    pax_replace(h->type == 'L' ? &x->entry.name : &x->entry.link, field_text(text, (size_t)size));
    return 0;
}

static char *header_name(const struct header *h)
{
    bool has_prefix = memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0] != '\0';
    if (!has_prefix)
        return field_text(h->name, sizeof h->name);
    return text_format("%.*s/%.*s", (int)strnlen(h->prefix, sizeof h->prefix), h->prefix,
                       (int)strnlen(h->name, sizeof h->name), h->name);
}

/* The header's fields, where extended headers said nothing. */
static void take_header(const struct header *h, struct extended *x, struct tar_entry *entry)
{
    *entry = x->entry;
    entry->type = h->type == '\0' || h->type == '7' ? '0' : h->type;
    if (entry->name == NULL)
        entry->name = header_name(h);
    if (entry->link == NULL)
        entry->link = field_text(h->link, sizeof h->link);
    entry->mode = (mode_t)number(h->mode, sizeof h->mode) & 07777;
    if (!x->has_uid)
        entry->uid = (uid_t)number(h->uid, sizeof h->uid);
    if (!x->has_gid)
        entry->gid = (gid_t)number(h->gid, sizeof h->gid);
    if (!x->has_size)
        entry->size = (unsigned long long)number(h->size, sizeof h->size);
    if (!x->has_modified)
        entry->modified.tv_sec = number(h->modified, sizeof h->modified);
    entry->major = (unsigned int)number(h->major, sizeof h->major);
    entry->minor = (unsigned int)number(h->minor, sizeof h->minor);
    size_t length = strlen(entry->name);
    if (entry->type == '0' && length > 0 && entry->name[length - 1] == '/')
        entry->type = '5'; /* How archives before ustar mark directories. */
}

/* 1 = a header, 0 = the end. */
static int read_header(struct error *e, struct tar *tar, struct header *h)
{
    static const struct header zero;
    ssize_t there = fill(e, tar);
    if (there <= 0)
        return (int)there;
    if (take(e, tar, h, sizeof *h) < 0)
        return -1;
    if (memcmp(h, &zero, sizeof zero) == 0) {
        /* The rest is padding; read, so that the sender is not cut off. */
        while ((there = fill(e, tar)) > 0)
            tar->begin = tar->end;
        return (int)there;
    }
    return sum_is_right(h) ? 1 : err_set(e, 0, "damaged archive: wrong header checksum");
}

int tar_next(struct error *e, struct tar *tar, struct tar_entry *entry)
{
    struct extended x = {0};
    struct header h = {0};
    int result = take(e, tar, NULL, tar->left);
    tar->left = 0;
    while (result == 0 && (result = read_header(e, tar, &h)) == 1) {
        if (h.type == 'x' || h.type == 'L' || h.type == 'K') {
            result = take_extension(e, tar, &h, &x);
        } else if (h.type == 'g') {
            unsigned long long size = (unsigned long long)number(h.size, sizeof h.size);
            result = take(e, tar, NULL, padded(size));
        } else {
            take_header(&h, &x, entry);
            if (strchr("0123456", entry->type) == NULL) {
                err_set(e, 0, "%s: entries of type '%c' are not supported", entry->name, h.type);
                tar_entry_free(entry);
                return -1;
            }
            if (entry->type != '0')
                entry->size = 0;
            tar->left = padded(entry->size);
            return 1;
        }
    }
    tar_entry_free(&x.entry);
    return result;
}

ssize_t tar_data(struct error *e, struct tar *tar, unsigned long long size, const char **data)
{
    ssize_t there = fill(e, tar);
    if (there == 0)
        return err_set(e, 0, "archive ends in the middle of a file");
    if (there < 0)
        return -1;
    size_t part = (unsigned long long)there < size ? (size_t)there : (size_t)size;
    *data = tar->buffer + tar->begin;
    tar->begin += part;
    tar->left -= part;
    return (ssize_t)part;
}
