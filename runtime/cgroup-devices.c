/*
 * Device rules. The last rule that speaks of a device and of an access decides; what no rule speaks
 * of is denied. On v1 the kernel has files for that, on v2 it runs a program that is made here.
 */
#include "cgroup-limits.h"

#include "clean.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ANY (-1)
#define RULES_MAX 1024
/* Instructions before the rules, after them, and the most that one rule takes. */
#define PROLOGUE_SIZE 6
#define EPILOGUE_SIZE 2
#define DECISION_SIZE 4
#define RULE_SIZE_MAX (3 + DECISION_SIZE)
/* By which an update finds the program of before. */
#define PROGRAM_NAME "mini_devices"
/* Programs of others on one cgroup that are looked through for ours. */
#define ATTACHED_MAX 64

struct rule {
    char type; /* 'b', 'c', or 'a' for both */
    bool is_allowed;
    int major, minor; /* or ANY */
    char access[4];   /* of "rwm" */
};

static const struct rule nothing = {'a', false, ANY, ANY, "rwm"};

/* What every container has: making nodes, and using those of the default /dev and terminals. */
static const struct rule defaults[] = {
    {'c', true, ANY, ANY, "m"},   {'b', true, ANY, ANY, "m"}, {'c', true, 1, 3, "rwm"},
    {'c', true, 1, 5, "rwm"},     {'c', true, 1, 7, "rwm"},   {'c', true, 1, 8, "rwm"},
    {'c', true, 1, 9, "rwm"},     {'c', true, 5, 0, "rwm"},   {'c', true, 5, 2, "rwm"},
    {'c', true, 136, ANY, "rwm"},
};
#define DEFAULTS_COUNT (sizeof defaults / sizeof *defaults)

static int parse(struct error *e, json_object *object, struct rule *rule)
{
    const char *type = json_text(object, "type", "a"), *access = json_text(object, "access", "rwm");
    int64_t major = json_number(object, "major", ANY), minor = json_number(object, "minor", ANY);
    if (strlen(type) != 1 || strchr("abcu", *type) == NULL)
        return err_set(e, 0, "device rule: type \"%s\" must be a, b, c or u", type);
    if (strlen(access) > 3 || access[strspn(access, "rwm")] != '\0')
        return err_set(e, 0, "device rule: access \"%s\" must be of r, w and m", access);
    if (major > INT32_MAX || minor > INT32_MAX)
        return err_set(e, 0, "device rule: number out of range");
    *rule = (struct rule){.type = *type == 'u' ? 'c' : *type,
                          .is_allowed = json_flag(object, "allow", false),
                          .major = major < 0 ? ANY : (int)major,
                          .minor = minor < 0 ? ANY : (int)minor};
    snprintf(rule->access, sizeof rule->access, "%s", *access == '\0' ? "rwm" : access);
    return 0;
}

/* The kernel's "a" is all devices and all access, whatever else the line says. */
static bool is_of_all(const struct rule *rule)
{
    return rule->type == 'a' && rule->major == ANY && rule->minor == ANY &&
           strlen(rule->access) == 3;
}

/* Adds the rule of the config; of both kinds it may have to be two. */
static void add(struct rule *rules, size_t *count, const struct rule *rule)
{
    rules[(*count)++] = *rule;
    if (rule->type != 'a' || is_of_all(rule))
        return;
    rules[*count - 1].type = 'b';
    rules[*count] = *rule;
    rules[(*count)++].type = 'c';
}

/* Nothing, then what the config's rules allow, then the defaults, in new memory; none when the
 * config has none. */
static int collect(struct error *e, const struct limits *l, struct rule **rules, size_t *count)
{
    json_object *given = json_at(l->resources, "devices");
    size_t own = json_count(given, "");
    *count = 0;
    if (own == 0)
        return 0;
    if (own > RULES_MAX)
        return err_set(e, 0, "%zu device rules, but at most %d are supported", own, RULES_MAX);
    *rules = calloc(1 + 2 * own + DEFAULTS_COUNT, sizeof **rules);
    if (*rules == NULL)
        return err_set(e, ENOMEM, "device rules");
    for (size_t i = 0; i < own; i++) {
        struct rule rule;
        if (parse(e, json_entry(given, i), &rule) < 0)
            return -1;
        if (i == 0 && !is_of_all(&rule))
            add(*rules, count, &nothing);
        add(*rules, count, &rule);
    }
    memcpy(*rules + *count, defaults, sizeof defaults);
    *count += DEFAULTS_COUNT;
    return 0;
}

void devices_deny_rest(json_object *config)
{
    json_object *all = json_at(config, "linux"), *resources = json_at(all, "resources");
    if (all == NULL || json_count(resources, "devices") > 0)
        return;
    json_object *rule = json_object_new_object(), *rules = json_object_new_array();
    json_object_object_add(rule, "allow", json_object_new_boolean(false));
    json_object_array_add(rules, rule);
    if (resources == NULL) {
        resources = json_object_new_object();
        json_object_object_add(all, "resources", resources);
    }
    json_object_object_add(resources, "devices", rules);
}

int devices_v1(struct error *e, const struct limits *l)
{
    cleanup_free struct rule *rules = NULL;
    size_t count;
    if (collect(e, l, &rules, &count) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = &rules[i];
        char numbers[2][16], text[64];
        snprintf(numbers[0], sizeof numbers[0], rule->major == ANY ? "*" : "%d", rule->major);
        snprintf(numbers[1], sizeof numbers[1], rule->minor == ANY ? "*" : "%d", rule->minor);
        snprintf(text, sizeof text, "%c %s:%s %s", rule->type, numbers[0], numbers[1],
                 rule->access);
        const char *file = rule->is_allowed ? "devices.allow" : "devices.deny";
        if (limit_put(e, l, "devices", file, text) < 0)
            return -1;
    }
    return 0;
}

/* A program being made: registers 2 to 5 hold the access asked for, type, major and minor. */
struct program {
    struct bpf_insn *code;
    size_t size;
};
enum { CONTEXT = BPF_REG_1, ACCESS, TYPE, MAJOR, MINOR };

static void emit(struct program *p, int code, int target, int offset, int value)
{
    p->code[p->size++] = (struct bpf_insn){.code = (unsigned char)code,
                                           .dst_reg = (unsigned int)target & 15U,
                                           .off = (short)offset,
                                           .imm = value};
}

static void emit_load(struct program *p, int target, size_t field)
{
    emit(p, BPF_LDX | BPF_MEM | BPF_W, target, (int)field, 0);
    p->code[p->size - 1].src_reg = CONTEXT;
}

static void emit_answer(struct program *p, bool is_allowed)
{
    emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, is_allowed);
    emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0);
}

static int access_bits(const struct rule *rule)
{
    int bits = 0;
    for (const char *at = rule->access; *at != '\0'; at++)
        bits |= *at == 'r'   ? BPF_DEVCG_ACC_READ
                : *at == 'w' ? BPF_DEVCG_ACC_WRITE
                             : BPF_DEVCG_ACC_MKNOD;
    return rule->type == 'a' ? BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD
                             : bits;
}

/* Allowed access is taken off what is asked for, and all done when nothing is left of it. */
static void emit_rule(struct program *p, const struct rule *rule)
{
    int bits = access_bits(rule), decision = DECISION_SIZE;
    int tests = (rule->type != 'a') + (rule->major != ANY) + (rule->minor != ANY);
    /* A test that fails jumps behind the remaining tests and the decision. */
    if (rule->type != 'a')
        emit(p, BPF_JMP | BPF_JNE | BPF_K, TYPE, --tests + decision,
             rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    if (rule->major != ANY)
        emit(p, BPF_JMP | BPF_JNE | BPF_K, MAJOR, --tests + decision, rule->major);
    if (rule->minor != ANY)
        emit(p, BPF_JMP | BPF_JNE | BPF_K, MINOR, --tests + decision, rule->minor);
    if (rule->is_allowed) {
        emit(p, BPF_ALU64 | BPF_AND | BPF_K, ACCESS, 0, ~bits);
        emit(p, BPF_JMP | BPF_JNE | BPF_K, ACCESS, 2, 0);
    } else {
        emit(p, BPF_JMP | BPF_JSET | BPF_K, ACCESS, 1, bits);
        emit(p, BPF_JMP | BPF_JA, 0, 2, 0);
    }
    emit_answer(p, rule->is_allowed);
}

/* From the last rule to the first. */
static void make_program(struct program *p, const struct rule *rules, size_t count)
{
    emit_load(p, ACCESS, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    emit_load(p, MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
    emit_load(p, MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
    emit(p, BPF_ALU64 | BPF_MOV | BPF_X, TYPE, 0, 0);
    p->code[p->size - 1].src_reg = ACCESS;
    emit(p, BPF_ALU64 | BPF_AND | BPF_K, TYPE, 0, 0xffff);
    emit(p, BPF_ALU64 | BPF_RSH | BPF_K, ACCESS, 0, 16);
    while (count > 0)
        emit_rule(p, &rules[--count]);
    emit_answer(p, true);
}

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int load_program(const struct rule *rules, size_t count)
{
    struct program p = {
        .code = calloc(PROLOGUE_SIZE + count * RULE_SIZE_MAX + EPILOGUE_SIZE, sizeof *p.code)};
    if (p.code == NULL) {
        errno = ENOMEM;
        return -1;
    }
    make_program(&p, rules, count);
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                           .insns = (uintptr_t)p.code,
                           .insn_cnt = (unsigned int)p.size,
                           .license = (uintptr_t)"Apache-2.0"};
    strcpy(attr.prog_name, PROGRAM_NAME);
    int fd = bpf(BPF_PROG_LOAD, &attr);
    free(p.code);
    return fd;
}

/* The program that an earlier call attached, or -1. */
static int find_program(int cgroup_fd)
{
    unsigned int ids[ATTACHED_MAX];
    union bpf_attr query = {.query = {.target_fd = (unsigned int)cgroup_fd,
                                      .attach_type = BPF_CGROUP_DEVICE,
                                      .prog_ids = (uintptr_t)ids,
                                      .prog_cnt = ATTACHED_MAX}};
    if (bpf(BPF_PROG_QUERY, &query) < 0)
        return -1;
    for (unsigned int i = 0; i < query.query.prog_cnt; i++) {
        union bpf_attr by_id = {.prog_id = ids[i]};
        cleanup_close int fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
        struct bpf_prog_info info = {0};
        union bpf_attr ask = {.info = {.bpf_fd = (unsigned int)fd,
                                       .info_len = sizeof info,
                                       .info = (uintptr_t)&info}};
        if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &ask) == 0 &&
            strcmp(info.name, PROGRAM_NAME) == 0)
            return steal_fd(&fd);
    }
    return -1;
}

int devices_v2(struct error *e, const struct limits *l)
{
    cleanup_free struct rule *rules = NULL;
    size_t count;
    if (collect(e, l, &rules, &count) < 0)
        return -1;
    if (count == 0)
        return 0;
    cleanup_free char *dir = cgroup_dir(l->cgroup, "devices");
    cleanup_close int cgroup_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cgroup_fd < 0)
        return err_set(e, errno, "open %s", dir);
    cleanup_close int program = load_program(rules, count);
    if (program < 0) {
        if (errno != EPERM && errno != ENOSYS && errno != EINVAL)
            return err_set(e, errno, "load device rules");
        limit_warn(l, "devices", "the kernel refuses programs, device rules not applied");
        return 0;
    }
    cleanup_close int old = find_program(cgroup_fd);
    union bpf_attr attach = {.target_fd = (unsigned int)cgroup_fd,
                             .attach_bpf_fd = (unsigned int)program,
                             .attach_type = BPF_CGROUP_DEVICE,
                             .attach_flags = BPF_F_ALLOW_MULTI | (old < 0 ? 0 : BPF_F_REPLACE),
                             .replace_bpf_fd = old < 0 ? 0 : (unsigned int)old};
    if (bpf(BPF_PROG_ATTACH, &attach) < 0)
        return err_set(e, errno, "apply device rules to %s", dir);
    return 0;
}
