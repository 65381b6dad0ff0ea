/* Interfaces and addresses. */
#include "network.h"

#include "clean.h"
#include "io.h"
#include "json.h"
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

int address_parse(struct error *e, const char *text, struct address *a)
{
    char host[INET6_ADDRSTRLEN];
    size_t size = strcspn(text, "/");
    *a = (struct address){.family = AF_INET, .size = 4};
    if (strcmp(text, "default") == 0)
        return 0;
    if (size >= sizeof host)
        return err_set(e, EINVAL, "address \"%s\"", text);
    memcpy(host, text, size);
    host[size] = '\0';
    if (strchr(host, ':') != NULL) {
        a->family = AF_INET6;
        a->size = 16;
    }
    a->prefix = (unsigned int)a->size * 8;
    if (text[size] == '/')
        a->prefix = (unsigned int)strtoul(text + size + 1, NULL, 10);
    if (inet_pton(a->family, host, a->bytes) != 1 || a->prefix > a->size * 8)
        return err_set(e, EINVAL, "address \"%s\"", text);
    return 0;
}

int network_sysctl(struct error *e, const char *key, const char *value)
{
    cleanup_free char *path = text_format("/proc/sys/%s", key);
    /* Names of interfaces may hold dots; then the key comes with slashes. */
    for (char *dot = path; strchr(key, '/') == NULL && *dot != '\0'; dot++)
        *dot = *dot == '.' ? '/' : *dot;
    return file_write(e, path, value);
}

static int check_name(struct error *e, const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size >= IFNAMSIZ || strpbrk(name, "/ \n") != NULL || *name == '.')
        return err_set(e, EINVAL, "interface name \"%s\"", name);
    return 0;
}

static int take_index(void *data, const struct nlmsghdr *message)
{
    const struct ifinfomsg *body = NLMSG_DATA(message);
    if (message->nlmsg_len >= NLMSG_LENGTH(sizeof *body))
        *(int *)data = body->ifi_index;
    return 0;
}

int link_index(struct error *e, int fd, const char *name)
{
    struct netlink_request r;
    int index = -1;
    if (check_name(e, name) < 0)
        return -1;
    netlink_begin(&r, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    netlink_put_text(&r, IFLA_IFNAME, name);
    if (netlink_get(e, fd, &r, take_index, &index) < 0)
        return err_wrap(e, "interface %s", name);
    return index;
}

int link_up(struct error *e, int fd, const char *name)
{
    struct netlink_request r;
    int index = link_index(e, fd, name);
    if (index < 0)
        return -1;
    struct ifinfomsg *body = netlink_begin(&r, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = index;
    body->ifi_flags = body->ifi_change = IFF_UP;
    return netlink_do(e, fd, &r, "set interface up");
}

int link_delete(struct error *e, int fd, const char *name)
{
    struct netlink_request r;
    if (check_name(e, name) < 0)
        return -1;
    netlink_begin(&r, RTM_DELLINK, 0, sizeof(struct ifinfomsg));
    netlink_put_text(&r, IFLA_IFNAME, name);
    if (netlink_do(e, fd, &r, "delete interface") < 0)
        return e->code == ENODEV ? 0 : err_wrap(e, "%s", name);
    return 0;
}

int link_bridge(struct error *e, int fd, const char *name, unsigned int mtu, const char *address)
{
    struct netlink_request r;
    struct address a;
    if (check_name(e, name) < 0 || address_parse(e, address, &a) < 0)
        return -1;
    netlink_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    netlink_put_text(&r, IFLA_IFNAME, name);
    netlink_put_number(&r, IFLA_MTU, mtu);
    /* A bridge without a hardware address of its own takes the lowest of its ports, so that each
     * container that comes or goes may change what all others know as their gateway. */
    unsigned char own[6] = {0x0a, 0x58};
    memcpy(own + 2, a.bytes + a.size - 4, 4);
    netlink_put(&r, IFLA_ADDRESS, own, sizeof own);
    struct rtattr *info = netlink_nest(&r, IFLA_LINKINFO);
    netlink_put_text(&r, IFLA_INFO_KIND, "bridge");
    netlink_nest_end(&r, info);
    if (netlink_do(e, fd, &r, "make bridge") < 0 && e->code != EEXIST)
        return err_wrap(e, "%s", name);
    return 0;
}

static int make_veth(struct error *e, int fd, json_object *wish, int peer_namespace)
{
    struct netlink_request r;
    unsigned int mtu = (unsigned int)json_number(wish, "mtu", 1500);
    netlink_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
    netlink_put_text(&r, IFLA_IFNAME, json_text(wish, "hostName", ""));
    netlink_put_number(&r, IFLA_MTU, mtu);
    struct rtattr *info = netlink_nest(&r, IFLA_LINKINFO);
    netlink_put_text(&r, IFLA_INFO_KIND, "veth");
    struct rtattr *data = netlink_nest(&r, IFLA_INFO_DATA);
    struct rtattr *peer = netlink_nest(&r, VETH_INFO_PEER);
    r.header.nlmsg_len += (unsigned int)sizeof(struct ifinfomsg); /* The peer's, all zero. */
    netlink_put_text(&r, IFLA_IFNAME, json_text(wish, "name", "eth0"));
    netlink_put_number(&r, IFLA_MTU, mtu);
    netlink_put_number(&r, IFLA_NET_NS_FD, (unsigned int)peer_namespace);
    netlink_nest_end(&r, peer);
    netlink_nest_end(&r, data);
    netlink_nest_end(&r, info);
    return netlink_do(e, fd, &r, "make veth pair");
}

/* Frames may go back to the port that they came from: a container that connects to itself by a port
 * of the host does, where the kernel filters bridged packets as routed ones (br_netfilter). */
static int allow_hairpin(struct error *e, int fd, int index)
{
    struct netlink_request r;
    const unsigned char on = 1;
    struct ifinfomsg *body = netlink_begin(&r, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = index;
    struct rtattr *info = netlink_nest(&r, IFLA_LINKINFO);
    netlink_put_text(&r, IFLA_INFO_SLAVE_KIND, "bridge");
    struct rtattr *data = netlink_nest(&r, IFLA_INFO_SLAVE_DATA);
    netlink_put(&r, IFLA_BRPORT_MODE, &on, sizeof on);
    netlink_nest_end(&r, data);
    netlink_nest_end(&r, info);
    return netlink_do(e, fd, &r, "set hairpin mode");
}

int link_veth(struct error *e, int fd, json_object *wish, int peer_namespace)
{
    struct netlink_request r;
    struct error ignored;
    const char *host = json_text(wish, "hostName", "");
    if (check_name(e, host) < 0 || check_name(e, json_text(wish, "name", "eth0")) < 0)
        return -1;
    int bridge = link_index(e, fd, json_text(wish, "bridge", ""));
    if (bridge < 0)
        return -1;
    if (make_veth(e, fd, wish, peer_namespace) < 0)
        return err_wrap(e, "%s", host);
    /* IPv6's link-local chatter on every port makes many ports slow. A kernel without IPv6 has no
     * such file. */
    cleanup_free char *key = text_format("net/ipv6/conf/%s/disable_ipv6", host);
    (void)network_sysctl(&ignored, key, "1");
    int index = link_index(e, fd, host);
    if (index < 0)
        return -1;
    struct ifinfomsg *body = netlink_begin(&r, RTM_NEWLINK, 0, sizeof *body);
    body->ifi_index = index;
    body->ifi_flags = body->ifi_change = IFF_UP;
    netlink_put_number(&r, IFLA_MASTER, (unsigned int)bridge);
    return netlink_do(e, fd, &r, "attach to bridge") < 0 ? -1 : allow_hairpin(e, fd, index);
}

int address_add(struct error *e, int fd, const char *name, const char *text)
{
    struct netlink_request r;
    struct address a;
    int index = link_index(e, fd, name);
    if (index < 0 || address_parse(e, text, &a) < 0)
        return -1;
    struct ifaddrmsg *body =
        netlink_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof *body);
    body->ifa_family = (unsigned char)a.family;
    body->ifa_prefixlen = (unsigned char)a.prefix;
    body->ifa_index = (unsigned int)index;
    netlink_put(&r, IFA_LOCAL, a.bytes, a.size);
    netlink_put(&r, IFA_ADDRESS, a.bytes, a.size);
    if (a.family == AF_INET && a.prefix < 31) {
        uint32_t host_bits = htonl((1U << (32 - a.prefix)) - 1), broadcast;
        memcpy(&broadcast, a.bytes, sizeof broadcast);
        broadcast |= host_bits;
        netlink_put(&r, IFA_BROADCAST, &broadcast, sizeof broadcast);
    }
    return netlink_do(e, fd, &r, "add address");
}
