// SPDX-License-Identifier: Apache-2.0
// Ways to an address that is denied, without a race.

#include "attack.h"
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

static int open_socket(int family, int type, int protocol) {
    return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

// What came to the denied server came by this way. Loopback connections are there at once, or soon.
static void reached_by(const char *way, const struct server *denied) {
    struct pollfd ready = {.fd = denied->fd, .events = POLLIN};
    poll(&ready, 1, 5);
    if (has_come(denied))
        won(way);
}

static struct mmsghdr message_to(struct address *to) {
    static struct iovec data = {"x", 1};
    return (struct mmsghdr){.msg_hdr = {.msg_name = to, .msg_namelen = to->length, .msg_iov = &data, .msg_iovlen = 1}};
}

static void fast_open(void) {
    struct server denied = serve(internet("127.0.0.2", 0), SOCK_STREAM);
    struct mmsghdr message = message_to(&denied.at);
    int fd = open_socket(AF_INET, SOCK_STREAM, 0), on = 1;
    sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &denied.at.any, denied.at.length);
    reached_by("sendto", &denied);
    sendmsg(open_socket(AF_INET, SOCK_STREAM, 0), &message.msg_hdr, MSG_FASTOPEN | MSG_NOSIGNAL);
    reached_by("sendmsg", &denied);
    syscall(SYS_sendmmsg, open_socket(AF_INET, SOCK_STREAM, 0), &message, 1, MSG_FASTOPEN | MSG_NOSIGNAL);
    reached_by("sendmmsg", &denied);
    syscall(SYS_sendto, open_socket(AF_INET, SOCK_STREAM, 0), "x", 1, (1UL << 32) | MSG_FASTOPEN | MSG_NOSIGNAL,
            &denied.at, (unsigned long)denied.at.length);
    reached_by("sendto with high bits", &denied);
    fd = open_socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on);
    connect(fd, &denied.at.any, denied.at.length);
    (void)!send(fd, "x", 1, MSG_NOSIGNAL);
    reached_by("TCP_FASTOPEN_CONNECT", &denied);
}

static void protocols(void) {
    static const struct {
        const char *name;
        int type, protocol;
    } PROTOCOLS[] = {
        {"mptcp", SOCK_STREAM, 262}, {"sctp", SOCK_STREAM, 132}, {"sctp packets", SOCK_SEQPACKET, 132},
        {"dccp", 6, 33},             {"udplite", SOCK_DGRAM, 136}, {"raw", SOCK_RAW, IPPROTO_RAW},
        {"l2tp", SOCK_DGRAM, 115},   {"smc", SOCK_STREAM, 256},
    };
    struct server denied = serve(internet("127.0.0.2", 0), SOCK_STREAM);
    for (size_t index = 0; index < sizeof PROTOCOLS / sizeof *PROTOCOLS; index++) {
        int fd = open_socket(AF_INET, PROTOCOLS[index].type, PROTOCOLS[index].protocol);
        if (fd < 0)
            continue;
        // that there is one is enough: no rule speaks of it
        won(PROTOCOLS[index].name);
        connect(fd, &denied.at.any, denied.at.length);
        reached_by("by another protocol", &denied);
    }
}

static void families(void) {
    static const struct {
        const char *name;
        int family, type, protocol;
    } FAMILIES[] = {
        {"packet", AF_PACKET, SOCK_RAW, 0x300},  {"packet datagrams", AF_PACKET, SOCK_DGRAM, 0},
        {"icmp", AF_INET, SOCK_RAW, 1},          {"ping", AF_INET, SOCK_DGRAM, 1},
        {"vsock", AF_VSOCK, SOCK_STREAM, 0},     {"netlink audit", AF_NETLINK, SOCK_RAW, 9},
        {"netlink xfrm", AF_NETLINK, SOCK_RAW, 6}, {"netlink netfilter", AF_NETLINK, SOCK_RAW, 12},
        {"netlink diag", AF_NETLINK, SOCK_RAW, 4}, {"netlink generic", AF_NETLINK, SOCK_RAW, 16},
        {"netlink uevent", AF_NETLINK, SOCK_RAW, 15}, {"alg", AF_ALG, SOCK_SEQPACKET, 0},
        {"rxrpc", AF_RXRPC, SOCK_DGRAM, 2},      {"xdp", 44, SOCK_RAW, 0},
        {"tipc", AF_TIPC, SOCK_STREAM, 0},       {"can", AF_CAN, SOCK_RAW, 1},
        {"bluetooth", AF_BLUETOOTH, SOCK_STREAM, 3}, {"key", AF_KEY, SOCK_RAW, 2},
        {"smc", 43, SOCK_STREAM, 0},             {"qrtr", 42, SOCK_DGRAM, 0},
    };
    for (size_t index = 0; index < sizeof FAMILIES / sizeof *FAMILIES; index++)
        if (open_socket(FAMILIES[index].family, FAMILIES[index].type, FAMILIES[index].protocol) >= 0)
            won(FAMILIES[index].name);
}

// Sockets whose packets name their receivers themselves, where every address but the denied ones may be
// connected to. The kernel takes the first kind for one of AF_PACKET, and looks at no bits beyond these.
static void past_addresses(void) {
    enum { PACKETS = 10 };
    static const struct {
        const char *name;
        unsigned long family, type, protocol;
    } SOCKETS[] = {
        {"packets of old", AF_INET, PACKETS, 0x300},
        {"packets of old, and a flag", AF_INET, PACKETS | SOCK_CLOEXEC | SOCK_NONBLOCK, 0x300},
        {"packets of old, with high bits", AF_INET | 1UL << 32, PACKETS | 1UL << 32, 0x300 | 1UL << 32},
        {"packets", AF_PACKET, SOCK_RAW, 0x300},
        {"packet datagrams", AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, 0x300},
        {"packets with high bits", AF_PACKET | 1UL << 32, SOCK_RAW | 1UL << 32, 0x300},
        {"headers", AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW},
        {"headers with high bits", AF_INET | 1UL << 32, SOCK_RAW | 1UL << 32, IPPROTO_RAW | 1UL << 32},
        {"headers of IPv6", AF_INET6, SOCK_RAW, IPPROTO_RAW},
        {"xdp", 44, SOCK_RAW, 0},
        {"rds", 21, SOCK_SEQPACKET, 0},
        {"pppox", 24, SOCK_STREAM, 1},
        {"tipc", AF_TIPC, SOCK_STREAM, 0},
        {"rxrpc", AF_RXRPC, SOCK_DGRAM, 2},
    };
    for (size_t index = 0; index < sizeof SOCKETS / sizeof *SOCKETS; index++)
        if (syscall(SYS_socket, SOCKETS[index].family, SOCKETS[index].type, SOCKETS[index].protocol) >= 0)
            won(SOCKETS[index].name);
}

static void datagrams(void) {
    struct server denied = serve(internet("127.0.0.2", 0), SOCK_DGRAM);
    struct address mapped = internet("::ffff:127.0.0.2", ntohs(denied.at.v4.sin_port)), unspecified = denied.at;
    struct mmsghdr messages[2] = {message_to(&denied.at), message_to(&denied.at)};
    int fd = open_socket(AF_INET, SOCK_DGRAM, 0), six = open_socket(AF_INET6, SOCK_DGRAM, 0);
    sendto(fd, "x", 1, 0, &denied.at.any, denied.at.length);
    reached_by("sendto", &denied);
    sendto(fd, NULL, 0, 0, &denied.at.any, denied.at.length);
    reached_by("sendto of nothing", &denied);
    sendto(fd, "x", 1, 0, &denied.at.any, 128);
    reached_by("sendto with a long address", &denied);
    unspecified.any.sa_family = AF_UNSPEC;
    sendto(fd, "x", 1, 0, &unspecified.any, unspecified.length);
    reached_by("sendto without a family", &denied);
    sendto(six, "x", 1, 0, &mapped.any, mapped.length);
    reached_by("sendto a mapped address", &denied);
    sendto(six, "x", 1, 0, &denied.at.any, denied.at.length);
    reached_by("sendto from IPv6", &denied);
    sendmsg(fd, &messages[0].msg_hdr, 0);
    reached_by("sendmsg", &denied);
    struct server allowed = serve(internet("127.0.0.1", 0), SOCK_DGRAM);
    messages[0] = message_to(&allowed.at);
    syscall(SYS_sendmmsg, fd, messages, 2, 0);
    reached_by("sendmmsg", &denied);
    if (!connect(fd, &denied.at.any, denied.at.length))
        (void)!write(fd, "x", 1);
    reached_by("connect", &denied);
    if (!connect(six, &mapped.any, mapped.length))
        (void)!write(six, "x", 1);
    reached_by("connect to a mapped address", &denied);
}

static void connect_by(const char *way, const char *path, const struct server *denied, int type) {
    struct address to = local(path);
    int fd = open_socket(AF_UNIX, type, 0);
    if (type == SOCK_DGRAM)
        sendto(fd, "x", 1, 0, &to.any, to.length);
    else
        connect(fd, &to.any, to.length);
    reached_by(way, denied);
    close(fd);
}

static void unix_paths(void) {
    struct server denied = serve(local("private/server"), SOCK_STREAM), letters = serve(local("private/letters"), SOCK_DGRAM);
    struct address endless = local("private/server");
    char by[64], absolute[PATH_MAX];
    connect_by("a path", "private/server", &denied, SOCK_STREAM);
    connect_by("dots", "open/../private/./server", &denied, SOCK_STREAM);
    connect_by("a link", "to-private/server", &denied, SOCK_STREAM);
    connect_by("a datagram", "private/letters", &letters, SOCK_DGRAM);
    connect_by("/proc/self/cwd", "/proc/self/cwd/private/server", &denied, SOCK_STREAM);
    snprintf(by, sizeof by, "/proc/self/fd/%d", open("private/server", O_PATH));
    connect_by("/proc/self/fd of the socket", by, &denied, SOCK_STREAM);
    snprintf(by, sizeof by, "/proc/self/fd/%d/server", open("private", O_PATH));
    connect_by("/proc/self/fd of the directory", by, &denied, SOCK_STREAM);
    if (getcwd(absolute, 64)) {
        strcat(absolute, "/private/server");
        connect_by("an absolute path", absolute, &denied, SOCK_STREAM);
    }
    int fd = open_socket(AF_UNIX, SOCK_STREAM, 0);
    connect(fd, &endless.any, endless.length - 1);
    reached_by("a path without an end", &denied);
    if (!symlink("../private/server", "open/link"))
        connect_by("a link in an allowed directory", "open/link", &denied, SOCK_STREAM);
    require(chdir("private"), "private");
    connect_by("the working directory", "server", &denied, SOCK_STREAM);
    connect_by("a datagram from the working directory", "letters", &letters, SOCK_DGRAM);
}

// With another root directory a path leads elsewhere than its text says: "jail/work/open/server" may not
// be reached, which is called as one in there that may; and one that is there for all others is not
// there for who has another root.
static void in_another_root(void) {
    struct server denied = serve(local("jail/work/open/server"), SOCK_STREAM), letters = serve(local("jail/work/open/letters"), SOCK_DGRAM);
    struct server linked = serve(local("jail/private/server"), SOCK_STREAM), outside = serve(local("open/outside"), SOCK_STREAM);
    struct server privates = serve(local("private/server"), SOCK_STREAM), privates_letters = serve(local("private/letters"), SOCK_DGRAM);
    int work = open(".", O_PATH | O_CLOEXEC), root = open("/", O_PATH | O_CLOEXEC);
    require(chdir("jail"), "jail");
    require(chroot("."), "chroot");
    connect_by("a name of the new root's", "/work/open/server", &denied, SOCK_STREAM);
    connect_by("a datagram", "/work/open/letters", &letters, SOCK_DGRAM);
    connect_by("a link", "/to-private/server", &linked, SOCK_STREAM);
    connect_by("a way out", "/work/open/outside", &outside, SOCK_STREAM);
    connect_by("dots out", "../work/open/outside", &outside, SOCK_STREAM);
    require(chdir("work/open"), "work/open");
    connect_by("the working directory", "server", &denied, SOCK_STREAM);
    connect_by("a datagram from the working directory", "letters", &letters, SOCK_DGRAM);
    // outside of the root
    require(fchdir(work), "fchdir");
    connect_by("a working directory outside", "private/server", &privates, SOCK_STREAM);
    connect_by("dots outside", "../work/private/server", &privates, SOCK_STREAM);
    connect_by("a datagram from outside", "private/letters", &privates_letters, SOCK_DGRAM);
    require(fchdir(root), "fchdir");
}

static void abstract_names(void) {
    struct server denied = serve(local("@hidden"), SOCK_STREAM), letters = serve(local("@letters"), SOCK_DGRAM);
    connect_by("an abstract name", "@hidden", &denied, SOCK_STREAM);
    connect_by("a datagram", "@letters", &letters, SOCK_DGRAM);
    // that begins as an allowed path does
    struct server disguised = serve(local("@open/server"), SOCK_STREAM);
    connect_by("an abstract name like a path", "@open/server", &disguised, SOCK_STREAM);
}

// Reaching the metadata service fails for want of a route where the test runs; being allowed to try
// is enough. EOPNOTSUPP is how TCP Fast Open is refused to all, and EFAULT how a supervisor ends what
// it had no time for: they say that nothing was tried.
static void tried_by(const char *way, long result) {
    if (result >= 0 || (errno != EACCES && errno != EPERM && errno != EOPNOTSUPP && errno != EFAULT))
        won(way);
}

static void metadata_service(void) {
    static const char *const FORMS[] = {"169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "fd00:ec2::254"};
    for (size_t index = 0; index < sizeof FORMS / sizeof *FORMS; index++) {
        struct address to = internet(FORMS[index], 80);
        struct mmsghdr message = message_to(&to);
        int stream = open_socket(to.any.sa_family, SOCK_STREAM, 0), fd = open_socket(to.any.sa_family, SOCK_DGRAM, 0);
        tried_by(FORMS[index], connect(stream, &to.any, to.length));
        tried_by("a long address", connect(open_socket(to.any.sa_family, SOCK_STREAM, 0), &to.any, 128));
        tried_by("a datagram", connect(fd, &to.any, to.length));
        tried_by("sendto", sendto(open_socket(to.any.sa_family, SOCK_DGRAM, 0), "x", 1, 0, &to.any, to.length));
        tried_by("sendmsg", sendmsg(open_socket(to.any.sa_family, SOCK_DGRAM, 0), &message.msg_hdr, 0));
        tried_by("fast open", sendto(open_socket(to.any.sa_family, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                                     &to.any, to.length));
    }
}

// The address that is none is the loopback's; a port there is denied.
static void unspecified(void) {
    static const char *const FORMS[] = {"127.0.0.1", "0.0.0.0", "::", "::1", "::ffff:0.0.0.0", "::ffff:127.0.0.1"};
    struct server denied = serve(internet("127.0.0.1", 7777), SOCK_STREAM), six = serve(internet("::1", 7777), SOCK_STREAM);
    for (size_t index = 0; index < sizeof FORMS / sizeof *FORMS; index++) {
        struct address to = internet(FORMS[index], 7777);
        connect(open_socket(to.any.sa_family, SOCK_STREAM, 0), &to.any, to.length);
        reached_by(FORMS[index], &denied);
        reached_by(FORMS[index], &six);
    }
}

static void everybodys(void) {
    static const char *const FORMS[] = {"0.0.0.0", "::", "::ffff:0.0.0.0"};
    for (size_t index = 0; index < sizeof FORMS / sizeof *FORMS; index++)
        for (int stream = 0; stream < 2; stream++) {
            struct address at = internet(FORMS[index], 0);
            int fd = open_socket(at.any.sa_family, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
            if (!bind(fd, &at.any, at.length))
                won(stream ? "bind" : "bind of datagrams");
        }
    if (!listen(open_socket(AF_INET, SOCK_STREAM, 0), 1) || !listen(open_socket(AF_INET6, SOCK_STREAM, 0), 1))
        won("listen without bind");
}

const struct attack NETWORK_ATTACKS[] = {
    {"LL-11", fast_open},
    {"LL-12", protocols},
    {"LL-14", datagrams},
    {"LL-15", families},
    {"LL-15-past-addresses", past_addresses},
    {"LL-16", unix_paths},
    {"NT-08-connect-root", in_another_root},
    {"LL-17", abstract_names},
    {"NE-04", metadata_service},
    {"NE-04-unspecified", unspecified},
    {"NE-11", everybodys},
    {NULL, NULL},
};
