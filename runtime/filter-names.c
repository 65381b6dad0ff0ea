#include "filter-names.h"

#include "filter.h"
#include "json.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#define ARGS_MAX 6

const char *const filter_actions[] = {
    "SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",        "SCMP_ACT_TRAP",        NULL};
/* With the flags of the kernel beside it. */
const char *const filter_flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                    "SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL};
static const uint32_t flag_values[] = {SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_LOG,
                                       SECCOMP_FILTER_FLAG_SPEC_ALLOW};
const char *const filter_operators[] = {"SCMP_CMP_NE",        "SCMP_CMP_LT", "SCMP_CMP_LE",
                                        "SCMP_CMP_EQ",        "SCMP_CMP_GE", "SCMP_CMP_GT",
                                        "SCMP_CMP_MASKED_EQ", NULL};
static const enum scmp_compare compare_values[] = {SCMP_CMP_NE,       SCMP_CMP_LT, SCMP_CMP_LE,
                                                   SCMP_CMP_EQ,       SCMP_CMP_GE, SCMP_CMP_GT,
                                                   SCMP_CMP_MASKED_EQ};
const struct filter_name filter_architectures[] = {{"SCMP_ARCH_X86", SCMP_ARCH_X86},
                                                   {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
                                                   {"SCMP_ARCH_X32", SCMP_ARCH_X32},
                                                   {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
                                                   {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
                                                   {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
                                                   {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
                                                   {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
                                                   {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
                                                   {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
                                                   {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
                                                   {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
                                                   {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
                                                   {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
                                                   {"SCMP_ARCH_S390", SCMP_ARCH_S390},
                                                   {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
                                                   {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
                                                   {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
                                                   {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
                                                   {NULL, 0}};

const char *filter_architecture(size_t index)
{
    return filter_architectures[index].name;
}

const struct filter_name *filter_find(const struct filter_name *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

static int index_of(const char *const *names, const char *name)
{
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int filter_action(struct error *e, const char *name, int64_t code, uint32_t *action)
{
    const struct filter_name values[] = {{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
                                         {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO((uint32_t)code)},
                                         {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
                                         {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
                                         {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
                                         {"SCMP_ACT_LOG", SCMP_ACT_LOG},
                                         {"SCMP_ACT_TRACE", SCMP_ACT_TRACE((uint32_t)code)},
                                         {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
                                         {NULL, 0}};
    const struct filter_name *found = filter_find(values, name);
    if (strcmp(name, "SCMP_ACT_NOTIFY") == 0)
        return err_set(e, 0, "seccomp: SCMP_ACT_NOTIFY is not supported");
    if (found == NULL)
        return err_set(e, 0, "seccomp: unknown action \"%s\"", name);
    if (code < 0 || code > SECCOMP_RET_DATA)
        return err_set(e, 0, "seccomp: errnoRet %lld must be 0 to %d", (long long)code,
                       SECCOMP_RET_DATA);
    *action = found->value;
    return 0;
}

enum scmp_compare filter_compare(const char *operator)
{
    return compare_values[index_of(filter_operators, operator)];
}

uint32_t filter_flag(const char *name)
{
    return flag_values[index_of(filter_flags, name)];
}

static int check_rule(struct error *e, json_object *rule)
{
    uint32_t action;
    json_object *args = json_at(rule, "args");
    size_t count = json_count(args, "");
    if (filter_action(e, json_text(rule, "action", ""), json_number(rule, "errnoRet", EPERM),
                      &action) < 0)
        return -1;
    if (json_count(rule, "names") == 0)
        return err_set(e, 0, "seccomp: a rule has no names");
    for (size_t i = 0; i < count; i++) {
        json_object *arg = json_entry(args, i);
        int64_t index = json_number(arg, "index", 0);
        if (index < 0 || index >= ARGS_MAX)
            return err_set(e, 0, "seccomp: args.index %lld must be 0 to %d", (long long)index,
                           ARGS_MAX - 1);
        if (index_of(filter_operators, json_text(arg, "op", "")) < 0)
            return err_set(e, 0, "seccomp: unknown operator \"%s\"", json_text(arg, "op", ""));
    }
    return 0;
}

int filter_check(struct error *e, json_object *profile)
{
    uint32_t action;
    json_object *flags = json_at(profile, "flags"), *list = json_at(profile, "architectures");
    json_object *rules = json_at(profile, "syscalls");
    size_t flag_count = json_count(flags, ""), count = json_count(list, "");
    if (profile == NULL)
        return 0;
    if (*json_text(profile, "listenerPath", "") != '\0')
        return err_set(e, 0, "seccomp: listenerPath is not supported");
    if (filter_action(e, json_text(profile, "defaultAction", ""),
                      json_number(profile, "defaultErrnoRet", EPERM), &action) < 0)
        return err_wrap(e, "defaultAction");
    for (size_t i = 0; i < flag_count; i++)
        if (index_of(filter_flags, json_entry_text(flags, i)) < 0)
            return err_set(e, 0, "seccomp: flag \"%s\" is not supported",
                           json_entry_text(flags, i));
    if (count > FILTER_ARCHITECTURES_MAX - 1)
        return err_set(e, 0, "seccomp: more than %d architectures", FILTER_ARCHITECTURES_MAX - 1);
    for (size_t i = 0; i < count; i++)
        if (filter_find(filter_architectures, json_entry_text(list, i)) == NULL)
            return err_set(e, 0, "seccomp: unknown architecture \"%s\"", json_entry_text(list, i));
    count = json_count(rules, "");
    for (size_t i = 0; i < count; i++)
        if (check_rule(e, json_entry(rules, i)) < 0)
            return -1;
    return 0;
}
