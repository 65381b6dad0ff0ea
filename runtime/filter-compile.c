/* From an OCI seccomp profile to the kernel's program, by libseccomp. */
#include "filter.h"

#include "clean.h"
#include "filter-names.h"
#include "io.h"
#include "json.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Since this number all architectures number new system calls alike. */
#define UNIFORM_BEGIN 424
/* Numbers of the x32 variant begin here. */
#define X32_BEGIN 0x40000000
#define PROGRAM_SIZE_MAX ((size_t)BPF_MAXINSNS * sizeof(struct sock_filter))
/* libseccomp's level that searches system calls as a binary tree. */
#define OPTIMIZE_TREE 2

/* System calls that are newer than the libseccomp of Debian 12. */
static const struct filter_name newer[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {NULL, 0}};

/* What is being made, and what the beginning of the program needs to know of it. */
struct making {
    scmp_filter_ctx context;
    uint32_t default_action;
    uint32_t largest; /* number of a system call that the profile names */
    struct sock_filter newer[sizeof newer / sizeof *newer * 2];
    unsigned int newer_count;
    uint32_t tokens[FILTER_ARCHITECTURES_MAX];
    unsigned int token_count;
};

static int add_architectures(struct error *e, struct making *m, json_object *list)
{
    size_t count = json_count(list, "");
    m->tokens[m->token_count++] = seccomp_arch_native();
    for (size_t i = 0; i < count; i++) {
        const struct filter_name *one = filter_find(filter_architectures, json_entry_text(list, i));
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
    const struct filter_name *unknown = number == __NR_SCMP_ERROR ? filter_find(newer, name) : NULL;
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
    uint32_t action = 0;
    if (compared == NULL)
        return err_set(e, ENOMEM, "seccomp");
    int result = filter_action(e, json_text(rule, "action", ""),
                               json_number(rule, "errnoRet", EPERM), &action);
    for (size_t i = 0; result == 0 && i < arg_count; i++) {
        json_object *arg = json_entry(args, i);
        unsigned int index = (unsigned int)json_number(arg, "index", 0);
        compared[i] =
            (struct scmp_arg_cmp){.arg = index,
                                  .op = filter_compare(json_text(arg, "op", "")),
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
    struct sock_filter
        prologue[FILTER_ARCHITECTURES_MAX + 4 + sizeof m->newer / sizeof *m->newer + 2];
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
    if (filter_action(e, json_text(profile, "defaultAction", ""),
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
        filter->flags |= filter_flag(json_entry_text(flags, i));
    seccomp_release(m.context);
    return result;
}
