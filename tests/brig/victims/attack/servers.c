// SPDX-License-Identifier: Apache-2.0
// Servers that are allowed and servers that are not; both count who comes.

#include "attack.h"
#include <arpa/inet.h>
#include <stddef.h>

struct address internet(const char *text, int port) {
    struct address address = {.length = sizeof address.v4};
    int six = strchr(text, ':') != NULL;
    address.any.sa_family = six ? AF_INET6 : AF_INET;
    address.v4.sin_port = htons((uint16_t)port);
    if (six)
        address.length = sizeof address.v6;
    if (inet_pton(address.any.sa_family, text, six ? (void *)&address.v6.sin6_addr : (void *)&address.v4.sin_addr) != 1)
        give_up(text);
    return address;
}

struct address local(const char *name) {
    struct address address = {.length = 0};
    address.local.sun_family = AF_UNIX;
    memcpy(address.local.sun_path, name, strlen(name));
    if (*name == '@')
        address.local.sun_path[0] = 0;
    address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@'));
    return address;
}

struct server serve(struct address at, int type) {
    struct server server = {socket(at.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), at};
    require(server.fd, "socket");
    int on = 1;
    setsockopt(server.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at.any.sa_family == AF_UNIX && *at.local.sun_path)
        unlink(at.local.sun_path);
    require(bind(server.fd, &at.any, at.length), "bind");
    if (type != SOCK_DGRAM)
        require(listen(server.fd, 1024), "listen");
    socklen_t length = sizeof server.at.storage;
    require(getsockname(server.fd, &server.at.any, &length), "getsockname");
    if (at.any.sa_family != AF_UNIX)
        server.at.length = length;
    return server;
}

int has_come(const struct server *server) {
    int count = 0, type, fd;
    socklen_t length = sizeof type;
    char data[64];
    getsockopt(server->fd, SOL_SOCKET, SO_TYPE, &type, &length);
    if (type == SOCK_DGRAM) {
        while (recv(server->fd, data, sizeof data, MSG_DONTWAIT) >= 0)
            count++;
        return count;
    }
    while ((fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        close(fd);
        count++;
    }
    return count;
}
