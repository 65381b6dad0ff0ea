/* Answers of netlink, by a socket that gives the input in place of the kernel. */
#include "fuzz.h"

#define conntrack_forget fuzzed_forget
#include "../conntrack.c"

#define host_watch_open fuzzed_watch_open
#define host_watch_memory fuzzed_watch_memory
#define host_watch_tell fuzzed_watch_tell
#include "../host-watch.c"

#define routes_replace fuzzed_routes_replace
#define route_add fuzzed_route_add
#include "../network-routes.c"

static int count(void *data, const struct nlmsghdr *message)
{
    *(unsigned int *)data += message->nlmsg_len;
    return 0;
}

static void answer(const int pair[2])
{
    if (send(pair[1], now.data, now.size, 0) < 0 && now.size > 0)
        abort();
}

static void forget_request(int fd)
{
    char request[4096];
    while (recv(fd, request, sizeof request, MSG_DONTWAIT) > 0)
        continue;
}

void fuzz_messages(void)
{
    static struct search search;
    struct error e = {0};
    struct netlink_request r;
    unsigned int total = 0;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    cleanup_json json_object *ports = json_object_new_array();
    json_object_array_add(ports, json_object_new_int(53));
    search.ports = ports;
    search.count = 0;
    answer(pair);
    netlink_begin(&r, type_of(IPCTNL_MSG_CT_GET), 0, sizeof(struct nfgenmsg));
    (void)netlink_dump(&e, pair[0], &r, take, &search);
    answer(pair);
    static struct route_list routes;
    routes.count = 0;
    (void)netlink_dump(&e, pair[0], &r, take_own, &routes);
    answer(pair);
    (void)netlink_do(&e, pair[0], &r, "fuzz");
    answer(pair);
    (void)netlink_get(&e, pair[0], &r, count, &total);
    forget_request(pair[1]);
    struct host_watch watch = {
        .table = "mini-mini0", .usage = -1, .level = -1, .events = -1, .rulesets = pair[0]};
    answer(pair);
    (void)have_rules_gone(&watch);
    close(pair[0]);
    close(pair[1]);
}
