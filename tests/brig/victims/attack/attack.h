// SPDX-License-Identifier: Apache-2.0
// What the attacks share. An attack wins when it has really reached what is denied: when it has read
// the secret, changed it, or when a server that nobody may connect to has seen it.
//
// Denied are files below a name that ends in ".denied", UNIX sockets but those in "open", abstract
// names, the addresses 127.0.0.2 (TCP and UDP), 127.0.0.3 (TCP) and 127.0.0.1:7777, the metadata
// service's, and binding to any address but the loopback's. Some attacks want other rules, as the
// table says.

#ifndef ATTACK_H
#define ATTACK_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// newer than the headers of some C libraries
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#endif
#ifndef SYS_file_setattr
#define SYS_file_setattr 469
#endif

struct attack {
    const char *id;
    void (*run)(void);
};

extern const struct attack PATH_RACES[], OPEN_RACES[], SOCKET_RACES[], TASK_RACES[], WAITING_RACES[];
extern const struct attack FILE_ATTACKS[], TREE_ATTACKS[], NETWORK_ATTACKS[], SIGNAL_ATTACKS[];

// main.c: a race goes on while there are rounds and time left
int race_on(void);
void won(const char *how); // this round, or this way of several
_Noreturn void give_up(const char *what);
void require(long result, const char *what);

// ground.c: what is there
void plant(void);
int is_secret(int fd);  // closes it
int holds_secret(const char *path);
struct stat status_of(const char *path); // must be there

// race.c: what goes on beside the calls
struct racer {
    pthread_t thread;
    volatile int stop;
    void (*turn)(void *);
    void *argument;
};
// Takes turns in a thread that shares everything with the caller, until it is stopped.
void begin(struct racer *racer, void (*turn)(void *), void *argument);
void end(struct racer *racer);
// The same by a process, which shares what both have mapped.
pid_t begin_process(void (*turn)(void *), void *argument);
void end_process(pid_t child);
void linger(void); // for a while that is not always the same
// Two names, for exchange and exchange_at_times: turns that exchange them. The second does so less
// often: what takes a supervisor longer than the call that it races would have most calls wait for it.
struct exchange {
    const char *one, *other;
};
void exchange(void *names);
void exchange_at_times(void *names);

// servers.c: what is reached
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
struct address internet(const char *text, int port);
struct address local(const char *name); // "@" for an abstract one
struct server {
    int fd;
    struct address at;
};
struct server serve(struct address at, int type);
int has_come(const struct server *server); // how many have, since it was last asked

#endif
