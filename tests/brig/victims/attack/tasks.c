// SPDX-License-Identifier: Apache-2.0
// Races about the caller itself: it is interrupted, or it is killed and another takes its number. Each
// wins when a call has an effect that it should not have: twice, or where only another was.

#include "attack.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void nothing(int signal) {
    (void)signal;
}

static pid_t target;

// A few times while a call is made, so that it gets on.
static void send_signal(void *argument) {
    (void)argument;
    syscall(SYS_tgkill, getpid(), target, SIGUSR1);
    for (int turn = 0; turn < 4; turn++)
        linger();
}

// What is begun anew must not find what it has done itself, and no signal may show.
static int once(long result, const char *twice) {
    if (result < 0 && (errno == EEXIST || errno == ENOENT))
        won(twice);
    else if (result < 0 && errno == EINTR)
        won("interrupted");
    return result >= 0;
}

static int make_file(const char *name) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int made = once(fd, "created twice");
    close(fd);
    return made;
}

static int make_directory(const char *name) {
    return once(syscall(SYS_mkdirat, AT_FDCWD, name, 0700), "mkdir twice");
}

// Makes something in one round, and removes it in the next.
static void storm(void) {
    const struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct racer racer;
    char name[32];
    sigaction(SIGUSR1, &action, NULL);
    target = (pid_t)syscall(SYS_gettid);
    begin(&racer, send_signal, NULL);
    for (long round = 0, made = 0; race_on(); round++) {
        int directory = round / 2 % 2;
        snprintf(name, sizeof name, "storm%ld", round / 2);
        if (round % 2 == 0)
            made = directory ? make_directory(name) : make_file(name);
        else if (made)
            once(syscall(SYS_unlinkat, AT_FDCWD, name, directory ? AT_REMOVEDIR : 0), "removed twice");
    }
    end(&racer);
}

static int exists(const char *name) {
    struct stat is;
    return !fstatat(AT_FDCWD, name, &is, 0);
}

// A process with a number that was just another's, where that is possible.
static pid_t fork_as(pid_t number) {
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (unsigned long)&number, .set_tid_size = 1};
    long child = syscall(SYS_clone3, &arguments, sizeof arguments);
    return child < 0 ? fork() : (pid_t)child;
}

static _Noreturn void make_below(const char *directory, const char *name) {
    if (chdir(directory))
        _exit(1);
    syscall(SYS_mkdirat, AT_FDCWD, name, 0700);
    _exit(0);
}

// The first makes a directory where it may and is killed; the second has its number and does nothing
// but be where nothing may be made.
static void reuse(void) {
    char name[32], denied[64];
    for (long round = 0; race_on(); round++) {
        snprintf(name, sizeof name, "new%ld", round);
        snprintf(denied, sizeof denied, "vault.denied/%s", name);
        pid_t first = fork();
        require(first, "fork");
        if (!first)
            make_below("way", name);
        for (long turn = round % 32; turn; turn--)
            linger();
        kill(first, SIGKILL);
        waitpid(first, NULL, 0);
        pid_t second = fork_as(first);
        require(second, "fork");
        if (!second) {
            (void)!chdir("vault.denied");
            for (int turn = 0; turn < 24; turn++)
                linger();
            _exit(0);
        }
        waitpid(second, NULL, 0);
        if (exists(denied))
            won("made");
    }
}

const struct attack TASK_RACES[] = {
    {"NT-10", storm},
    {"NT-05", reuse},
    {NULL, NULL},
};
