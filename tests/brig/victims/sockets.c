// SPDX-License-Identifier: Apache-2.0
// Tries to make sockets of many kinds, and to connect without connect(2). Prints each attempt with
// its error's number.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void told(const char *name, int result) {
    printf("%s %d\n", name, result < 0 ? errno : 0);
}

static void attempt(const char *name, int family, int type, int protocol) {
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    told(name, fd);
    if (fd >= 0)
        close(fd);
}

int main(void) {
    attempt("tcp", AF_INET, SOCK_STREAM, 0);
    attempt("tcp6", AF_INET6, SOCK_STREAM, IPPROTO_TCP);
    attempt("mptcp", AF_INET, SOCK_STREAM, 262);
    attempt("smc", 43, SOCK_STREAM, 0);
    attempt("udp", AF_INET, SOCK_DGRAM, 0);
    attempt("udp6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
    attempt("sctp", AF_INET, SOCK_STREAM, 132);
    attempt("raw", AF_INET, SOCK_RAW, IPPROTO_ICMP);
    attempt("unix", AF_UNIX, SOCK_STREAM, 0);
    attempt("netlink route", AF_NETLINK, SOCK_RAW, 0);
    attempt("netlink audit", AF_NETLINK, SOCK_RAW, 9);
    attempt("packet", AF_PACKET, SOCK_RAW, 0);
    attempt("vsock", 40, SOCK_STREAM, 0);
    attempt("alg", 38, SOCK_SEQPACKET, 0);
    int pair[2];
    told("socketpair unix", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    told("socketpair tipc", socketpair(30, SOCK_STREAM, 0, pair));

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct sockaddr *target = (struct sockaddr *)&address;
    told("fast open sendto", sendto(fd, "x", 1, MSG_FASTOPEN, target, sizeof address));
    struct iovec data = {.iov_base = "x", .iov_len = 1};
    struct msghdr message = {.msg_name = target, .msg_namelen = sizeof address, .msg_iov = &data, .msg_iovlen = 1};
    told("fast open sendmsg", sendmsg(fd, &message, MSG_FASTOPEN));
    told("listen", listen(fd, 1));
    char parameters[256];
    memset(parameters, 0, sizeof parameters);
    told("io_uring", syscall(SYS_io_uring_setup, 1, parameters));
    return 0;
}
