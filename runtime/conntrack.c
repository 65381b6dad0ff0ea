#include "conntrack.h"

#include "clean.h"
#include "json.h"
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Flows that one call forgets; of more than this, the next call forgets more. */
#define FLOWS_MAX 8192
/* The tuple of one flow: addresses and ports, with their headers. */
#define TUPLE_SIZE_MAX 128

struct flow {
    unsigned char family;
    unsigned short size;
    unsigned char tuple[TUPLE_SIZE_MAX];
};

struct search {
    json_object *ports;
    size_t count;
    struct flow flows[FLOWS_MAX];
};

static int type_of(int message)
{
    return NFNL_SUBSYS_CTNETLINK << 8 | message;
}

static const struct rtattr *inside(const struct rtattr *nest, int type)
{
    return nest == NULL ? NULL : netlink_find(RTA_DATA(nest), RTA_PAYLOAD(nest), type);
}

static bool is_wanted(json_object *ports, const struct rtattr *tuple)
{
    const struct rtattr *protocol = inside(tuple, CTA_TUPLE_PROTO);
    const struct rtattr *number = inside(protocol, CTA_PROTO_NUM);
    const struct rtattr *port = inside(protocol, CTA_PROTO_DST_PORT);
    if (number == NULL || port == NULL || RTA_PAYLOAD(port) < sizeof(uint16_t) ||
        RTA_PAYLOAD(number) < 1 || *(const unsigned char *)RTA_DATA(number) != IPPROTO_UDP)
        return false;
    uint16_t value;
    memcpy(&value, RTA_DATA(port), sizeof value);
    for (size_t i = 0; i < json_count(ports, ""); i++)
        if (json_object_get_int64(json_entry(ports, i)) == ntohs(value))
            return true;
    return false;
}

static int take(void *data, const struct nlmsghdr *message)
{
    struct search *search = data;
    const struct nfgenmsg *body = NLMSG_DATA(message);
    size_t header = NLMSG_SPACE(sizeof *body);
    if (message->nlmsg_len < header)
        return 0;
    const struct rtattr *tuple =
        netlink_find((const char *)message + header, message->nlmsg_len - header, CTA_TUPLE_ORIG);
    if (tuple == NULL || RTA_PAYLOAD(tuple) > TUPLE_SIZE_MAX || !is_wanted(search->ports, tuple))
        return 0;
    struct flow *flow = &search->flows[search->count++];
    flow->family = body->nfgen_family;
    flow->size = (unsigned short)RTA_PAYLOAD(tuple);
    memcpy(flow->tuple, RTA_DATA(tuple), flow->size);
    return search->count == FLOWS_MAX ? -1 : 0;
}

static int forget(struct error *e, int fd, const struct flow *flow)
{
    struct netlink_request r;
    struct nfgenmsg *body = netlink_begin(&r, type_of(IPCTNL_MSG_CT_DELETE), 0, sizeof *body);
    body->nfgen_family = flow->family;
    netlink_put(&r, CTA_TUPLE_ORIG | NLA_F_NESTED, flow->tuple, flow->size);
    if (netlink_do(e, fd, &r, "forget a UDP flow") < 0 && e->code != ENOENT)
        return -1;
    return 0;
}

/* Of a socket of its own: a dump that is given up leaves messages in it. */
static int search_all(struct error *e, struct search *search)
{
    cleanup_close int fd = netlink_open_for(e, NETLINK_NETFILTER, 0);
    struct netlink_request r;
    if (fd < 0)
        return -1;
    netlink_begin(&r, type_of(IPCTNL_MSG_CT_GET), 0, sizeof(struct nfgenmsg));
    return netlink_dump(e, fd, &r, take, search);
}

int conntrack_forget(struct error *e, json_object *ports)
{
    cleanup_free struct search *search = calloc(1, sizeof *search);
    if (search == NULL)
        return err_set(e, ENOMEM, "search flows");
    search->ports = ports;
    if (search_all(e, search) < 0)
        return e->code == EINVAL || e->code == EPROTONOSUPPORT || e->code == EOPNOTSUPP ? 0 : -1;
    cleanup_close int fd = netlink_open_for(e, NETLINK_NETFILTER, 0);
    if (fd < 0)
        return -1;
    for (size_t i = 0; i < search->count; i++)
        if (forget(e, fd, &search->flows[i]) < 0)
            return -1;
    return 0;
}
