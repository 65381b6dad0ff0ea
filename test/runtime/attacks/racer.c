/*
 * What an attacker does beside a runtime, for test/runtime/escapes.test.ts:
 *  racer exchange A B   exchanges two paths for ever
 *  racer away A B       renames A to B and back for ever
 *  racer console S      takes terminals at the unix socket S and holds them
 * Ends when standard input does.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Exchanges between two looks at standard input. */
#define BATCH 2000

static int is_over(int wait_ms)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    return poll(&in, 1, wait_ms) > 0;
}

static void race(const char *a, const char *b, unsigned int flags)
{
    while (!is_over(0))
        for (int i = 0; i < BATCH; i++) {
            renameat2(AT_FDCWD, a, AT_FDCWD, b, flags);
            renameat2(AT_FDCWD, b, AT_FDCWD, a, flags);
        }
}

static int hold_terminals(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 9) < 0)
        return 1;
    puts("listening");
    fflush(stdout);
    while (!is_over(1)) {
        char byte[4096], control[CMSG_SPACE(sizeof(int))];
        struct iovec data = {.iov_base = byte, .iov_len = sizeof byte};
        struct msghdr message = {.msg_iov = &data,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        int connection = accept(listener, NULL, NULL);
        /* What is received is never closed: the terminal stays. */
        if (connection >= 0)
            recvmsg(connection, &message, 0);
        close(connection);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "exchange") == 0)
        race(argv[2], argv[3], RENAME_EXCHANGE);
    else if (argc == 4 && strcmp(argv[1], "away") == 0)
        race(argv[2], argv[3], 0);
    else if (argc == 3 && strcmp(argv[1], "console") == 0)
        return hold_terminals(argv[2]);
    else
        return 2;
    return 0;
}
