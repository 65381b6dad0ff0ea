/* Routes: adding one, and keeping ours in the host's main table as told. */
#include "network.h"

#include "clean.h"
#include "json.h"
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A route's key as text that can be compared; the routes to keep are looked up by it. */
struct route {
    unsigned char family, prefix;
    unsigned char zero[2]; /* Compared as bytes: no padding. */
    unsigned char destination[16], gateway[16];
    int device;
};

#define ROUTES_MAX 4096

struct route_list {
    size_t count;
    struct route routes[ROUTES_MAX];
};

static void fill(struct netlink_request *r, struct rtmsg *body, const struct route *route,
                 unsigned char protocol)
{
    static const unsigned char none[16];
    size_t size = route->family == AF_INET6 ? 16 : 4;
    bool has_gateway = memcmp(route->gateway, none, size) != 0;
    body->rtm_family = route->family;
    body->rtm_dst_len = route->prefix;
    body->rtm_table = RT_TABLE_MAIN;
    body->rtm_protocol = protocol;
    body->rtm_scope = has_gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    body->rtm_type = RTN_UNICAST;
    if (route->prefix > 0)
        netlink_put(r, RTA_DST, route->destination, size);
    if (has_gateway)
        netlink_put(r, RTA_GATEWAY, route->gateway, size);
    netlink_put_number(r, RTA_OIF, (unsigned int)route->device);
}

static int parse(struct error *e, int fd, const char *destination, const char *via,
                 const char *device, struct route *route)
{
    struct address to, gateway;
    *route = (struct route){.device = link_index(e, fd, device)};
    if (route->device < 0 || address_parse(e, destination, &to) < 0)
        return -1;
    route->family = (unsigned char)to.family;
    route->prefix = (unsigned char)to.prefix;
    memcpy(route->destination, to.bytes, to.size);
    if (via == NULL || *via == '\0')
        return 0;
    if (address_parse(e, via, &gateway) < 0)
        return -1;
    if (strcmp(destination, "default") == 0)
        route->family = (unsigned char)gateway.family;
    memcpy(route->gateway, gateway.bytes, gateway.size);
    return 0;
}

static int change(struct error *e, int fd, const struct route *route, int type,
                  unsigned char protocol)
{
    struct netlink_request r;
    struct rtmsg *body = netlink_begin(
        &r, type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *body);
    fill(&r, body, route, protocol);
    return netlink_do(e, fd, &r, type == RTM_NEWROUTE ? "add route" : "delete route");
}

int route_add(struct error *e, int fd, const char *destination, const char *via, const char *device,
              unsigned char protocol)
{
    struct route route;
    if (parse(e, fd, destination, via, device, &route) < 0 ||
        change(e, fd, &route, RTM_NEWROUTE, protocol) < 0)
        return err_wrap(e, "route to %s", destination);
    return 0;
}

static int take_own(void *data, const struct nlmsghdr *message)
{
    struct route_list *list = data;
    const struct rtmsg *body = NLMSG_DATA(message);
    size_t header = NLMSG_SPACE(sizeof *body);
    if (message->nlmsg_len < header)
        return 0;
    if (body->rtm_protocol != ROUTE_PROTOCOL_MINI || body->rtm_table != RT_TABLE_MAIN ||
        list->count == ROUTES_MAX)
        return 0;
    struct route *route = &list->routes[list->count++];
    *route = (struct route){.family = body->rtm_family, .prefix = body->rtm_dst_len};
    struct netlink_rest rest = {.at = (const char *)message + header,
                                .size = message->nlmsg_len - header};
    const struct rtattr *attribute;
    while ((attribute = netlink_attribute(&rest)) != NULL) {
        size_t size = RTA_PAYLOAD(attribute);
        if (attribute->rta_type == RTA_DST && size <= 16)
            memcpy(route->destination, RTA_DATA(attribute), size);
        else if (attribute->rta_type == RTA_GATEWAY && size <= 16)
            memcpy(route->gateway, RTA_DATA(attribute), size);
        else if (attribute->rta_type == RTA_OIF && size == sizeof route->device)
            memcpy(&route->device, RTA_DATA(attribute), sizeof route->device);
    }
    return 0;
}

static bool contains(const struct route_list *list, const struct route *route)
{
    for (size_t i = 0; i < list->count; i++)
        if (memcmp(&list->routes[i], route, sizeof *route) == 0)
            return true;
    return false;
}

int routes_replace(struct error *e, int fd, json_object *routes)
{
    struct netlink_request r;
    cleanup_free struct route_list *present = calloc(1, sizeof *present);
    cleanup_free struct route_list *wanted = calloc(1, sizeof *wanted);
    if (present == NULL || wanted == NULL)
        return err_set(e, ENOMEM, "routes");
    wanted->count = json_count(routes, "");
    if (wanted->count > ROUTES_MAX)
        return err_set(e, 0, "more than %d routes", ROUTES_MAX);
    for (size_t i = 0; i < wanted->count; i++) {
        json_object *entry = json_entry(routes, i);
        if (parse(e, fd, json_text(entry, "destination", ""), json_text(entry, "via", NULL),
                  json_text(entry, "device", ""), &wanted->routes[i]) < 0)
            return -1;
    }
    netlink_begin(&r, RTM_GETROUTE, 0, sizeof(struct rtmsg));
    if (netlink_dump(e, fd, &r, take_own, present) < 0)
        return -1;
    for (size_t i = 0; i < wanted->count; i++)
        if (!contains(present, &wanted->routes[i]) &&
            change(e, fd, &wanted->routes[i], RTM_NEWROUTE, ROUTE_PROTOCOL_MINI) < 0)
            return -1;
    for (size_t i = 0; i < present->count; i++)
        if (!contains(wanted, &present->routes[i]) &&
            change(e, fd, &present->routes[i], RTM_DELROUTE, ROUTE_PROTOCOL_MINI) < 0 &&
            e->code != ESRCH)
            return -1;
    return 0;
}
