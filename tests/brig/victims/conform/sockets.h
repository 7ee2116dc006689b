// SPDX-License-Identifier: Apache-2.0
// Addresses, and what is said of sockets.

#ifndef SOCKETS_H
#define SOCKETS_H

#include "conform.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

// Any address, with its length.
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        struct sockaddr_storage storage;
    };
    socklen_t length;
};

// "127.0.0.1" or "::1"
struct address internet(const char *text, int port);
// A path, or an abstract name after "@"
struct address local(const char *name);
int open_socket(int family, int type);
// A socket that listens (or, for datagrams, waits) at a free port, which is put into the address.
int serve(struct address *at, int type);
long connect_to(int fd, const struct address *to);
// The socket's own address and its peer's: ports that were chosen for it are only said to be there.
void say_names(int fd);
void say_pending_error(int fd);

#endif
