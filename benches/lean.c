// SPDX-License-Identifier: Apache-2.0
// What a mediated call costs at the least, and the same calls for a supervisor to be measured:
//
//   lean measure FILE [THREADS]   times calls, unmediated or under whoever mediates them
//   lean continue FILE [THREADS]  under a supervisor that lets every call go on, unread
//   lean emulate FILE [THREADS]   under one that reads the path, opens it and hands it over
//
// With LEAN_CGROUPS, the latter two are in these cgroups, with their callers.
//
// Prints the fastest batch of each in nanoseconds per operation: `open`, `getppid`, and with threads
// `opens`, of all of them together.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Linux 6.6, which the C library's headers may not know yet
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define BATCHES 60
#define COUNT 400

static const char *file;
static int threads = 1;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static void open_close(void) {
    int fd = syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror(file);
        exit(1);
    }
    close(fd);
}

static void parent(void) { syscall(SYS_getppid); }

static void measure(const char *name, void (*operation)(void)) {
    double best = 1e18;
    for (int batch = 0; batch < BATCHES; batch++) {
        double begin = now();
        for (int index = 0; index < COUNT; index++)
            operation();
        double each = (now() - begin) / COUNT;
        if (each < best)
            best = each;
    }
    printf("%s %.0f\n", name, best);
}

static pthread_barrier_t barrier;

static void *many(void *unused) {
    for (int batch = 0; batch < BATCHES; batch++) {
        pthread_barrier_wait(&barrier);
        for (int index = 0; index < COUNT; index++)
            open_close();
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

static void measure_threads(void) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, threads + 1);
    for (int index = 0; index < threads; index++)
        pthread_create(&thread, NULL, many, NULL);
    double best = 1e18;
    for (int batch = 0; batch < BATCHES; batch++) {
        double begin = now();
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        double each = (now() - begin) / COUNT / threads;
        if (each < best)
            best = each;
    }
    printf("opens %.0f\n", best);
}

static void measure_all(void) {
    measure("open", open_close);
    measure("getppid", parent);
    if (threads > 1)
        measure_threads();
    fflush(stdout);
}

static int install(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_NEW_LISTENER | (1UL << 5), &filter);
}

static void pass(int socket, int fd) {
    char byte = 0, space[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space,
                             .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(socket, &message, 0) < 0)
        exit(2);
}

static int take(int socket) {
    char byte, space[CMSG_SPACE(sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space,
                             .msg_controllen = sizeof space};
    int fd = -1;
    if (recvmsg(socket, &message, 0) == 1)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

// Enters the cgroups whose lists of members are named, with colons between.
static void enter(char *lists) {
    for (char *list = strtok(lists, ":"); list; list = strtok(NULL, ":")) {
        int fd = open(list, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1) {
            perror(list);
            exit(2);
        }
        close(fd);
    }
}

static int listener, emulates;

static int emulate(const struct seccomp_notif *call) {
    char path[256];
    struct iovec here = {path, sizeof path}, there = {(void *)call->data.args[1], sizeof path};
    if (process_vm_readv(call->pid, &here, 1, &there, 1, 0) <= 0)
        return -1;
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    int fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd < 0)
        return -1;
    struct seccomp_notif_addfd add = {.id = call->id, .flags = SECCOMP_ADDFD_FLAG_SEND,
                                      .srcfd = fd, .newfd_flags = O_CLOEXEC};
    int result = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    close(fd);
    return result;
}

static void *serve(void *unused) {
    for (;;) {
        struct seccomp_notif call = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
            return unused;
        if (emulates && call.data.nr == SYS_openat && emulate(&call) >= 0)
            continue;
        struct seccomp_notif_resp answer = {.id = call.id,
                                            .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    file = arguments[2];
    if (count > 3)
        threads = atoi(arguments[3]);
    if (!strcmp(arguments[1], "measure")) {
        measure_all();
        return 0;
    }
    emulates = !strcmp(arguments[1], "emulate");
    if (getenv("LEAN_CGROUPS"))
        enter(getenv("LEAN_CGROUPS"));
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
        return 2;
    pid_t child = fork();
    if (child == 0) {
        pass(pair[1], install());
        measure_all();
        _exit(0);
    }
    listener = take(pair[0]);
    // as brig: caller and supervisor take turns on one processor
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
    // one alone: each further thread that receives makes a call slower
    pthread_t thread;
    pthread_create(&thread, NULL, serve, NULL);
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}
