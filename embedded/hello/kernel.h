/*
 * What hello needs of the kernel, without a C library, so that it is small and cross-compiles with
 * a bare compiler. Numbers and layouts are those of the kernel's ABI on x86-64 and arm64.
 */
#ifndef HELLO_KERNEL_H
#define HELLO_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
enum {
    SYS_READ = 0,
    SYS_WRITE = 1,
    SYS_CLOSE = 3,
    SYS_RT_SIGPROCMASK = 14,
    SYS_SOCKET = 41,
    SYS_SENDTO = 44,
    SYS_SHUTDOWN = 48,
    SYS_BIND = 49,
    SYS_LISTEN = 50,
    SYS_SETSOCKOPT = 54,
    SYS_UNAME = 63,
    SYS_CLOCK_GETTIME = 228,
    SYS_EXIT_GROUP = 231,
    SYS_PPOLL = 271,
    SYS_ACCEPT4 = 288,
    SYS_SIGNALFD4 = 289
};

static inline long call6(long n, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
enum {
    SYS_CLOSE = 57,
    SYS_READ = 63,
    SYS_WRITE = 64,
    SYS_PPOLL = 73,
    SYS_SIGNALFD4 = 74,
    SYS_EXIT_GROUP = 94,
    SYS_CLOCK_GETTIME = 113,
    SYS_RT_SIGPROCMASK = 135,
    SYS_UNAME = 160,
    SYS_SOCKET = 198,
    SYS_BIND = 200,
    SYS_LISTEN = 201,
    SYS_SENDTO = 206,
    SYS_SETSOCKOPT = 208,
    SYS_SHUTDOWN = 210,
    SYS_ACCEPT4 = 242
};

static inline long call6(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "hello is for x86-64 and arm64"
#endif

/* The compiler may call these on its own. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

#define CALL(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

enum {
    AF_INET = 2,
    AF_INET6 = 10,
    SOCK_STREAM = 1,
    SOCK_NONBLOCK = 04000,
    SOCK_CLOEXEC = 02000000,
    SOL_SOCKET = 1,
    SO_REUSEADDR = 2,
    IPPROTO_IPV6 = 41,
    IPV6_V6ONLY = 26,
    SHUT_WR = 1,
    MSG_NOSIGNAL = 0x4000,
    POLLIN = 1,
    POLLOUT = 4,
    EINTR = 4,
    EAGAIN = 11,
    EAFNOSUPPORT = 97,
    SIGINT = 2,
    SIGPIPE = 13,
    SIGTERM = 15,
    SIG_BLOCK = 0,
    CLOCK_MONOTONIC = 1
};

struct pollfd {
    int fd;
    int16_t events;
    int16_t revents;
};

struct timespec {
    int64_t seconds;
    int64_t nanoseconds;
};

struct utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

/* sockaddr_in and sockaddr_in6: both begin with family and port. */
union address {
    struct {
        uint16_t family, port;
        uint8_t host[4], zero[8];
    } v4;
    struct {
        uint16_t family, port;
        uint32_t flow;
        uint8_t host[16];
        uint32_t scope;
    } v6;
};

#endif
