#include "host-watch.h"

#include "cgroup.h"
#include "clean.h"
#include "io.h"
#include "netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define V1_DIR CGROUP_ROOT "/memory"
#define V2_EVENTS CGROUP_ROOT "/memory.events"
/* Microseconds of waiting for memory within a window; who is not the machine's own root may only
 * have windows of whole two seconds. */
#define STALL_FILE "/proc/pressure/memory"
#define STALL_TRIGGER "some 200000 2000000"
#define MESSAGES_SIZE 65536
enum { CONNECTION, LEVEL, STALL, EVENTS, RULESETS, SOURCES };

static int open_stall(void)
{
    cleanup_close int fd = open(STALL_FILE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || write(fd, STALL_TRIGGER, sizeof STALL_TRIGGER) < 0)
        return -1;
    return steal_fd(&fd);
}

int host_watch_open(struct error *e, struct host_watch *w, const char *table)
{
    *w = (struct host_watch){.table = table, .level = -1};
    w->usage = open(V1_DIR "/memory.usage_in_bytes", O_RDONLY | O_CLOEXEC);
    w->events = open(V2_EVENTS, O_RDONLY | O_CLOEXEC);
    w->stall = open_stall();
    w->rulesets = netlink_open_for(e, NETLINK_NETFILTER, 1U << (NFNLGRP_NFTABLES - 1));
    if (w->usage < 0 && w->events < 0 && w->stall < 0 && w->rulesets < 0)
        return err_set(e, EOPNOTSUPP, "this kernel tells of nothing by itself");
    return 0;
}

void host_watch_memory(struct host_watch *w, int64_t bytes)
{
    struct error ignored;
    close_now(&w->level);
    if (w->usage < 0 || bytes <= 0)
        return;
    cleanup_close int level = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cleanup_free char *order = text_format("%d %d %lld", level, w->usage, (long long)bytes);
    if (level >= 0 && file_write(&ignored, V1_DIR "/cgroup.event_control", order) == 0)
        w->level = steal_fd(&level);
}

static int tell(int connection, const char *line)
{
    return write_all(connection, line, strlen(line));
}

/* Lines of the client; -1 when it has gone. */
static int listen_to(struct host_watch *w, int connection)
{
    ssize_t got = read(connection, w->line + w->line_size, sizeof w->line - 1 - w->line_size);
    if (got <= 0)
        return got < 0 && errno == EINTR ? 0 : -1;
    w->line_size += (unsigned int)got;
    w->line[w->line_size] = '\0';
    char *end = strrchr(w->line, '\n');
    if (end == NULL)
        return w->line_size == sizeof w->line - 1 ? -1 : 0;
    *end = '\0';
    const char *last = strrchr(w->line, '\n');
    host_watch_memory(w, strtoll(last == NULL ? w->line : last + 1, NULL, 10));
    w->line_size -= (unsigned int)(end + 1 - w->line);
    memmove(w->line, end + 1, w->line_size);
    return 0;
}

/* Whether the message is about our table; every kind of object names its table first. */
static bool is_ours(const struct host_watch *w, const struct nlmsghdr *message)
{
    size_t header = NLMSG_SPACE(sizeof(struct nfgenmsg));
    if (message->nlmsg_len < header)
        return false;
    const struct rtattr *name =
        netlink_find((const char *)message + header, message->nlmsg_len - header, NFTA_TABLE_NAME);
    return name != NULL && RTA_PAYLOAD(name) == strlen(w->table) + 1 &&
           memcmp(RTA_DATA(name), w->table, strlen(w->table) + 1) == 0;
}

static bool is_removal(int type)
{
    return type == NFT_MSG_DELTABLE || type == NFT_MSG_DELCHAIN || type == NFT_MSG_DELRULE ||
           type == NFT_MSG_DELSET || type == NFT_MSG_DELSETELEM;
}

/* Whether part of our table has gone. Whoever writes it anew, as we do, removes it and makes it in
 * one transaction. Messages that got lost may have said so. */
static bool have_rules_gone(const struct host_watch *w)
{
    static _Alignas(struct nlmsghdr) char messages[MESSAGES_SIZE];
    bool is_gone = false;
    for (;;) {
        ssize_t got = recv(w->rulesets, messages, sizeof messages, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return is_gone || errno == ENOBUFS;
        struct netlink_rest rest = {.at = messages, .size = (size_t)got};
        const struct nlmsghdr *message;
        while ((message = netlink_next(&rest)) != NULL) {
            int type = message->nlmsg_type & 0xff;
            if (!is_ours(w, message))
                continue;
            if (type == NFT_MSG_NEWTABLE)
                is_gone = false;
            else if (is_removal(type))
                is_gone = true;
        }
    }
}

void host_watch_tell(struct host_watch *w, int connection)
{
    for (;;) {
        struct pollfd polls[SOURCES] = {[CONNECTION] = {.fd = connection, .events = POLLIN},
                                        [LEVEL] = {.fd = w->level, .events = POLLIN},
                                        [STALL] = {.fd = w->stall, .events = POLLPRI},
                                        [EVENTS] = {.fd = w->events, .events = POLLPRI},
                                        [RULESETS] = {.fd = w->rulesets, .events = POLLIN}};
        if (poll(polls, SOURCES, -1) < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (polls[CONNECTION].revents != 0 && listen_to(w, connection) < 0)
            return;
        bool is_short = polls[STALL].revents & POLLPRI || polls[EVENTS].revents & POLLPRI;
        uint64_t count;
        if (polls[LEVEL].revents != 0)
            is_short |= read(w->level, &count, sizeof count) > 0;
        if (polls[STALL].revents & POLLERR && !(polls[STALL].revents & POLLPRI))
            close_now(&w->stall);
        char text[256];
        if (polls[EVENTS].revents != 0 && pread(w->events, text, sizeof text, 0) < 0)
            close_now(&w->events);
        if (is_short && tell(connection, "memory\n") < 0)
            return;
        if (polls[RULESETS].revents != 0 && have_rules_gone(w) && tell(connection, "rules\n") < 0)
            return;
    }
}
