#include "netlink.h"

#include "clean.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_SIZE 16384
/* No number of an error is as high. */
#define ERRNO_END 4096

int netlink_open(struct error *e)
{
    return netlink_open_for(e, NETLINK_ROUTE, 0);
}

int netlink_open_for(struct error *e, int protocol, unsigned int groups)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return err_set(e, errno, "open netlink socket");
    return steal_fd(&fd);
}

void *netlink_begin(struct netlink_request *r, int type, int flags, size_t body_size)
{
    memset(r, 0, sizeof *r);
    r->header.nlmsg_len = (unsigned int)NLMSG_LENGTH(body_size);
    r->header.nlmsg_type = (unsigned short)type;
    r->header.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    r->header.nlmsg_seq = 1;
    return NLMSG_DATA(&r->header);
}

void netlink_put(struct netlink_request *r, int type, const void *data, size_t size)
{
    size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
    if (at + RTA_SPACE(size) > sizeof r->space)
        abort(); /* Requests are of fixed kinds; none comes near this size. */
    struct rtattr *attribute = (struct rtattr *)(void *)(r->space + at);
    attribute->rta_type = (unsigned short)type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    if (size > 0)
        memcpy(RTA_DATA(attribute), data, size);
    r->header.nlmsg_len = (unsigned int)(at + RTA_SPACE(size));
}

void netlink_put_text(struct netlink_request *r, int type, const char *text)
{
    netlink_put(r, type, text, strlen(text) + 1);
}

void netlink_put_number(struct netlink_request *r, int type, unsigned int number)
{
    netlink_put(r, type, &number, sizeof number);
}

struct rtattr *netlink_nest(struct netlink_request *r, int type)
{
    size_t at = NLMSG_ALIGN(r->header.nlmsg_len);
    netlink_put(r, type | NLA_F_NESTED, NULL, 0);
    return (struct rtattr *)(void *)(r->space + at);
}

void netlink_nest_end(struct netlink_request *r, struct rtattr *nest)
{
    nest->rta_len = (unsigned short)(r->space + r->header.nlmsg_len - (char *)nest);
}

static int send_request(struct error *e, int fd, const struct netlink_request *r)
{
    if (send(fd, r->space, r->header.nlmsg_len, 0) < 0)
        return err_set(e, errno, "send to netlink");
    return 0;
}

static ssize_t receive(struct error *e, int fd, void *answer)
{
    ssize_t got;
    do
        got = recv(fd, answer, ANSWER_SIZE, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? err_set(e, errno, "receive from netlink") : got;
}

static void skip(struct netlink_rest *rest, size_t size)
{
    size_t aligned = NLMSG_ALIGN(size);
    size_t step = aligned < rest->size ? aligned : rest->size;
    rest->at += step;
    rest->size -= step;
}

const struct nlmsghdr *netlink_next(struct netlink_rest *rest)
{
    const struct nlmsghdr *message = (const void *)rest->at;
    if (rest->size < sizeof *message || message->nlmsg_len < sizeof *message ||
        message->nlmsg_len > rest->size)
        return NULL;
    skip(rest, message->nlmsg_len);
    return message;
}

const struct rtattr *netlink_attribute(struct netlink_rest *rest)
{
    const struct rtattr *attribute = (const void *)rest->at;
    if (rest->size < sizeof *attribute || attribute->rta_len < sizeof *attribute ||
        attribute->rta_len > rest->size)
        return NULL;
    skip(rest, attribute->rta_len);
    return attribute;
}

const struct rtattr *netlink_find(const void *from, size_t size, int type)
{
    struct netlink_rest rest = {.at = from, .size = size};
    const struct rtattr *attribute;
    while ((attribute = netlink_attribute(&rest)) != NULL)
        if ((attribute->rta_type & NLA_TYPE_MASK) == type)
            return attribute;
    return NULL;
}

/* The first message of the answer; NULL with the error. */
static const struct nlmsghdr *receive_one(struct error *e, int fd, void *answer)
{
    ssize_t got = receive(e, fd, answer);
    struct netlink_rest rest = {.at = answer, .size = got < 0 ? 0 : (size_t)got};
    const struct nlmsghdr *message = got < 0 ? NULL : netlink_next(&rest);
    if (got >= 0 && message == NULL)
        err_set(e, EPROTO, "receive from netlink");
    return message;
}

static int kernel_error(struct error *e, const struct nlmsghdr *message, const char *what)
{
    const struct nlmsgerr *answer = NLMSG_DATA(message);
    if (message->nlmsg_len < NLMSG_LENGTH(sizeof answer->error))
        return err_set(e, EPROTO, "%s", what);
    if (answer->error == 0)
        return 0;
    bool is_known = answer->error < 0 && answer->error > -ERRNO_END;
    return err_set(e, is_known ? -answer->error : EPROTO, "%s", what);
}

int netlink_do(struct error *e, int fd, struct netlink_request *r, const char *what)
{
    _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
    r->header.nlmsg_flags |= NLM_F_ACK;
    if (send_request(e, fd, r) < 0)
        return -1;
    const struct nlmsghdr *message = receive_one(e, fd, answer);
    if (message == NULL)
        return -1;
    if (message->nlmsg_type != NLMSG_ERROR)
        return err_set(e, EPROTO, "%s", what);
    return kernel_error(e, message, what);
}

int netlink_get(struct error *e, int fd, struct netlink_request *r,
                int (*take)(void *data, const struct nlmsghdr *message), void *data)
{
    _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
    if (send_request(e, fd, r) < 0)
        return -1;
    const struct nlmsghdr *message = receive_one(e, fd, answer);
    if (message == NULL)
        return -1;
    if (message->nlmsg_type == NLMSG_ERROR)
        return kernel_error(e, message, "look up");
    return take(data, message);
}

int netlink_dump(struct error *e, int fd, struct netlink_request *r,
                 int (*each)(void *data, const struct nlmsghdr *message), void *data)
{
    _Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
    r->header.nlmsg_flags |= NLM_F_DUMP;
    if (send_request(e, fd, r) < 0)
        return -1;
    for (;;) {
        ssize_t got = receive(e, fd, answer);
        if (got < 0)
            return -1;
        struct netlink_rest rest = {.at = answer, .size = (size_t)got};
        const struct nlmsghdr *message;
        while ((message = netlink_next(&rest)) != NULL) {
            if (message->nlmsg_type == NLMSG_DONE)
                return 0;
            if (message->nlmsg_type == NLMSG_ERROR)
                return kernel_error(e, message, "netlink dump");
            if (each(data, message) < 0)
                return 0;
        }
    }
}
