/* Netlink: one request at a time, each acknowledged by the kernel. */
#ifndef MINI_NETLINK_H
#define MINI_NETLINK_H

#include "error.h"

#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>

#define NETLINK_REQUEST_SIZE 2048

/* A request being built. */
struct netlink_request {
    union {
        struct nlmsghdr header;
        char space[NETLINK_REQUEST_SIZE];
    };
};

/* A routing socket of the calling thread's network namespace. */
int netlink_open(struct error *e);
/* The same of another protocol, hearing of what these groups (a bit each) are told. */
int netlink_open_for(struct error *e, int protocol, unsigned int groups);
/* Begins a request; returns its body of body_size zero bytes. */
void *netlink_begin(struct netlink_request *r, int type, int flags, size_t body_size);
void netlink_put(struct netlink_request *r, int type, const void *data, size_t size);
void netlink_put_text(struct netlink_request *r, int type, const char *text);
void netlink_put_number(struct netlink_request *r, int type, unsigned int number);
struct rtattr *netlink_nest(struct netlink_request *r, int type);
void netlink_nest_end(struct netlink_request *r, struct rtattr *nest);
/* Sends it and waits for the kernel's answer. On failure e->code is the kernel's errno. */
int netlink_do(struct error *e, int fd, struct netlink_request *r, const char *what);
/* Asks for one object and gives it to `take`. */
int netlink_get(struct error *e, int fd, struct netlink_request *r,
                int (*take)(void *data, const struct nlmsghdr *message), void *data);
/* Sends a dump request and calls `each` for every message of the answer; stops when it returns
 * below 0. */
int netlink_dump(struct error *e, int fd, struct netlink_request *r,
                 int (*each)(void *data, const struct nlmsghdr *message), void *data);

/* Messages or attributes that have been received. The kernel's own macros count below zero when the
 * last one's padding is missing. */
struct netlink_rest {
    const char *at;
    size_t size;
};
/* The next whole message; NULL at the end. */
const struct nlmsghdr *netlink_next(struct netlink_rest *rest);
/* The next whole attribute; NULL at the end. */
const struct rtattr *netlink_attribute(struct netlink_rest *rest);
/* The attribute of this type; NULL when there is none. */
const struct rtattr *netlink_find(const void *from, size_t size, int type);

#endif
