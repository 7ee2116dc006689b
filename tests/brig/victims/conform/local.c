// SPDX-License-Identifier: Apache-2.0
// UNIX sockets: names, credentials, descriptors that are sent.

#include "sockets.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

struct address local(const char *name) {
    struct address address = {.length = 0};
    address.local.sun_family = AF_UNIX;
    size_t length = strlen(name);
    memcpy(address.local.sun_path, name, length);
    if (*name == '@')
        address.local.sun_path[0] = 0;
    address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name != '@'));
    return address;
}

static void say_local(const char *which, const struct address *address, socklen_t length) {
    size_t used = length - offsetof(struct sockaddr_un, sun_path);
    const char *path = address->local.sun_path;
    // five digits: the kernel has chosen it
    if (used == 6 && !path[0] && strspn(path + 1, "0123456789abcdef") >= 5)
        say(" %s=@chosen(%u)", which, length);
    else if (length <= offsetof(struct sockaddr_un, sun_path))
        say(" %s=unnamed(%u)", which, length);
    else if (path[0])
        say(" %s=%.*s(%u)", which, (int)used, path, length);
    else
        say(" %s=@%.*s(%u)", which, (int)used - 1, path + 1, length);
}

static void say_locals(int fd) {
    struct address address;
    socklen_t length = sizeof address.storage;
    if (!getsockname(fd, &address.any, &length))
        say_local("own", &address, length);
    length = sizeof address.storage;
    if (!getpeername(fd, &address.any, &length))
        say_local("peer", &address, length);
    else
        say(" peer=%s", strerrorname_np(errno));
}

static void say_credentials(int fd, pid_t expected) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
        return say_result(-1);
    say(" peer %u:%u", peer.uid, peer.gid);
    if (expected)
        say(peer.pid == expected ? " pid the client's" : " pid another's");
}

struct meeting {
    const char *server, *client;
    int type;
};

static void try_meeting(const void *argument) {
    const struct meeting *meeting = argument;
    struct address at = local(meeting->server), to = local(meeting->client);
    int server = open_socket(AF_UNIX, meeting->type), fd = open_socket(AF_UNIX, meeting->type);
    umask(027);
    say_result(bind(server, &at.any, at.length));
    if (meeting->type != SOCK_DGRAM)
        say_result(listen(server, 4));
    say_result(connect_to(fd, &to));
    say_result(connect_to(fd, &to));
    say_locals(fd);
    if (meeting->type == SOCK_DGRAM)
        return;
    say_credentials(fd, 0);
    fcntl(server, F_SETFL, O_NONBLOCK);
    int peer = accept(server, NULL, NULL);
    if (peer < 0)
        return say_result(peer);
    say_locals(peer);
    say_credentials(peer, 0);
}

static void meetings_cases(void) {
    static const struct {
        const char *name;
        int type;
    } TYPES[] = {{"stream", SOCK_STREAM}, {"packets", SOCK_SEQPACKET}, {"datagrams", SOCK_DGRAM}};
    static const char *const NAMES[][2] = {
        {"server", "server"},          {"server", "./server"},   {"dir/server", "dirlink/server"},
        {"dirlink/server", "dir/server"}, {"@name", "@name"},    {"@name", "@nam"},
        {"setgid/server", "setgid/server"}, {"file", "file"},    {"absent/x", "absent/x"},
        {"dangling", "dangling"},      {"link", "link"},         {"nowhere", "dangling"},
        {"hollow/", "hollow/"},        {"server", "server/"},    {"fifo", "fifo"},
        {"sock", "sock"},              {"home/../server", "server"},
    };
    for (size_t type = 0; type < 3; type++)
        for (size_t name = 0; name < sizeof NAMES / sizeof *NAMES; name++) {
            struct meeting meeting = {NAMES[name][0], NAMES[name][1], TYPES[type].type};
            attempt(try_meeting, &meeting, "unix %s from %s to %s", TYPES[type].name, NAMES[name][1], NAMES[name][0]);
        }
}

static void try_names(const void *argument) {
    unsigned long length = *(const unsigned long *)argument;
    struct address at = local("@autobound-or-not");
    memset(at.local.sun_path + 20, 'x', sizeof at.local.sun_path - 20);
    int fd = open_socket(AF_UNIX, SOCK_STREAM);
    say_result(syscall(SYS_bind, fd, &at, length));
    struct address own;
    socklen_t size = sizeof own.storage;
    getsockname(fd, &own.any, &size);
    say(" length=%u", size);
    say_result(syscall(SYS_connect, fd, &at, length));
}

// Names without an end, and of the greatest length.
static void try_long_name(const void *argument) {
    unsigned long length = *(const unsigned long *)argument;
    struct address at = {.length = 0};
    at.local.sun_family = AF_UNIX;
    memset(at.local.sun_path, 'x', sizeof at.local.sun_path);
    int fd = open_socket(AF_UNIX, SOCK_STREAM), client = open_socket(AF_UNIX, SOCK_STREAM);
    say_result(syscall(SYS_bind, fd, &at, length));
    say_result(listen(fd, 1));
    say_locals(fd);
    say_result(syscall(SYS_connect, client, &at, length));
    say_locals(client);
}

static void names_cases(void) {
    static const unsigned long LENGTHS[] = {0, 1, 2, 3, 4, 10, 109, 110, 111, 128, 129, 0xffffffff, 0x100000005};
    for (size_t index = 0; index < sizeof LENGTHS / sizeof *LENGTHS; index++) {
        attempt(try_names, &LENGTHS[index], "an abstract name with length %#lx", LENGTHS[index]);
        attempt(try_long_name, &LENGTHS[index], "a path without end and length %#lx", LENGTHS[index]);
    }
}

// A client of other ids, and what the server sees of it.
static void try_credentials(const void *argument) {
    const uid_t *ids = argument;
    struct address at = local("server");
    int server = serve(&at, SOCK_STREAM), ready[2];
    require(chmod("server", 0666), "chmod");
    require(pipe(ready), "pipe");
    pid_t child = fork();
    if (!child) {
        syscall(SYS_setresgid, ids[1], ids[1], ids[1]);
        syscall(SYS_setresuid, ids[0], ids[2], 0);
        int fd = open_socket(AF_UNIX, SOCK_STREAM);
        long result = connect_to(fd, &at);
        char byte;
        close(ready[1]);
        // until the server has said what it sees
        (void)!read(ready[0], &byte, 1);
        say_result(result);
        say_credentials(fd, 0);
        _exit(0);
    }
    int peer = accept(server, NULL, NULL);
    say_credentials(peer, child);
    close(ready[1]);
    waitpid(child, NULL, 0);
}

static void try_permission(const void *argument) {
    mode_t mode = *(const mode_t *)argument;
    struct address at = local("server");
    serve(&at, SOCK_STREAM);
    require(chmod("server", mode), "chmod");
    require(syscall(SYS_setresuid, USER, USER, USER), "setresuid");
    int fd = open_socket(AF_UNIX, SOCK_STREAM);
    say_result(connect_to(fd, &at));
    struct address there = local("closed/server"), here = local("home/server");
    say_result(bind(fd, &there.any, there.length));
    say_result(bind(open_socket(AF_UNIX, SOCK_STREAM), &here.any, here.length));
}

static long send_descriptors(int fd, const int *sent, int count, const struct address *to) {
    char control[CMSG_SPACE(300 * sizeof(int))] = {0};
    struct iovec part = {"d", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    if (to)
        message.msg_name = (void *)to, message.msg_namelen = to->length;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), sent, count * sizeof(int));
    return sendmsg(fd, &message, 0);
}

static void say_received_descriptors(int fd) {
    char control[CMSG_SPACE(300 * sizeof(int))], data[16] = "";
    struct iovec part = {data, sizeof data - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(fd, &message, MSG_DONTWAIT);
    if (count < 0)
        return say_result(count);
    say(" got(%zd) flags=%x", count, message.msg_flags);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        int first, number = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(&first, CMSG_DATA(header), sizeof first);
        say(" %d descriptors", number);
        say_descriptor(first);
    }
}

static void try_rights(const void *way) {
    int ends[2], fds[300];
    struct address at = local("server");
    int named = *(const char *)way == 'n';
    if (named) {
        ends[1] = serve(&at, SOCK_DGRAM);
        ends[0] = open_socket(AF_UNIX, SOCK_DGRAM);
    } else {
        require(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
    }
    for (int index = 0; index < 300; index++)
        fds[index] = open("file", O_RDWR | O_APPEND);
    static const int COUNTS[] = {1, 3, 253, 254, 300};
    for (size_t index = 0; index < sizeof COUNTS / sizeof *COUNTS; index++) {
        say_result(send_descriptors(ends[0], fds, COUNTS[index], named ? &at : NULL));
        say_received_descriptors(ends[1]);
    }
    fds[1] = 99999;
    say_result(send_descriptors(ends[0], fds, 2, named ? &at : NULL));
    fds[0] = open("file", O_PATH);
    say_result(send_descriptors(ends[0], fds, 1, named ? &at : NULL));
    say_received_descriptors(ends[1]);
}

// Credentials that a sender says it has.
static void try_said_credentials(const void *argument) {
    const uid_t *ids = argument;
    int ends[2], on = 1;
    struct address at = local("server");
    ends[1] = serve(&at, SOCK_DGRAM), ends[0] = open_socket(AF_UNIX, SOCK_DGRAM);
    require(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), "SO_PASSCRED");
    require(syscall(SYS_setresuid, ids[0], ids[0], ids[0]), "setresuid");
    char control[CMSG_SPACE(sizeof(struct ucred))] = {0};
    struct iovec part = {"c", 1};
    struct msghdr message = {.msg_name = &at, .msg_namelen = at.length, .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
    struct ucred said = {.pid = getpid(), .uid = ids[1], .gid = 0}, *slot = (struct ucred *)CMSG_DATA(header);
    *slot = said;
    say_result(sendmsg(ends[0], &message, 0));
    slot->pid = 1 << 20;
    say_result(sendmsg(ends[0], &message, 0));
    message.msg_control = NULL, message.msg_controllen = 0;
    say_result(sendmsg(ends[0], &message, 0));
    for (int round = 0; round < 2; round++) {
        char data[8];
        struct iovec into = {data, sizeof data};
        struct msghdr got = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(ends[1], &got, MSG_DONTWAIT) < 0)
            return say_result(-1);
        header = CMSG_FIRSTHDR(&got);
        struct ucred *seen = (struct ucred *)CMSG_DATA(header);
        say(" %s %u:%u", seen->pid == getpid() ? "own" : "another", seen->uid, seen->gid);
    }
}

static void try_wrong_type(const void *argument) {
    (void)argument;
    struct address at = local("server"), other = local("datagrams");
    serve(&at, SOCK_STREAM);
    serve(&other, SOCK_DGRAM);
    say_result(connect_to(open_socket(AF_UNIX, SOCK_DGRAM), &at));
    say_result(connect_to(open_socket(AF_UNIX, SOCK_SEQPACKET), &at));
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &other));
    say_result(connect_to(open_socket(AF_INET, SOCK_STREAM), &at));
    at.any.sa_family = AF_INET;
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &at));
    int fd = open_socket(AF_UNIX, SOCK_STREAM);
    say_result(sendto(fd, "x", 1, MSG_NOSIGNAL, &other.any, other.length));
    say_result(listen(fd, 1));
}

static void try_by_descriptor(const void *argument) {
    (void)argument;
    struct address at = local("server");
    int server = serve(&at, SOCK_STREAM), path = open("server", O_PATH);
    char text[64];
    snprintf(text, sizeof text, "/proc/self/fd/%d", path);
    struct address by = local(text);
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &by));
    require(unlink("server"), "unlink");
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &by));
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &at));
    close(server);
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &by));
    int directory = open("dir", O_PATH);
    snprintf(text, sizeof text, "/proc/self/fd/%d/made", directory);
    by = local(text);
    int fd = open_socket(AF_UNIX, SOCK_STREAM);
    say_result(bind(fd, &by.any, by.length));
}

static void try_autobind(const void *argument) {
    (void)argument;
    struct address at = {.length = sizeof(sa_family_t)};
    at.any.sa_family = AF_UNIX;
    int fd = open_socket(AF_UNIX, SOCK_STREAM);
    say_result(bind(fd, &at.any, at.length));
    socklen_t length = sizeof at.storage;
    getsockname(fd, &at.any, &length);
    say(" length=%u", length);
    say_result(listen(fd, 1));
    at.length = length;
    say_result(connect_to(open_socket(AF_UNIX, SOCK_STREAM), &at));
    say_result(bind(fd, &at.any, sizeof(sa_family_t)));
}

void local_cases(void) {
    static const uid_t CLIENTS[][3] = {{0, 0, 0}, {USER, USER, USER}, {USER, GROUP, 0}, {0, GROUP, USER}};
    static const uid_t SAID[][2] = {{0, 0}, {0, USER}, {USER, USER}, {USER, 0}};
    static const mode_t MODES[] = {0777, 0600, 0002, 0444, 0000};
    meetings_cases();
    names_cases();
    for (size_t index = 0; index < 4; index++) {
        attempt(try_credentials, CLIENTS[index], "unix credentials of %u:%u, effective %u", CLIENTS[index][0],
                CLIENTS[index][1], CLIENTS[index][2]);
        attempt(try_said_credentials, SAID[index], "unix credentials that %u says are %u", SAID[index][0], SAID[index][1]);
    }
    for (size_t index = 0; index < sizeof MODES / sizeof *MODES; index++)
        attempt(try_permission, &MODES[index], "user: unix sockets of mode %o", MODES[index]);
    attempt(try_rights, "pair", "descriptors sent over a pair");
    attempt(try_rights, "named", "descriptors sent to a name");
    attempt(try_wrong_type, NULL, "unix sockets of the wrong type");
    attempt(try_by_descriptor, NULL, "unix sockets by /proc/self/fd");
    attempt(try_autobind, NULL, "unix names that the kernel chooses");
}
