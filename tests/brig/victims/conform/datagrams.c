// SPDX-License-Identifier: Apache-2.0
// Datagrams: sendto, sendmsg, sendmmsg, on UDP and UNIX sockets.

#include "sockets.h"
#include <arpa/inet.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

static void say_received(int server) {
    for (;;) {
        char data[64] = "";
        struct address from = {0};
        socklen_t length = sizeof from.storage;
        ssize_t count = recvfrom(server, data, sizeof data - 1, MSG_DONTWAIT, &from.any, &length);
        if (count < 0)
            return;
        char text[128] = "";
        if (from.any.sa_family == AF_INET)
            inet_ntop(AF_INET, &from.v4.sin_addr, text, sizeof text);
        else if (from.any.sa_family == AF_INET6)
            inet_ntop(AF_INET6, &from.v6.sin6_addr, text, sizeof text);
        else if (length > sizeof(sa_family_t))
            snprintf(text, sizeof text, "%s", from.local.sun_path[0] ? from.local.sun_path : "abstract");
        say(" got(%zd)'%s' from %s", count, data, text);
    }
}

// A server and a client of the same kind.
struct both {
    int server, client;
    struct address at;
};

static struct both pair(const char *host) {
    struct both both = {.at = *host == '/' || *host == '@' ? local(host + (*host == '/')) : internet(host, 0)};
    both.server = serve(&both.at, SOCK_DGRAM);
    both.client = open_socket(both.at.any.sa_family, SOCK_DGRAM);
    return both;
}

static void try_sendto(const void *host) {
    struct both both = pair(host);
    const struct address *at = &both.at;
    say_result(sendto(both.client, "one", 3, 0, &at->any, at->length));
    say_result(sendto(both.client, "", 0, 0, &at->any, at->length));
    say_result(sendto(both.client, "two", 3, MSG_DONTWAIT | MSG_NOSIGNAL, &at->any, at->length));
    say_result(sendto(both.client, "three", 5, MSG_CONFIRM, &at->any, at->length));
    say_result(sendto(both.client, "x", 1, MSG_OOB, &at->any, at->length));
    say_result(sendto(both.client, (char *)1, 3, 0, &at->any, at->length));
    say_result(sendto(both.client, NULL, 0, 0, &at->any, at->length));
    say_result(sendto(both.client, "x", 1, 0, (struct sockaddr *)1, at->length));
    say_result(sendto(both.client, "x", 1, 0, NULL, 0));
    say_result(sendto(both.client, "x", 1, 0, NULL, at->length));
    say_result(sendto(both.client, "x", 1, 0, &at->any, 0));
    say_result(sendto(both.client, "x", 1, 0, &at->any, 1));
    say_result(sendto(both.client, "x", 1, 0, &at->any, 129));
    say_result(sendto(both.client, "x", 1, 0, &at->any, (socklen_t)-1));
    say_result(sendto(99, "x", 1, 0, &at->any, at->length));
    say_result(sendto(open("file", O_RDONLY), "x", 1, 0, &at->any, at->length));
    say_received(both.server);
}

// Flags that are the kernel's own, or nobody's.
static void try_flags(const void *host) {
    static const unsigned FLAGS[] = {0x80000000, 0x40000000, 0x8000000, 0x10000, 0x20000, 0x80000, 0x100000, 0x400000, 0x2, 0x20, 0x8000};
    struct both both = pair(host);
    const struct address *at = &both.at;
    struct iovec part = {"one", 3};
    struct mmsghdr message = {.msg_hdr = {.msg_name = &both.at, .msg_namelen = at->length, .msg_iov = &part, .msg_iovlen = 1}};
    for (size_t index = 0; index < sizeof FLAGS / sizeof *FLAGS; index++) {
        unsigned flags = FLAGS[index] | MSG_DONTWAIT;
        say_result(syscall(SYS_sendto, both.client, "one", 3, flags, &at->any, at->length));
        say_result(syscall(SYS_sendto, 99, "one", 3, flags, &at->any, at->length));
        say_result(syscall(SYS_sendmsg, both.client, &message.msg_hdr, flags));
        say_result(syscall(SYS_sendmsg, 99, &message.msg_hdr, flags));
        say_result(syscall(SYS_sendmsg, both.client, 1, flags));
        say_result(syscall(SYS_sendmmsg, both.client, &message, 1, flags));
        say_result(syscall(SYS_sendmmsg, 99, &message, 1, flags));
        say_result(syscall(SYS_sendmmsg, both.client, &message, 0, flags));
    }
    say_received(both.server);
}

static void try_connected(const void *host) {
    struct both both = pair(host);
    struct address none = {.length = sizeof none.v4};
    say_result(connect_to(both.client, &both.at));
    say_result(send(both.client, "connected", 9, 0));
    say_result(write(both.client, "written", 7));
    say_result(sendto(both.client, "addressed", 9, 0, &both.at.any, both.at.length));
    say_result(connect_to(both.client, &none));
    say_result(send(both.client, "x", 1, 0));
    say_result(connect_to(both.client, &both.at));
    close(both.server);
    say_result(send(both.client, "x", 1, 0));
    say_result(send(both.client, "x", 1, 0));
}

static void try_sendmsg(const void *host) {
    struct both both = pair(host);
    struct iovec parts[] = {{"one", 3}, {"", 0}, {"two", 3}}, bad[] = {{"one", 3}, {(void *)1, 3}};
    struct msghdr message = {.msg_name = &both.at, .msg_namelen = both.at.length, .msg_iov = parts, .msg_iovlen = 3};
    say_result(sendmsg(both.client, &message, 0));
    message.msg_iovlen = 0;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_iovlen = IOV_MAX + 1;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_iovlen = (size_t)-1;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_iov = bad, message.msg_iovlen = 2;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_iov = (struct iovec *)1;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_iov = parts, message.msg_iovlen = 1, message.msg_namelen = 1;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_namelen = (socklen_t)-1;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_namelen = 4096;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_name = (void *)1, message.msg_namelen = both.at.length;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_name = NULL;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_namelen = 0;
    say_result(sendmsg(both.client, &message, 0));
    say_result(sendmsg(both.client, (struct msghdr *)1, 0));
    say_result(sendmsg(99, &message, 0));
    say_received(both.server);
}

static void try_control(const void *host) {
    struct both both = pair(host);
    char control[64] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_name = &both.at, .msg_namelen = both.at.length, .msg_iov = &part, .msg_iovlen = 1};
    message.msg_control = control;
    struct cmsghdr *header = (struct cmsghdr *)control;
    static const struct {
        size_t length, header;
    } LENGTHS[] = {{16, 0}, {16, 15}, {16, 16}, {15, 16}, {16, 17}, {8, 16}, {64, 16}, {0, 0}};
    for (size_t index = 0; index < sizeof LENGTHS / sizeof *LENGTHS; index++) {
        memset(control, 0, sizeof control);
        *header = (struct cmsghdr){.cmsg_len = LENGTHS[index].header, .cmsg_level = 9999, .cmsg_type = 1};
        message.msg_controllen = LENGTHS[index].length;
        say_result(sendmsg(both.client, &message, 0));
    }
    message.msg_controllen = (size_t)-1;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_controllen = INT_MAX;
    say_result(sendmsg(both.client, &message, 0));
    message.msg_control = (void *)1, message.msg_controllen = 16;
    say_result(sendmsg(both.client, &message, 0));
    say_received(both.server);
}

static void try_packet_info(const void *argument) {
    (void)argument;
    struct both both = pair("127.0.0.1");
    char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_name = &both.at, .msg_namelen = both.at.length, .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(header);
    info->ipi_spec_dst.s_addr = htonl(0x7f000007);
    say_result(sendmsg(both.client, &message, 0));
    say_received(both.server);
}

static void try_sendmmsg(const void *host) {
    struct both both = pair(host);
    struct iovec parts[] = {{"one", 3}, {"two", 3}, {"three", 5}};
    struct mmsghdr messages[3] = {0};
    for (int index = 0; index < 3; index++)
        messages[index].msg_hdr = (struct msghdr){.msg_name = &both.at, .msg_namelen = both.at.length,
                                                  .msg_iov = &parts[index], .msg_iovlen = 1};
    say_result(syscall(SYS_sendmmsg, both.client, messages, 3, 0));
    say(" lengths %u %u %u", messages[0].msg_len, messages[1].msg_len, messages[2].msg_len);
    say_result(syscall(SYS_sendmmsg, both.client, messages, 0, 0));
    messages[1].msg_hdr.msg_name = (void *)1;
    messages[0].msg_len = messages[1].msg_len = 77;
    say_result(syscall(SYS_sendmmsg, both.client, messages, 3, 0));
    say(" lengths %u %u", messages[0].msg_len, messages[1].msg_len);
    say_result(syscall(SYS_sendmmsg, both.client, messages + 1, 1, 0));
    messages[1].msg_hdr.msg_name = &both.at, messages[1].msg_hdr.msg_iovlen = IOV_MAX + 1;
    say_result(syscall(SYS_sendmmsg, both.client, messages, 3, 0));
    say_result(syscall(SYS_sendmmsg, both.client, 1, 3, 0));
    say_result(syscall(SYS_sendmmsg, 99, messages, 3, 0));
    say_result(syscall(SYS_sendmmsg, both.client, messages, 1, 0xffffffff00000000UL));
    say_received(both.server);
}

// More than a kernel sends at once.
static void try_many(const void *argument) {
    (void)argument;
    struct both both = pair("127.0.0.1");
    static struct mmsghdr messages[1100];
    struct iovec part = {"x", 1};
    for (int index = 0; index < 1100; index++)
        messages[index].msg_hdr = (struct msghdr){.msg_name = &both.at, .msg_namelen = both.at.length,
                                                  .msg_iov = &part, .msg_iovlen = 1};
    say_result(syscall(SYS_sendmmsg, both.client, messages, 1100, 0));
    say_result(syscall(SYS_sendmmsg, both.client, messages, 0x80000000U, 0));
}

// The structure lies at the end of what is mapped.
static void try_edge(const void *argument) {
    (void)argument;
    struct both both = pair("127.0.0.1");
    long page = sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory + page, page, PROT_NONE);
    char *end = memory + page;
    memcpy(end - both.at.length, &both.at, both.at.length);
    say_result(sendto(both.client, "edge", 4, 0, (void *)(end - both.at.length), both.at.length));
    say_result(sendto(both.client, "edge", 4, 0, (void *)(end - both.at.length + 1), both.at.length));
    say_result(connect(both.client, (void *)(end - both.at.length), both.at.length));
    say_result(connect(both.client, (void *)(end - both.at.length + 1), both.at.length));
    struct iovec part = {"edge", 4};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    memcpy(end - sizeof message, &message, sizeof message);
    say_result(sendmsg(both.client, (void *)(end - sizeof message), 0));
    say_result(sendmsg(both.client, (void *)(end - sizeof message + 8), 0));
    mprotect(memory, page, PROT_READ);
    say_result(syscall(SYS_sendmmsg, both.client, end - sizeof(struct mmsghdr), 1, 0));
    say_received(both.server);
}

static void try_large(const void *host) {
    struct both both = pair(host);
    size_t size = 70000;
    char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say_result(sendto(both.client, data, size, 0, &both.at.any, both.at.length));
    say_result(sendto(both.client, data, 60000, 0, &both.at.any, both.at.length));
    say_result(sendto(both.client, data, (size_t)-1, 0, &both.at.any, both.at.length));
    char large[65536];
    say_result(recv(both.server, large, sizeof large, MSG_DONTWAIT));
}

static void try_many_targets(const void *argument) {
    (void)argument;
    static const char *const HOSTS[] = {"255.255.255.255", "127.255.255.255", "224.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"};
    for (size_t index = 0; index < sizeof HOSTS / sizeof *HOSTS; index++) {
        struct address to = internet(HOSTS[index], 9);
        int fd = open_socket(to.any.sa_family, SOCK_DGRAM);
        long result = sendto(fd, "x", 1, MSG_DONTWAIT, &to.any, to.length);
        // whether there is a route to it depends on the host
        if (result < 0 && errno != ENETUNREACH)
            say_result(result);
        else
            say(" routed");
    }
}

static void try_mixed(const void *argument) {
    (void)argument;
    struct both both = pair("::");
    struct address mapped = internet("::ffff:127.0.0.1", ntohs(both.at.v6.sin6_port));
    struct address four = internet("127.0.0.1", ntohs(both.at.v6.sin6_port));
    say_result(sendto(both.client, "mapped", 6, 0, &mapped.any, mapped.length));
    say_result(sendto(both.client, "four", 4, 0, &four.any, four.length));
    int client = open_socket(AF_INET, SOCK_DGRAM);
    say_result(sendto(client, "four", 4, 0, &four.any, four.length));
    say_result(sendto(client, "mapped", 6, 0, &mapped.any, mapped.length));
    four.any.sa_family = AF_UNSPEC;
    say_result(sendto(client, "unspecified", 11, 0, &four.any, four.length));
    say_received(both.server);
}

static void try_bind(const void *host) {
    struct both both = pair(host);
    say_result(bind(both.client, &both.at.any, both.at.length));
    say_result(bind(both.server, &both.at.any, both.at.length));
    say_result(listen(both.client, 1));
    say_names(both.server);
}

void datagrams_cases(void) {
    static const char *const HOSTS[] = {"127.0.0.1", "::1", "/server", "@conform"};
    for (size_t index = 0; index < sizeof HOSTS / sizeof *HOSTS; index++) {
        const char *host = HOSTS[index];
        attempt(try_sendto, host, "sendto %s", host);
        attempt(try_flags, host, "flags of datagrams to %s", host);
        attempt(try_connected, host, "connected datagrams to %s", host);
        attempt(try_sendmsg, host, "sendmsg %s", host);
        attempt(try_control, host, "sendmsg with control data to %s", host);
        attempt(try_sendmmsg, host, "sendmmsg %s", host);
        attempt(try_large, host, "large datagrams to %s", host);
        attempt(try_bind, host, "datagrams bound to %s", host);
    }
    attempt(try_packet_info, NULL, "sendmsg from a chosen address");
    attempt(try_many, NULL, "sendmmsg with many messages");
    attempt(try_edge, NULL, "structures at the end of memory");
    attempt(try_many_targets, NULL, "datagrams to many");
    attempt(try_mixed, NULL, "datagrams of two families");
}
