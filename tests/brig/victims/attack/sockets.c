// SPDX-License-Identifier: Apache-2.0
// Races about addresses: what is connected, bound or sent to is changed while a call is looked at.

#include "attack.h"
#include <linux/fs.h>
#include <stddef.h>
#include <sys/mman.h>

// Two addresses that take turns in one buffer.
struct flipped {
    struct address one, other, *buffer;
};

static void flip(void *argument) {
    const struct flipped *flipped = argument;
    memcpy(&flipped->buffer->storage, &flipped->other.storage, sizeof flipped->other.storage);
    linger();
    memcpy(&flipped->buffer->storage, &flipped->one.storage, sizeof flipped->one.storage);
    linger();
}

// A client that leaves no trace: closing it frees its port at once.
static int client(int family, int type) {
    const struct linger hard = {.l_onoff = 1, .l_linger = 0};
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    require(fd, "socket");
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return fd;
}

static void count(const struct server *denied, const struct server *allowed, const char *how) {
    has_come(allowed);
    for (int reached = has_come(denied); reached > 0; reached--)
        won(how);
}

static void connect_all_the_time(const struct address *to, int type, const struct server *denied, const struct server *allowed) {
    // as long as both: a longer one would tell them apart
    socklen_t length = allowed->at.length > denied->at.length ? allowed->at.length : denied->at.length;
    while (race_on()) {
        int fd = client(allowed->at.any.sa_family, type);
        long result = syscall(SYS_connect, fd, to, (unsigned long)length);
        if (type == SOCK_DGRAM && !result)
            (void)!send(fd, "x", 1, MSG_NOSIGNAL);
        close(fd);
        count(denied, allowed, "connected");
    }
}

static void connect_while_flipping(struct address one, struct address other, int type) {
    static struct address buffer;
    struct server allowed = serve(one, type), denied = serve(other, type);
    struct flipped flipped = {allowed.at, denied.at, &buffer};
    struct racer racer;
    buffer = allowed.at;
    begin(&racer, flip, &flipped);
    connect_all_the_time(&buffer, type, &denied, &allowed);
    end(&racer);
    count(&denied, &allowed, "connected");
}

// The address lies in memory that another process shares.
static void by_process(void) {
    struct address *buffer = mmap(NULL, sizeof *buffer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct server allowed = serve(internet("127.0.0.1", 0), SOCK_STREAM), denied = serve(internet("127.0.0.2", 0), SOCK_STREAM);
    struct flipped flipped = {allowed.at, denied.at, buffer};
    *buffer = allowed.at;
    pid_t child = begin_process(flip, &flipped);
    connect_all_the_time(buffer, SOCK_STREAM, &denied, &allowed);
    end_process(child);
}

static void tcp(void) {
    connect_while_flipping(internet("127.0.0.1", 0), internet("127.0.0.2", 0), SOCK_STREAM);
}

static void mapped(void) {
    connect_while_flipping(internet("::ffff:127.0.0.1", 0), internet("::ffff:127.0.0.2", 0), SOCK_STREAM);
}

static void udp(void) {
    connect_while_flipping(internet("127.0.0.1", 0), internet("127.0.0.2", 0), SOCK_DGRAM);
}

static void port(void) {
    connect_while_flipping(internet("127.0.0.1", 0), internet("127.0.0.1", 7777), SOCK_STREAM);
}

static void unix_name(void) {
    connect_while_flipping(local("open/server"), local("private/server"), SOCK_STREAM);
}

static void unix_abstract(void) {
    connect_while_flipping(local("open/server"), local("@hidden/server"), SOCK_STREAM);
}

// Sending: the address itself, or one of the structures that lead to it.
enum part { THE_ADDRESS, THE_POINTER, THE_LENGTH, THE_SECOND, THE_VECTOR };

static struct sending {
    struct server allowed, denied;
    struct address buffer;
    struct mmsghdr messages[2];
    struct iovec data;
    enum part part;
} sending;

static void flip_part(void *argument) {
    struct sending *it = argument;
    struct msghdr *last = &it->messages[it->part == THE_SECOND].msg_hdr;
    struct flipped flipped = {it->allowed.at, it->denied.at, &it->buffer};
    switch (it->part) {
    case THE_POINTER:
    case THE_SECOND:
        *(void *volatile *)&last->msg_name = &it->denied.at;
        linger();
        *(void *volatile *)&last->msg_name = &it->allowed.at;
        break;
    case THE_LENGTH:
        *(volatile socklen_t *)&last->msg_namelen = it->denied.at.length;
        linger();
        *(volatile socklen_t *)&last->msg_namelen = 0;
        break;
    case THE_VECTOR:
        // more than can be sent: an error that a supervisor may leave to the kernel
        *(volatile size_t *)&last->msg_iovlen = 2000;
        linger();
        *(volatile size_t *)&last->msg_iovlen = 1;
        break;
    case THE_ADDRESS: return flip(&flipped);
    }
    linger();
}

static void send_while_flipping(enum part part, long (*send_one)(int fd)) {
    sending.allowed = serve(internet("127.0.0.1", 0), SOCK_DGRAM);
    sending.denied = serve(internet("127.0.0.2", 0), SOCK_DGRAM);
    sending.buffer = part == THE_VECTOR ? sending.denied.at : sending.allowed.at;
    sending.part = part;
    sending.data = (struct iovec){"x", 1};
    void *first = part == THE_LENGTH ? (void *)&sending.denied.at : (void *)&sending.buffer;
    for (int index = 0; index < 2; index++)
        sending.messages[index].msg_hdr = (struct msghdr){.msg_name = index ? (void *)&sending.allowed.at : first,
            .msg_namelen = sending.allowed.at.length, .msg_iov = &sending.data, .msg_iovlen = 1};
    int fd = client(AF_INET, SOCK_DGRAM);
    struct racer racer;
    begin(&racer, flip_part, &sending);
    while (race_on()) {
        send_one(fd);
        count(&sending.denied, &sending.allowed, "sent");
    }
    end(&racer);
}

static long by_sendto(int fd) {
    return syscall(SYS_sendto, fd, "x", 1, MSG_DONTWAIT, &sending.buffer, (unsigned long)sending.allowed.at.length);
}

static long by_sendmsg(int fd) {
    return syscall(SYS_sendmsg, fd, &sending.messages[0].msg_hdr, MSG_DONTWAIT);
}

static long by_sendmmsg(int fd) {
    return syscall(SYS_sendmmsg, fd, sending.messages, 2, MSG_DONTWAIT);
}

#define SENDING(name, part, call) static void name(void) { send_while_flipping(part, call); }
SENDING(sendto_address, THE_ADDRESS, by_sendto)
SENDING(sendmsg_address, THE_ADDRESS, by_sendmsg)
SENDING(sendmsg_pointer, THE_POINTER, by_sendmsg)
SENDING(sendmsg_length, THE_LENGTH, by_sendmsg)
SENDING(sendmsg_vector, THE_VECTOR, by_sendmsg)
SENDING(sendmmsg_second, THE_SECOND, by_sendmmsg)

// A stream may not go where a datagram may.
struct kinds {
    int stream, datagram, number;
};

static void swap_kinds(void *argument) {
    const struct kinds *kinds = argument;
    dup2(kinds->stream, kinds->number);
    linger();
    dup2(kinds->datagram, kinds->number);
    linger();
}

static void number(void) {
    struct server denied = serve(internet("127.0.0.3", 0), SOCK_STREAM);
    struct kinds kinds = {client(AF_INET, SOCK_STREAM), client(AF_INET, SOCK_DGRAM), 60};
    struct racer racer;
    require(dup2(kinds.datagram, kinds.number), "dup2");
    begin(&racer, swap_kinds, &kinds);
    while (race_on()) {
        syscall(SYS_connect, kinds.number, &denied.at, (unsigned long)denied.at.length);
        if (!has_come(&denied))
            continue;
        won("connected");
        // one that is connected cannot be so again
        int stream = client(AF_INET, SOCK_STREAM);
        require(dup2(stream, kinds.stream), "dup2");
        close(stream);
    }
    end(&racer);
}

static void bound(void) {
    static struct address buffer;
    struct flipped flipped = {internet("127.0.0.1", 0), internet("0.0.0.0", 0), &buffer};
    struct racer racer;
    buffer = flipped.one;
    begin(&racer, flip, &flipped);
    while (race_on()) {
        struct address own = {.length = 0};
        socklen_t length = sizeof own.storage;
        int fd = client(AF_INET, SOCK_STREAM);
        long result = syscall(SYS_bind, fd, &buffer, (unsigned long)flipped.one.length);
        if (!result && !getsockname(fd, &own.any, &length) && !own.v4.sin_addr.s_addr)
            won("bound");
        close(fd);
    }
    end(&racer);
}

static void exchange_directories(void *argument) {
    (void)argument;
    syscall(SYS_renameat2, AT_FDCWD, "to-open", AT_FDCWD, "to-private", RENAME_EXCHANGE);
    linger();
}

static void unix_link(void) {
    struct server allowed = serve(local("open/server"), SOCK_STREAM), denied = serve(local("private/server"), SOCK_STREAM);
    struct address by = local("to-open/server");
    struct racer racer;
    begin(&racer, exchange_directories, NULL);
    while (race_on()) {
        int fd = client(AF_UNIX, SOCK_STREAM);
        syscall(SYS_connect, fd, &by, (unsigned long)by.length);
        close(fd);
        count(&denied, &allowed, "connected");
    }
    end(&racer);
}

const struct attack SOCKET_RACES[] = {
    {"NT-02-connect", tcp},
    {"NT-02-connect-process", by_process},
    {"NT-02-connect-mapped", mapped},
    {"NT-02-connect-datagram", udp},
    {"NT-02-connect-port", port},
    {"NT-02-connect-unix", unix_name},
    {"NT-02-connect-abstract", unix_abstract},
    {"NT-02-sendto", sendto_address},
    {"NT-02-sendmsg-address", sendmsg_address},
    {"NT-02-sendmsg-pointer", sendmsg_pointer},
    {"NT-02-sendmsg-length", sendmsg_length},
    {"NT-02-sendmsg-vector", sendmsg_vector},
    {"NT-02-sendmmsg-second", sendmmsg_second},
    {"NT-02-number", number},
    {"NT-02-bind", bound},
    {"NT-18-connect-link", unix_link},
    {NULL, NULL},
};
