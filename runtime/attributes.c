#include "attributes.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "namespaces.h"
#include "proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>

/* Not in glibc 2.36. */
#define SCHED_DEADLINE_POLICY 6
#define CPU_MAX (CPU_SETSIZE - 1)

struct name {
    const char *name;
    unsigned int value;
};

static const struct name io_classes[] = {{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                                         {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                                         {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
                                         {NULL, 0}};
static const struct name policies[] = {{"SCHED_OTHER", SCHED_OTHER},
                                       {"SCHED_FIFO", SCHED_FIFO},
                                       {"SCHED_RR", SCHED_RR},
                                       {"SCHED_BATCH", SCHED_BATCH},
                                       {"SCHED_ISO", 4},
                                       {"SCHED_IDLE", SCHED_IDLE},
                                       {"SCHED_DEADLINE", SCHED_DEADLINE_POLICY},
                                       {NULL, 0}};
static const struct name scheduler_flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
    {"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
    {"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40}, {NULL, 0}};
static const struct name domains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}, {NULL, 0}};

static const struct name *find(const struct name *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

/* Of a name that has been checked. */
static unsigned int value_of(const struct name *table, const char *name)
{
    const struct name *found = find(table, name);
    return found == NULL ? 0 : found->value;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool has_apparmor(void)
{
    struct error ignored;
    cleanup_free char *text = NULL;
    return file_read(&ignored, "/sys/module/apparmor/parameters/enabled", &text, 16) == 0 &&
           *text == 'Y';
}

/* Both kinds of label are set through the same files of /proc. */
static int check_labels(struct error *e, json_object *process)
{
    const char *profile = json_text(process, "apparmorProfile", "");
    const char *label = json_text(process, "selinuxLabel", "");
    if (*profile != '\0' && strcmp(profile, "unconfined") != 0 && !has_apparmor())
        return err_set(e, 0, "process.apparmorProfile \"%s\": this kernel has no AppArmor enabled",
                       profile);
    if (*label != '\0' && !exists("/sys/fs/selinux/enforce"))
        return err_set(e, 0, "process.selinuxLabel \"%s\": this host has no SELinux enabled",
                       label);
    return 0;
}

static int check_scheduler(struct error *e, json_object *scheduler)
{
    json_object *flags = json_at(scheduler, "flags");
    size_t count = json_count(flags, "");
    const char *policy = json_text(scheduler, "policy", "");
    if (scheduler == NULL)
        return 0;
    if (find(policies, policy) == NULL)
        return err_set(e, 0, "process.scheduler.policy \"%s\" is unknown", policy);
    for (size_t i = 0; i < count; i++)
        if (find(scheduler_flags, json_entry_text(flags, i)) == NULL)
            return err_set(e, 0, "process.scheduler.flags: \"%s\" is unknown",
                           json_entry_text(flags, i));
    return 0;
}

static int check_io_priority(struct error *e, json_object *wanted)
{
    const char *class = json_text(wanted, "class", "");
    int64_t level = json_number(wanted, "priority", 0);
    if (wanted == NULL)
        return 0;
    if (find(io_classes, class) == NULL)
        return err_set(e, 0, "process.ioPriority.class \"%s\" is unknown", class);
    if (level < 0 || level >= IOPRIO_NR_LEVELS)
        return err_set(e, 0, "process.ioPriority.priority %lld must be 0 to %d", (long long)level,
                       IOPRIO_NR_LEVELS - 1);
    return 0;
}

static int check_time(struct error *e, json_object *config)
{
    json_object *offsets = json_at(config, "linux.timeOffsets");
    if (offsets == NULL)
        return 0;
    if (json_object_object_length(offsets) > 0 && !namespace_is_new(config, "time"))
        return err_set(e, 0, "linux.timeOffsets needs a new time namespace");
    json_object_object_foreach(offsets, clock, value)
    {
        (void)value;
        if (strcmp(clock, "monotonic") != 0 && strcmp(clock, "boottime") != 0)
            return err_set(e, 0, "linux.timeOffsets: no clock \"%s\", only monotonic and boottime",
                           clock);
    }
    return 0;
}

static int parse_processors(struct error *e, const char *list, cpu_set_t *set)
{
    CPU_ZERO(set);
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        char *end;
        unsigned long first = strtoul(at, &end, 10), last = first;
        if (isdigit((unsigned char)*at) && *end == '-' && isdigit((unsigned char)end[1]))
            last = strtoul(end + 1, &end, 10);
        if (!isdigit((unsigned char)*at) || (*end != '\0' && *end != ',') || last > CPU_MAX ||
            first > last)
            return err_set(e, 0, "process.execCPUAffinity: \"%s\" is no list of processors", list);
        for (unsigned long cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, set);
        at = end;
    }
    return 0;
}

int attributes_affinity(struct error *e, json_object *process, const char *moment)
{
    const char *list = json_text(json_at(process, "execCPUAffinity"), moment, "");
    cpu_set_t set;
    if (*list == '\0')
        return 0;
    if (parse_processors(e, list, &set) < 0)
        return -1;
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        return err_set(e, errno, "process.execCPUAffinity.%s \"%s\"", moment, list);
    return 0;
}

static int check_process(struct error *e, json_object *process)
{
    static const char *const moments[] = {"initial", "final"};
    cpu_set_t set;
    for (int i = 0; i < 2; i++)
        if (parse_processors(e, json_text(json_at(process, "execCPUAffinity"), moments[i], ""),
                             &set) < 0)
            return -1;
    if (check_labels(e, process) < 0 || check_scheduler(e, json_at(process, "scheduler")) < 0)
        return -1;
    return check_io_priority(e, json_at(process, "ioPriority"));
}

int attributes_check(struct error *e, json_object *config)
{
    json_object *personality_ = json_at(config, "linux.personality");
    const char *domain = json_text(personality_, "domain", "");
    if (personality_ != NULL && find(domains, domain) == NULL)
        return err_set(e, 0, "linux.personality.domain \"%s\" must be LINUX or LINUX32", domain);
    if (json_count(personality_, "flags") > 0)
        return err_set(e, 0, "linux.personality.flags: the specification defines none");
    if (check_time(e, config) < 0)
        return -1;
    return check_process(e, json_at(config, "process"));
}

static int set_scheduler(struct error *e, json_object *wanted)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = sizeof attributes};
    if (wanted == NULL)
        return 0;
    const char *policy = json_text(wanted, "policy", "");
    json_object *flags = json_at(wanted, "flags");
    size_t count = json_count(flags, "");
    for (size_t i = 0; i < count; i++)
        attributes.flags |= value_of(scheduler_flags, json_entry_text(flags, i));
    attributes.policy = value_of(policies, policy);
    attributes.nice = (int32_t)json_number(wanted, "nice", 0);
    attributes.priority = (uint32_t)json_number(wanted, "priority", 0);
    attributes.runtime = (uint64_t)json_number(wanted, "runtime", 0);
    attributes.deadline = (uint64_t)json_number(wanted, "deadline", 0);
    attributes.period = (uint64_t)json_number(wanted, "period", 0);
    if (syscall(SYS_sched_setattr, 0, &attributes, 0) < 0)
        return err_set(e, errno, "process.scheduler %s", policy);
    return 0;
}

static int set_io_priority(struct error *e, json_object *wanted)
{
    if (wanted == NULL)
        return 0;
    const char *class = json_text(wanted, "class", "");
    int value = (int)(value_of(io_classes, class) << IOPRIO_CLASS_SHIFT) |
                (int)json_number(wanted, "priority", 0);
    if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) < 0)
        return err_set(e, errno, "process.ioPriority %s", class);
    return 0;
}

/* In force from the next exec on. */
static int set_labels(struct error *e, json_object *process)
{
    const char *profile = json_text(process, "apparmorProfile", "");
    const char *label = json_text(process, "selinuxLabel", "");
    if (*label != '\0' && proc_write(e, "self/attr/exec", label) < 0)
        return err_wrap(e, "process.selinuxLabel \"%s\"", label);
    if (*profile == '\0' || !has_apparmor())
        return 0;
    cleanup_free char *text = text_format("exec %s", profile);
    bool is_apart = exists("/proc/self/attr/apparmor/exec");
    if (proc_write(e, is_apart ? "self/attr/apparmor/exec" : "self/attr/exec", text) < 0)
        return err_wrap(e, "process.apparmorProfile \"%s\"", profile);
    return 0;
}

/* Going below the present value needs CAP_SYS_RESOURCE; without it the present one stays. */
static int set_oom_score(struct error *e, json_object *process)
{
    char text[16];
    if (json_at(process, "oomScoreAdj") == NULL)
        return 0;
    snprintf(text, sizeof text, "%d", (int)json_number(process, "oomScoreAdj", 0));
    if (proc_write(e, "self/oom_score_adj", text) < 0 && e->code != EACCES)
        return -1;
    return 0;
}

int attributes_apply(struct error *e, json_object *config, json_object *process)
{
    const struct name *domain = find(domains, json_text(config, "linux.personality.domain", ""));
    /* An exec's process comes from elsewhere than the config. */
    if (check_process(e, process) < 0)
        return -1;
    if (domain != NULL && personality(domain->value) < 0)
        return err_set(e, errno, "linux.personality %s", domain->name);
    if (set_oom_score(e, process) < 0 || set_scheduler(e, json_at(process, "scheduler")) < 0 ||
        set_io_priority(e, json_at(process, "ioPriority")) < 0)
        return -1;
    return set_labels(e, process);
}

int attributes_time(struct error *e, json_object *config)
{
    json_object *offsets = json_at(config, "linux.timeOffsets");
    if (!namespace_is_new(config, "time"))
        return 0;
    if (unshare(CLONE_NEWTIME) < 0)
        return err_set(e, errno, "make time namespace");
    if (offsets != NULL) {
        json_object_object_foreach(offsets, clock, value)
        {
            cleanup_free char *line =
                text_format("%s %lld %lld", clock, (long long)json_number(value, "secs", 0),
                            (long long)json_number(value, "nanosecs", 0));
            if (proc_write(e, "self/timens_offsets", line) < 0)
                return err_wrap(e, "linux.timeOffsets");
        }
    }
    cleanup_close int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
        return err_set(e, errno, "enter time namespace");
    return 0;
}
