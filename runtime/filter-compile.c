/* From an OCI seccomp profile to the kernel's program, by libseccomp. */
#include "filter.h"

#include "clean.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define ARGS_MAX 6
#define ARCHITECTURES_MAX 24
/* Since this number all architectures number new system calls alike. */
#define UNIFORM_BEGIN 424
/* Numbers of the x32 variant begin here. */
#define X32_BEGIN 0x40000000
#define PROGRAM_SIZE_MAX ((size_t)BPF_MAXINSNS * sizeof(struct sock_filter))
/* libseccomp's level that searches system calls as a binary tree. */
#define OPTIMIZE_TREE 2

struct name {
    const char *name;
    uint32_t value;
};

/* System calls that are newer than the libseccomp of Debian 12. */
static const struct name newer[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {NULL, 0}};

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
static const struct name architectures[] = {{"SCMP_ARCH_X86", SCMP_ARCH_X86},
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

/* What is being made, and what the beginning of the program needs to know of it. */
struct making {
    scmp_filter_ctx context;
    uint32_t default_action;
    uint32_t largest; /* number of a system call that the profile names */
    struct sock_filter newer[sizeof newer / sizeof *newer * 2];
    unsigned int newer_count;
    uint32_t tokens[ARCHITECTURES_MAX];
    unsigned int token_count;
};

const char *filter_architecture(size_t index)
{
    return architectures[index].name;
}

static const struct name *find(const struct name *table, const char *name)
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

static int action_of(struct error *e, const char *name, int64_t code, uint32_t *action)
{
    const struct name values[] = {{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
                                  {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO((uint32_t)code)},
                                  {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
                                  {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
                                  {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
                                  {"SCMP_ACT_LOG", SCMP_ACT_LOG},
                                  {"SCMP_ACT_TRACE", SCMP_ACT_TRACE((uint32_t)code)},
                                  {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
                                  {NULL, 0}};
    const struct name *found = find(values, name);
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

static int check_rule(struct error *e, json_object *rule)
{
    uint32_t action;
    json_object *args = json_at(rule, "args");
    size_t count = json_count(args, "");
    if (action_of(e, json_text(rule, "action", ""), json_number(rule, "errnoRet", EPERM), &action) <
        0)
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
    if (action_of(e, json_text(profile, "defaultAction", ""),
                  json_number(profile, "defaultErrnoRet", EPERM), &action) < 0)
        return err_wrap(e, "defaultAction");
    for (size_t i = 0; i < flag_count; i++)
        if (index_of(filter_flags, json_entry_text(flags, i)) < 0)
            return err_set(e, 0, "seccomp: flag \"%s\" is not supported",
                           json_entry_text(flags, i));
    if (count > ARCHITECTURES_MAX - 1)
        return err_set(e, 0, "seccomp: more than %d architectures", ARCHITECTURES_MAX - 1);
    for (size_t i = 0; i < count; i++)
        if (find(architectures, json_entry_text(list, i)) == NULL)
            return err_set(e, 0, "seccomp: unknown architecture \"%s\"", json_entry_text(list, i));
    count = json_count(rules, "");
    for (size_t i = 0; i < count; i++)
        if (check_rule(e, json_entry(rules, i)) < 0)
            return -1;
    return 0;
}

static int add_architectures(struct error *e, struct making *m, json_object *list)
{
    size_t count = json_count(list, "");
    m->tokens[m->token_count++] = seccomp_arch_native();
    for (size_t i = 0; i < count; i++) {
        const struct name *one = find(architectures, json_entry_text(list, i));
        int result = seccomp_arch_add(m->context, one->value);
        if (result == -EEXIST)
            continue;
        if (result < 0)
            return err_set(e, -result, "seccomp: architecture %s", one->name);
        m->tokens[m->token_count++] = one->value;
    }
    return 0;
}

/* System calls that libseccomp does not know are compared before its program begins. */
static void add_newer(struct making *m, uint32_t number, uint32_t action)
{
    if (m->newer_count + 2 > sizeof m->newer / sizeof *m->newer)
        return;
    m->newer[m->newer_count++] =
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
    m->newer[m->newer_count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

static int add_call(struct error *e, struct making *m, const char *name, uint32_t action,
                    const struct scmp_arg_cmp *args, unsigned int count)
{
    int number = seccomp_syscall_resolve_name(name), result = 0;
    const struct name *unknown = number == __NR_SCMP_ERROR ? find(newer, name) : NULL;
    if (number == __NR_SCMP_ERROR && unknown == NULL)
        return 0;
    uint32_t own = unknown != NULL ? unknown->value : (uint32_t)number;
    if ((unknown != NULL || number > 0) && own > m->largest)
        m->largest = own;
    if (action == m->default_action)
        return 0;
    if (unknown != NULL && count == 0)
        add_newer(m, own, action);
    else if (unknown == NULL)
        result = seccomp_rule_add_array(m->context, action, number, count, args);
    return result < 0 ? err_set(e, -result, "seccomp: rule for %s", name) : 0;
}

/* Conditions on one argument more than once are alternatives, each a rule. */
static int add_rule(struct error *e, struct making *m, json_object *rule)
{
    json_object *args = json_at(rule, "args"), *names = json_at(rule, "names");
    size_t arg_count = json_count(args, ""), count = json_count(names, "");
    struct scmp_arg_cmp *compared = calloc(arg_count + 1, sizeof *compared);
    unsigned int seen = 0;
    bool are_alternatives = false;
    uint32_t action;
    int result = compared == NULL ? err_set(e, ENOMEM, "seccomp")
                                  : action_of(e, json_text(rule, "action", ""),
                                              json_number(rule, "errnoRet", EPERM), &action);
    for (size_t i = 0; result == 0 && i < arg_count; i++) {
        json_object *arg = json_entry(args, i);
        unsigned int index = (unsigned int)json_number(arg, "index", 0);
        compared[i] = (struct scmp_arg_cmp){
            .arg = index,
            .op = compare_values[index_of(filter_operators, json_text(arg, "op", ""))],
            .datum_a = json_object_get_uint64(json_at(arg, "value")),
            .datum_b = json_object_get_uint64(json_at(arg, "valueTwo"))};
        are_alternatives |= (seen & 1U << index) != 0;
        seen |= 1U << index;
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        const char *name = json_entry_text(names, i);
        if (!are_alternatives)
            result = add_call(e, m, name, action, compared, (unsigned int)arg_count);
        for (size_t k = 0; are_alternatives && result == 0 && k < arg_count; k++)
            result = add_call(e, m, name, action, &compared[k], 1);
    }
    free(compared);
    return result;
}

/*
 * A system call that is newer than every one of the profile is answered as by an older kernel: then
 * the C library tries the older one, which the profile knows.
 */
static size_t make_prologue(const struct making *m, struct sock_filter *code)
{
    bool refuses = (m->default_action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
    unsigned int tail = 2 + m->newer_count + (refuses ? 2 : 0);
    uint32_t largest = m->largest < UNIFORM_BEGIN ? UNIFORM_BEGIN - 1 : m->largest;
    size_t size = 0;
    if (m->newer_count == 0 && !refuses)
        return 0;
    code[size++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    for (unsigned int i = 0; i < m->token_count; i++)
        code[size++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, m->tokens[i] & ~(uint32_t)0,
                                         (unsigned char)(m->token_count - i), 0);
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, tail, 0, 0);
    code[size++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BEGIN,
                                                (unsigned char)(tail - 2), 0);
    memcpy(code + size, m->newer, m->newer_count * sizeof *code);
    size += m->newer_count;
    if (refuses) {
        code[size++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, largest, 0, 1);
        code[size++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    return size;
}

static int export(struct error *e, const struct making *m, struct filter *filter)
{
    cleanup_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
    struct sock_filter prologue[ARCHITECTURES_MAX + 4 + sizeof m->newer / sizeof *m->newer + 2];
    size_t first = make_prologue(m, prologue);
    int result = fd < 0 ? -errno : seccomp_export_bpf(m->context, fd);
    if (result < 0)
        return err_set(e, -result, "seccomp: make the filter");
    off_t size = lseek(fd, 0, SEEK_END);
    if (size <= 0 || (size_t)size + first * sizeof *prologue > PROGRAM_SIZE_MAX)
        return err_set(e, 0, "seccomp: the profile is larger than the kernel's %d instructions",
                       BPF_MAXINSNS);
    filter->count = (uint32_t)(first + (size_t)size / sizeof *prologue);
    filter->code = calloc(filter->count, sizeof *filter->code);
    if (filter->code == NULL)
        return err_set(e, ENOMEM, "seccomp");
    memcpy(filter->code, prologue, first * sizeof *prologue);
    if (pread(fd, filter->code + first, (size_t)size, 0) != size)
        return err_set(e, EIO, "seccomp: read the filter");
    return 0;
}

int filter_compile(struct error *e, json_object *profile, struct filter *filter)
{
    struct making m = {0};
    json_object *rules = json_at(profile, "syscalls"), *flags = json_at(profile, "flags");
    size_t count = json_count(rules, ""), flag_count = json_count(flags, "");
    if (action_of(e, json_text(profile, "defaultAction", ""),
                  json_number(profile, "defaultErrnoRet", EPERM), &m.default_action) < 0)
        return -1;
    m.context = seccomp_init(m.default_action);
    if (m.context == NULL)
        return err_set(e, ENOMEM, "seccomp");
    (void)seccomp_attr_set(m.context, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
    int result = add_architectures(e, &m, json_at(profile, "architectures"));
    for (size_t i = 0; result == 0 && i < count; i++)
        result = add_rule(e, &m, json_entry(rules, i));
    if (result == 0)
        result = export(e, &m, filter);
    for (size_t i = 0; i < flag_count; i++)
        filter->flags |= flag_values[index_of(filter_flags, json_entry_text(flags, i))];
    seccomp_release(m.context);
    return result;
}
