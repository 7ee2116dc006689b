// SPDX-License-Identifier: Apache-2.0
// Holds a lease on a file and lets others wait for it: a call that waits ends with a signal or with its
// caller, and holds up no other call.
//
//   lease FILE LINK OTHER   LINK leads to FILE, OTHER is another file; prints what went wrong, or "held"

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *file, *file_link, *other;

static int give_up(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    return 1;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long open_it(void) {
    return syscall(SYS_openat, AT_FDCWD, file, O_RDONLY);
}

static long open_by_link(void) {
    return syscall(SYS_openat, AT_FDCWD, file_link, O_RDONLY);
}

static long cut(void) {
    return syscall(SYS_truncate, file_link, 1);
}

static void nothing(int signal) {
    (void)signal;
}

// 0 if the call ended with EINTR.
static int wait_for_lease(long (*call)(void)) {
    const struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, NULL);
    return call() >= 0 ? 1 : errno != EINTR;
}

static int check(const char *name, long (*call)(void), int signal) {
    pid_t child = fork();
    if (!child)
        _exit(wait_for_lease(call));
    usleep(200000);
    double begun = now();
    for (int turn = 0; turn < 100; turn++)
        close((int)syscall(SYS_openat, AT_FDCWD, other, O_RDONLY));
    if (now() - begun > 1)
        return give_up("others wait");
    if (waitpid(child, NULL, WNOHANG))
        return give_up(name);
    begun = now();
    kill(child, signal);
    int status;
    waitpid(child, &status, 0);
    if (now() - begun > 2)
        return give_up("it does not end");
    return signal == SIGUSR1 && status ? give_up("another end") : 0;
}

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    file = arguments[1], file_link = arguments[2], other = arguments[3];
    signal(SIGIO, SIG_IGN);
    int fd = open(file, O_RDWR);
    if (fcntl(fd, F_SETLEASE, F_WRLCK))
        return give_up("F_SETLEASE");
    if (check("open", open_it, SIGKILL) || check("open", open_it, SIGUSR1) ||
        check("open by a link", open_by_link, SIGKILL) || check("open by a link", open_by_link, SIGUSR1) ||
        check("truncate", cut, SIGKILL) || check("truncate", cut, SIGUSR1))
        return 1;
    puts("held");
    return 0;
}
