#include "caps.h"

#include "json.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPS_MAX 64

/* By number, as <linux/capability.h> numbers them. */
static const char *const names[] = {"CAP_CHOWN",
                                    "CAP_DAC_OVERRIDE",
                                    "CAP_DAC_READ_SEARCH",
                                    "CAP_FOWNER",
                                    "CAP_FSETID",
                                    "CAP_KILL",
                                    "CAP_SETGID",
                                    "CAP_SETUID",
                                    "CAP_SETPCAP",
                                    "CAP_LINUX_IMMUTABLE",
                                    "CAP_NET_BIND_SERVICE",
                                    "CAP_NET_BROADCAST",
                                    "CAP_NET_ADMIN",
                                    "CAP_NET_RAW",
                                    "CAP_IPC_LOCK",
                                    "CAP_IPC_OWNER",
                                    "CAP_SYS_MODULE",
                                    "CAP_SYS_RAWIO",
                                    "CAP_SYS_CHROOT",
                                    "CAP_SYS_PTRACE",
                                    "CAP_SYS_PACCT",
                                    "CAP_SYS_ADMIN",
                                    "CAP_SYS_BOOT",
                                    "CAP_SYS_NICE",
                                    "CAP_SYS_RESOURCE",
                                    "CAP_SYS_TIME",
                                    "CAP_SYS_TTY_CONFIG",
                                    "CAP_MKNOD",
                                    "CAP_LEASE",
                                    "CAP_AUDIT_WRITE",
                                    "CAP_AUDIT_CONTROL",
                                    "CAP_SETFCAP",
                                    "CAP_MAC_OVERRIDE",
                                    "CAP_MAC_ADMIN",
                                    "CAP_SYSLOG",
                                    "CAP_WAKE_ALARM",
                                    "CAP_BLOCK_SUSPEND",
                                    "CAP_AUDIT_READ",
                                    "CAP_PERFMON",
                                    "CAP_BPF",
                                    "CAP_CHECKPOINT_RESTORE",
                                    NULL};

const char *const *caps_names(void)
{
    return names;
}

static unsigned int number_of(const char *name)
{
    unsigned int cap = 0;
    while (names[cap] != NULL && strcmp(names[cap], name) != 0)
        cap++;
    return cap;
}

/* Names that are not known here are left out. */
static uint64_t caps_set(json_object *capabilities, const char *which)
{
    json_object *list = json_at(capabilities, which);
    size_t count = json_count(list, "");
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned int cap = number_of(json_entry_text(list, i));
        if (names[cap] != NULL)
            set |= (uint64_t)1 << cap;
    }
    return set;
}

/* Those of the set that the bounding set has. */
static uint64_t caps_bounded(uint64_t set)
{
    for (unsigned int cap = 0; set >> cap != 0; cap++)
        if ((set & (uint64_t)1 << cap) != 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
            set &= ~((uint64_t)1 << cap);
    return set;
}

bool caps_has(const char *name)
{
    unsigned int cap = number_of(name);
    return names[cap] != NULL && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
}

void caps_restrict(json_object *capabilities)
{
    json_object_object_foreach(capabilities, which, list)
    {
        (void)which;
        for (size_t i = json_count(list, ""); i > 0; i--)
            if (!caps_has(json_entry_text(list, i - 1)))
                json_object_array_del_idx(list, i - 1, 1);
    }
}

int caps_bound(struct error *e, json_object *capabilities)
{
    uint64_t wanted = caps_set(capabilities, "bounding");
    for (unsigned int cap = 0; cap < CAPS_MAX; cap++) {
        if ((wanted & (uint64_t)1 << cap) != 0 || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        int code = errno;
        if (code == EINVAL)
            break; /* The first that this kernel does not know. */
        /* Who may not drop any need not drop what is not there. */
        int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (has > 0)
            return err_set(e, code, "drop capability %u", cap);
        if (has < 0)
            break;
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "keep capabilities");
    return 0;
}

static int set_data(struct error *e, const struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &header, data) < 0 ? err_set(e, errno, "set capabilities") : 0;
}

int caps_raise(struct error *e, uint64_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) < 0)
        return err_set(e, errno, "read capabilities");
    for (unsigned int half = 0; half < 2; half++)
        data[half].effective |= (uint32_t)(kept >> (32 * half)) & data[half].permitted;
    return set_data(e, data);
}

int caps_apply(struct error *e, json_object *capabilities, uint64_t kept)
{
    uint64_t permitted = caps_bounded(caps_set(capabilities, "permitted"));
    uint64_t effective = caps_set(capabilities, "effective") & permitted;
    uint64_t inheritable = caps_bounded(caps_set(capabilities, "inheritable"));
    uint64_t ambient = caps_set(capabilities, "ambient") & permitted & inheritable;
    struct __user_cap_data_struct data[2];
    for (unsigned int half = 0; half < 2; half++) {
        data[half].effective = (uint32_t)(effective >> (32 * half));
        data[half].permitted = (uint32_t)((permitted | kept) >> (32 * half));
        data[half].inheritable = (uint32_t)(inheritable >> (32 * half));
    }
    if (set_data(e, data) < 0)
        return -1;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned int cap = 0; cap < CAPS_MAX; cap++)
        if ((ambient & (uint64_t)1 << cap) != 0 &&
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return err_set(e, errno, "raise ambient capability %u", cap);
    return 0;
}
