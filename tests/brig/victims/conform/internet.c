// SPDX-License-Identifier: Apache-2.0
// TCP: connecting, binding, listening, on the loopback of IPv4 and IPv6.

#include "sockets.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

struct address internet(const char *text, int port) {
    struct address address = {.length = sizeof address.v4};
    if (strchr(text, ':')) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
        address.length = sizeof address.v6;
        inet_pton(AF_INET6, text, &address.v6.sin6_addr);
    } else {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
        inet_pton(AF_INET, text, &address.v4.sin_addr);
    }
    return address;
}

int open_socket(int family, int type) {
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    require(fd, "socket");
    return fd;
}

int serve(struct address *at, int type) {
    int fd = open_socket(at->any.sa_family, type);
    require(bind(fd, &at->any, at->length), "bind");
    if (type != SOCK_DGRAM)
        require(listen(fd, 8), "listen");
    socklen_t length = sizeof at->storage;
    require(getsockname(fd, &at->any, &length), "getsockname");
    at->length = length;
    return fd;
}

long connect_to(int fd, const struct address *to) {
    return syscall(SYS_connect, fd, to, (unsigned long)to->length);
}

static void say_address(const char *which, const struct address *address, long result) {
    char text[64] = "?";
    if (result < 0)
        return say(" %s=%s", which, strerrorname_np(errno));
    if (address->any.sa_family == AF_INET)
        inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof text);
    else if (address->any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof text);
    int port = ntohs(address->v4.sin_port);
    say(" %s=%s:%s", which, text, port ? "port" : "0");
}

void say_names(int fd) {
    struct address address;
    socklen_t length = sizeof address.storage;
    say_address("own", &address, getsockname(fd, &address.any, &length));
    length = sizeof address.storage;
    say_address("peer", &address, getpeername(fd, &address.any, &length));
}

void say_pending_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    say(" pending=%s", error ? strerrorname_np(error) : "0");
}

struct route {
    const char *server, *client;
};

static void try_route(const void *argument) {
    const struct route *route = argument;
    struct address at = internet(route->server, 0);
    int server = serve(&at, SOCK_STREAM);
    struct address to = internet(route->client, ntohs(at.v4.sin_port));
    int fd = open_socket(to.any.sa_family, SOCK_STREAM);
    say_result(connect_to(fd, &to));
    say_names(fd);
    say(" flags=%o", fcntl(fd, F_GETFL));
    say_result(connect_to(fd, &to));
    say_result(send(fd, "hello", 5, MSG_NOSIGNAL));
    struct pollfd ready = {.fd = server, .events = POLLIN};
    if (poll(&ready, 1, 0) != 1)
        return say(" nobody came");
    int peer = accept(server, NULL, NULL);
    char data[16] = "";
    say_result(recv(peer, data, sizeof data, 0));
    say(" %s", data);
    say_names(peer);
}

static void routes_cases(void) {
    static const struct route ROUTES[] = {
        {"127.0.0.1", "127.0.0.1"},        {"127.0.0.1", "0.0.0.0"},
        {"0.0.0.0", "127.0.0.1"},          {"0.0.0.0", "127.1.2.3"},
        {"::1", "::1"},                    {"::1", "::"},
        {"::", "127.0.0.1"},               {"::", "::ffff:127.0.0.1"},
        {"::ffff:127.0.0.1", "127.0.0.1"}, {"127.0.0.1", "::ffff:127.0.0.1"},
        {"127.0.0.1", "127.0.0.2"},        {"127.0.0.1", "::1"},
    };
    for (size_t index = 0; index < sizeof ROUTES / sizeof *ROUTES; index++)
        attempt(try_route, &ROUTES[index], "tcp from %s to %s", ROUTES[index].client, ROUTES[index].server);
}

static void try_not_blocking(const void *host) {
    struct address at = internet(host, 0);
    int server = serve(&at, SOCK_STREAM);
    int fd = open_socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK);
    long result = connect_to(fd, &at);
    // on the loopback the answer may already be there
    say(result < 0 && errno != EINPROGRESS ? " refused" : " begun");
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    say_result(poll(&ready, 1, 5000));
    say_pending_error(fd);
    say_result(connect_to(fd, &at));
    say_result(connect_to(fd, &at));
    say(" flags=%o", fcntl(fd, F_GETFL));
    close(server);
}

static void try_refused(const void *host) {
    struct address at = internet(host, 0);
    close(serve(&at, SOCK_STREAM));
    int fd = open_socket(at.any.sa_family, SOCK_STREAM);
    say_result(connect_to(fd, &at));
    say_result(connect_to(fd, &at));
    say_pending_error(fd);
    int other = open_socket(at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK);
    connect_to(other, &at);
    struct pollfd ready = {.fd = other, .events = POLLOUT};
    say_result(poll(&ready, 1, 5000));
    say_pending_error(other);
}

static void try_dissolve(const void *argument) {
    (void)argument;
    struct address at = internet("127.0.0.1", 0), none = {.length = sizeof(sa_family_t)};
    serve(&at, SOCK_STREAM);
    int fd = open_socket(AF_INET, SOCK_STREAM);
    say_result(connect_to(fd, &none));
    say_result(connect_to(fd, &at));
    none.any.sa_family = AF_UNSPEC;
    say_result(connect_to(fd, &none));
    none.length = sizeof none.v4;
    say_result(connect_to(fd, &none));
    say_names(fd);
    say_result(connect_to(fd, &at));
}

struct lengths {
    int family;
    unsigned long length;
    long number;
};

static void try_length(const void *argument) {
    const struct lengths *lengths = argument;
    struct address at = internet(lengths->family == AF_INET ? "127.0.0.1" : "::1", 0);
    if (lengths->number == SYS_connect)
        serve(&at, SOCK_STREAM);
    int fd = open_socket(lengths->family, SOCK_STREAM);
    say_result(syscall(lengths->number, fd, &at, lengths->length));
    say_names(fd);
}

static void lengths_cases(void) {
    static const unsigned long LENGTHS[] = {0, 1, 2, 7, 8, 15, 16, 17, 24, 27, 28, 29, 127, 128, 129, 4096,
                                            0x7fffffff, 0x80000000, 0xffffffff, 0x100000010, 0x10000001c};
    static const struct {
        const char *name;
        long number;
    } CALLS[] = {{"connect", SYS_connect}, {"bind", SYS_bind}};
    for (size_t call = 0; call < 2; call++)
        for (size_t index = 0; index < sizeof LENGTHS / sizeof *LENGTHS; index++)
            for (int six = 0; six < 2; six++) {
                struct lengths lengths = {six ? AF_INET6 : AF_INET, LENGTHS[index], CALLS[call].number};
                attempt(try_length, &lengths, "%s with length %#lx, %s", CALLS[call].name, LENGTHS[index],
                        six ? "tcp6" : "tcp");
            }
}

// A call with a descriptor that is no socket, or an address that is none.
static void try_wrong(const void *argument) {
    long number = *(const long *)argument;
    struct address at = internet("127.0.0.1", 0), six = internet("::1", 0);
    int other = serve(&at, SOCK_STREAM);
    int four = open_socket(AF_INET, SOCK_STREAM), both = open_socket(AF_INET6, SOCK_STREAM);
    six.v6.sin6_port = at.v4.sin_port;
    say_result(syscall(number, 99, &at, at.length));
    say_result(syscall(number, -1, &at, at.length));
    say_result(syscall(number, open("file", O_RDONLY), &at, at.length));
    say_result(syscall(number, open("file", O_PATH), &at, at.length));
    say_result(syscall(number, four, NULL, at.length));
    say_result(syscall(number, four, 1, at.length));
    say_result(syscall(number, four, 1, 0));
    say_result(syscall(number, 99, 1, at.length));
    say_result(syscall(number, four, &six, six.length));
    say_result(syscall(number, both, &at, at.length));
    at.any.sa_family = 77;
    say_result(syscall(number, four, &at, at.length));
    at.any.sa_family = AF_UNIX;
    say_result(syscall(number, four, &at, at.length));
    at.any.sa_family = AF_INET;
    say_result(syscall(number, other, &at, at.length));
    say_names(four);
}

static void try_bind(const void *argument) {
    (void)argument;
    struct address at = internet("127.0.0.1", 0), foreign = internet("192.0.2.1", 0);
    int first = open_socket(AF_INET, SOCK_STREAM), second = open_socket(AF_INET, SOCK_STREAM);
    say_result(bind(first, &at.any, at.length));
    say_names(first);
    say_result(bind(first, &at.any, at.length));
    socklen_t length = sizeof at.storage;
    getsockname(first, &at.any, &length);
    say_result(bind(second, &at.any, at.length));
    say_result(bind(second, &foreign.any, foreign.length));
    int on = 1;
    setsockopt(first, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    say_result(bind(second, &at.any, at.length));
    say_result(listen(first, 1));
    say_result(listen(second, 1));
    say_result(listen(99, 1));
    say_result(listen(open("file", O_RDONLY), 1));
}

static void try_bind_privileged(const void *who) {
    struct address at = internet("127.0.0.1", 80);
    if (*(const char *)who == 'u')
        require(syscall(SYS_setresuid, USER, USER, USER), "setresuid");
    int fd = open_socket(AF_INET, SOCK_STREAM);
    say_result(bind(fd, &at.any, at.length));
    say_result(listen(fd, -1));
    say_names(fd);
}

static void try_listen_without_bind(const void *argument) {
    (void)argument;
    int fd = open_socket(AF_INET, SOCK_STREAM);
    say_result(listen(fd, 1));
    say_names(fd);
    struct address at;
    socklen_t length = sizeof at.storage;
    getsockname(fd, &at.any, &length);
    at.length = length;
    say_result(connect_to(fd, &at));
    int client = open_socket(AF_INET, SOCK_STREAM);
    say_result(connect_to(client, &at));
    say_result(listen(client, 1));
    say_result(bind(client, &at.any, at.length));
}

static void try_fast_open(const void *argument) {
    (void)argument;
    struct address at = internet("127.0.0.1", 0);
    serve(&at, SOCK_STREAM);
    int fd = open_socket(AF_INET, SOCK_STREAM);
    say_result(sendto(fd, "x", 1, MSG_NOSIGNAL, &at.any, at.length));
    say_result(connect_to(fd, &at));
    // an address that a connected stream ignores
    struct address other = internet("192.0.2.1", 9);
    say_result(sendto(fd, "x", 1, MSG_NOSIGNAL, &other.any, other.length));
    say_result(send(fd, "x", 1, MSG_OOB));
    say_result(send(fd, "x", 1, MSG_DONTWAIT | MSG_MORE));
}

static void try_unreachable(const void *host) {
    struct address to = internet(host, 9);
    int fd = open_socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK);
    long result = connect_to(fd, &to);
    // where the test runs on a host with a network, the answer would be another
    say(result < 0 ? " not connected" : " connected");
}

static void try_with_options(const void *argument) {
    (void)argument;
    struct address at = internet("127.0.0.1", 0), from = internet("127.0.0.9", 0);
    serve(&at, SOCK_STREAM);
    int fd = open_socket(AF_INET, SOCK_STREAM), on = 1;
    say_result(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    say_result(bind(fd, &from.any, from.length));
    say_result(connect_to(fd, &at));
    say_names(fd);
    int got = 0;
    socklen_t length = sizeof got;
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &got, &length);
    say(" nodelay=%d", got);
    say_result(shutdown(fd, SHUT_WR));
    say_result(send(fd, "x", 1, MSG_NOSIGNAL));
}

void internet_cases(void) {
    static const long CONNECT = SYS_connect, BIND = SYS_bind;
    routes_cases();
    attempt(try_not_blocking, "127.0.0.1", "tcp without blocking");
    attempt(try_not_blocking, "::1", "tcp6 without blocking");
    attempt(try_refused, "127.0.0.1", "tcp to nobody");
    attempt(try_refused, "::1", "tcp6 to nobody");
    attempt(try_dissolve, NULL, "tcp disconnected");
    lengths_cases();
    attempt(try_wrong, &CONNECT, "connect with what is no socket or address");
    attempt(try_wrong, &BIND, "bind with what is no socket or address");
    attempt(try_bind, NULL, "bind to what is taken");
    attempt(try_bind_privileged, "root", "bind to a privileged port");
    attempt(try_bind_privileged, "user", "bind to a privileged port as a user");
    attempt(try_listen_without_bind, NULL, "listen without bind");
    attempt(try_fast_open, NULL, "sending to an address on a stream");
    attempt(try_unreachable, "192.0.2.1", "tcp to elsewhere");
    attempt(try_unreachable, "255.255.255.255", "tcp to everybody");
    attempt(try_unreachable, "fe80::1", "tcp6 to a link without a scope");
    attempt(try_with_options, NULL, "tcp from a chosen address");
}
