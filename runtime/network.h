/* Interfaces, addresses and routes, over netlink. */
#ifndef MINI_NETWORK_H
#define MINI_NETWORK_H

#include "error.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* Marks the routes that are ours in the host's table (rtm_protocol; 186 is bgp, 242 and up are
 * unassigned). */
#define ROUTE_PROTOCOL_MINI 0xf3

struct address {
    int family;
    unsigned char bytes[16];
    size_t size;
    unsigned int prefix;
};
/* "10.42.0.5/24", "fd00::1/64", or "default"; without a length, a host's. */
int address_parse(struct error *e, const char *text, struct address *address);

/* Index of an interface in the namespace of the socket; -1 with ENODEV. */
int link_index(struct error *e, int fd, const char *name);
int link_up(struct error *e, int fd, const char *name);
int link_delete(struct error *e, int fd, const char *name);
/* Makes a veth pair: host_name here, a port of the bridge and up; name in the other namespace. */
int link_veth(struct error *e, int fd, json_object *wish, int peer_namespace);
int link_bridge(struct error *e, int fd, const char *name, unsigned int mtu, const char *address);
int address_add(struct error *e, int fd, const char *name, const char *text);
/* via may be NULL or empty. */
int route_add(struct error *e, int fd, const char *destination, const char *via, const char *device,
              unsigned char protocol);
/* Replaces all of our routes in the main table with these: [{destination, via?, device}]. */
int routes_replace(struct error *e, int fd, json_object *routes);
/* Writes a sysctl of the caller's network namespace, "net.ipv4.ip_forward" or with '/'. */
int network_sysctl(struct error *e, const char *key, const char *value);

#endif
