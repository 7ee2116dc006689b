// SPDX-License-Identifier: Apache-2.0
// Ways to signal a process of somebody else's, where its number is no secret. It blocks all signals, so
// that what has come stays and is seen: each way has a signal of its own.

#include "attack.h"
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

// newer than the headers of some C libraries
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

// Beyond those of the C library.
enum { FIRST = 36 };

static pid_t outsider;

static void find_outsider(void) {
    char text[16] = "";
    int fd = open("outsider", O_RDONLY | O_CLOEXEC);
    require(read(fd, text, sizeof text - 1), "outsider");
    outsider = atoi(text);
    close(fd);
}

static unsigned long long pending(const char *status, const char *name) {
    const char *line = strstr(status, name);
    return line ? strtoull(line + strlen(name), NULL, 16) : 0;
}

static void signalled_by(const char *way, int signal) {
    char path[64], status[4096] = "";
    snprintf(path, sizeof path, "/proc/%d/status", outsider);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    require(fd, path);
    require(read(fd, status, sizeof status - 1), path);
    close(fd);
    if ((pending(status, "SigPnd:\t") | pending(status, "ShdPnd:\t")) >> (signal - 1) & 1)
        won(way);
}

static void send_directly(void) {
    siginfo_t info = {.si_code = SI_QUEUE};
    syscall(SYS_kill, outsider, FIRST);
    signalled_by("kill", FIRST);
    syscall(SYS_kill, -outsider, FIRST + 1);
    signalled_by("kill of its group", FIRST + 1);
    syscall(SYS_tkill, outsider, FIRST + 2);
    signalled_by("tkill", FIRST + 2);
    syscall(SYS_tgkill, outsider, outsider, FIRST + 3);
    signalled_by("tgkill", FIRST + 3);
    info.si_signo = FIRST + 4;
    syscall(SYS_rt_sigqueueinfo, outsider, FIRST + 4, &info);
    signalled_by("rt_sigqueueinfo", FIRST + 4);
    info.si_signo = FIRST + 5;
    syscall(SYS_rt_tgsigqueueinfo, outsider, outsider, FIRST + 5, &info);
    signalled_by("rt_tgsigqueueinfo", FIRST + 5);
    int process = (int)syscall(SYS_pidfd_open, outsider, 0);
    syscall(SYS_pidfd_send_signal, process, FIRST + 6, NULL, 0);
    signalled_by("pidfd_send_signal", FIRST + 6);
    // to its group
    syscall(SYS_pidfd_send_signal, process, FIRST + 7, NULL, 4);
    signalled_by("pidfd_send_signal to its group", FIRST + 7);
}

// What comes makes the kernel send a signal to whoever the descriptor says.
static void send_by_arrival(const char *way, int signal, int type, pid_t owner) {
    int pair[2];
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
    struct f_owner_ex exactly = {type, owner};
    fcntl(pair[0], F_SETSIG, signal);
    fcntl(pair[0], F_SETOWN_EX, &exactly);
    fcntl(pair[0], F_SETFL, O_ASYNC | O_NONBLOCK);
    (void)!write(pair[1], "x", 1);
    signalled_by(way, signal);
    close(pair[0]), close(pair[1]);
}

static void send_by_sigio(void) {
    int pair[2], on = 1;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
    ioctl(pair[0], FIOSETOWN, &outsider);
    ioctl(pair[0], FIOASYNC, &on);
    (void)!write(pair[1], "x", 1);
    signalled_by("FIOSETOWN", SIGIO);
    close(pair[0]), close(pair[1]);
}

static void send_urgently(void) {
    struct server server = serve(internet("127.0.0.1", 0), SOCK_STREAM);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(connect(fd, &server.at.any, server.at.length), "connect");
    int accepted = -1;
    while (accepted < 0)
        accepted = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);
    fcntl(accepted, F_SETOWN, outsider);
    (void)!send(fd, "x", 1, MSG_OOB);
    signalled_by("MSG_OOB", SIGURG);
}

static void send_by_notice(void) {
    int directory = open("open", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(directory, "open");
    fcntl(directory, F_SETSIG, FIRST + 11);
    fcntl(directory, F_SETOWN, outsider);
    fcntl(directory, F_NOTIFY, DN_CREATE);
    require(mkdir("open/noticed", 0700), "mkdir");
    signalled_by("F_NOTIFY", FIRST + 11);
}

// Of others' threads no kernel makes timers.
static void send_by_timer(void) {
    const struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = FIRST + 12};
    int timer;
    event._sigev_un._tid = outsider;
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer))
        return;
    syscall(SYS_timer_settime, timer, 0, &soon, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    signalled_by("a timer", FIRST + 12);
}

static void signals(void) {
    find_outsider();
    send_directly();
    send_by_arrival("F_OWNER_PID", FIRST + 8, F_OWNER_PID, outsider);
    send_by_arrival("F_OWNER_TID", FIRST + 9, F_OWNER_TID, outsider);
    send_by_arrival("F_OWNER_PGRP", FIRST + 10, F_OWNER_PGRP, outsider);
    send_by_sigio();
    send_urgently();
    send_by_notice();
    send_by_timer();
}

const struct attack SIGNAL_ATTACKS[] = {
    {"LL-18", signals},
    {NULL, NULL},
};
