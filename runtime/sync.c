#include "sync.h"

#include "clean.h"
#include "container.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct packet {
    char kind;
    struct error error;
};

int sync_pair(struct error *e, int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, errno, "socketpair");
    return 0;
}

int sync_send(struct error *e, int fd, char kind)
{
    if (send(fd, &kind, 1, MSG_NOSIGNAL) != 1)
        return err_set(e, errno, "talk to the container's process");
    return 0;
}

void sync_send_error(int fd, const struct error *e)
{
    struct packet packet = {.kind = SYNC_ERROR, .error = *e};
    /* Nobody may listen any more; then there is nobody to tell. */
    (void)!send(fd, &packet, sizeof packet, MSG_NOSIGNAL);
}

/* Receives one packet and a passed fd. Returns its size, 0 at the end. */
static ssize_t receive(int fd, struct packet *packet, int *passed)
{
    struct iovec data = {.iov_base = packet, .iov_len = sizeof *packet};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_type == SCM_RIGHTS && passed != NULL)
        memcpy(passed, CMSG_DATA(header), sizeof *passed);
    return got;
}

static int take_error(struct error *e, const struct packet *packet, ssize_t size)
{
    if (size == (ssize_t)sizeof *packet && packet->kind == SYNC_ERROR) {
        *e = packet->error;
        e->message[sizeof e->message - 1] = '\0';
        return -1;
    }
    if (size <= 0)
        return err_set(e, 0, "the container's process ended while it was set up");
    return err_set(e, EPROTO, "unexpected message from the container's process");
}

int sync_expect(struct error *e, int fd, char kind)
{
    struct packet packet;
    ssize_t size = receive(fd, &packet, NULL);
    return size == 1 && packet.kind == kind ? 0 : take_error(e, &packet, size);
}

int sync_expect_data(struct error *e, int fd, void *data, size_t size)
{
    size_t room = size > sizeof(struct packet) ? size : sizeof(struct packet);
    cleanup_free void *buffer = calloc(1, room);
    ssize_t got;
    if (buffer == NULL)
        return err_set(e, ENOMEM, "talk to the container's process");
    do
        got = recv(fd, buffer, room, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)size)
        return take_error(e, buffer, got);
    memcpy(data, buffer, size);
    return 0;
}

int sync_expect_ready(struct error *e, int fd, int *master)
{
    struct packet packet;
    int passed = -1;
    ssize_t size = receive(fd, &packet, &passed);
    if (passed >= 0) {
        *master = passed;
        size = receive(fd, &packet, NULL);
    }
    return size == 1 && packet.kind == SYNC_READY ? 0 : take_error(e, &packet, size);
}

int sync_expect_end(struct error *e, int fd)
{
    struct packet packet;
    ssize_t size = receive(fd, &packet, NULL);
    return size <= 0 ? 0 : take_error(e, &packet, size);
}

int sync_next(struct error *e, int fd, int *master)
{
    struct packet packet;
    int passed = -1;
    ssize_t size = receive(fd, &packet, &passed);
    if (passed >= 0) {
        *master = passed;
        return 1;
    }
    return size <= 0 ? 0 : take_error(e, &packet, size);
}
