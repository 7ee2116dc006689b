// SPDX-License-Identifier: Apache-2.0
// Times operations, and prints the fastest batch of each in nanoseconds per operation:
//
//   operations FILE PROGRAM PORT
//
// The fastest of many short batches is what the operation costs; the rest is the machine's noise.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *file, *program;
static struct sockaddr_in server = {.sin_family = AF_INET};

static int open_close(void) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : close(fd);
}

static int stat_it(void) {
    struct stat is;
    return stat(file, &is);
}

static int execute(void) {
    char *arguments[] = {(char *)program, NULL}, *environment[] = {NULL};
    pid_t child;
    int status;
    if (posix_spawn(&child, program, NULL, NULL, arguments, environment))
        return -1;
    return waitpid(child, &status, 0) < 0 || status ? -1 : 0;
}

static int connect_it(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server))
        return -1;
    // no TIME_WAIT: the ports would run out
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return close(fd);
}

static int measure(const char *name, int (*operation)(void), int batches, int count) {
    double best = 1e18;
    for (int batch = 0; batch < batches; batch++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (int index = 0; index < count; index++)
            if (operation()) {
                perror(name);
                return 1;
            }
        clock_gettime(CLOCK_MONOTONIC, &end);
        double each = ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / count;
        best = each < best ? each : best;
    }
    printf("%s %.1f\n", name, best);
    return 0;
}

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    file = arguments[1];
    program = arguments[2];
    server.sin_port = htons(atoi(arguments[3]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return measure("open+close", open_close, 100, 300) | measure("stat", stat_it, 100, 300) |
           measure("exec", execute, 20, 5) | measure("connect", connect_it, 40, 20);
}
