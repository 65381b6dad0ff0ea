#include "update.h"

#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER, BYTES, WORDS };

static const struct {
    const char *flag, *part, *key;
    int kind;
} rows[] = {
    {"--blkio-weight", "blockIO", "weight", NUMBER},
    {"--cpu-period", "cpu", "period", NUMBER},
    {"--cpu-quota", "cpu", "quota", NUMBER},
    {"--cpu-burst", "cpu", "burst", NUMBER},
    {"--cpu-share", "cpu", "shares", NUMBER},
    {"--cpu-rt-period", "cpu", "realtimePeriod", NUMBER},
    {"--cpu-rt-runtime", "cpu", "realtimeRuntime", NUMBER},
    {"--cpu-idle", "cpu", "idle", NUMBER},
    {"--cpuset-cpus", "cpu", "cpus", WORDS},
    {"--cpuset-mems", "cpu", "mems", WORDS},
    {"--memory", "memory", "limit", BYTES},
    {"--memory-reservation", "memory", "reservation", BYTES},
    {"--memory-swap", "memory", "swap", BYTES},
    {"--pids-limit", "pids", "limit", NUMBER},
};

/* "-1", "1024" and for bytes "64m". */
static int parse(struct error *e, const char *flag, const char *text, int kind, int64_t *number)
{
    static const char units[] = "bkmgt";
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    bool fits = errno == 0;
    const char *unit =
        kind == BYTES && *end != '\0' ? strchr(units, tolower((unsigned char)*end)) : NULL;
    if (unit != NULL) {
        fits &= !__builtin_mul_overflow(*number, (int64_t)1 << (10 * (unit - units)), number);
        end++;
    }
    if (end == text || *end != '\0' || !fits)
        return err_set(e, 0, "%s \"%s\" is no number", flag, text);
    return 0;
}

static void put(json_object *resources, const char *part, const char *key, json_object *value)
{
    json_object *object = NULL;
    if (!json_object_object_get_ex(resources, part, &object)) {
        object = json_object_new_object();
        json_object_object_add(resources, part, object);
    }
    json_object_object_add(object, key, value);
}

int update_option(struct error *e, json_object *const *resources, char **argv, int *at)
{
    const char *arg = argv[*at];
    size_t size = strcspn(arg, "=");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t number;
        if (strlen(rows[i].flag) != size || strncmp(rows[i].flag, arg, size) != 0)
            continue;
        const char *value = arg[size] == '=' ? arg + size + 1 : argv[++*at];
        if (value == NULL)
            return err_set(e, 0, "option %s needs a value", arg);
        ++*at;
        if (rows[i].kind == WORDS) {
            put(*resources, rows[i].part, rows[i].key, json_object_new_string(value));
            return 1;
        }
        if (parse(e, rows[i].flag, value, rows[i].kind, &number) < 0)
            return -1;
        put(*resources, rows[i].part, rows[i].key, json_object_new_int64(number));
        return 1;
    }
    return 0;
}
