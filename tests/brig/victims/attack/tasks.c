// SPDX-License-Identifier: Apache-2.0
// Races about the caller itself: it is interrupted, it is killed, another takes its number. Each
// wins when a call has an effect that it should not have: twice, after its caller's end, or where
// only another was.

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

static void send_signal(void *argument) {
    (void)argument;
    syscall(SYS_tgkill, getpid(), target, SIGUSR1);
    linger();
}

// A call that is begun anew must not find what it has done itself.
static void storm(void) {
    const struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct racer racer;
    char name[32];
    sigaction(SIGUSR1, &action, NULL);
    target = (pid_t)syscall(SYS_gettid);
    begin(&racer, send_signal, NULL);
    for (long round = 0; race_on(); round++) {
        snprintf(name, sizeof name, "storm%ld", round % 16);
        if (round % 2) {
            if (syscall(SYS_mkdirat, AT_FDCWD, name, 0700))
                won(errno == EEXIST ? "mkdir twice" : "mkdir failed");
            syscall(SYS_unlinkat, AT_FDCWD, name, AT_REMOVEDIR);
        } else {
            int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            if (fd < 0)
                won(errno == EEXIST ? "created twice" : "creation failed");
            close(fd);
            syscall(SYS_unlinkat, AT_FDCWD, name, 0);
        }
    }
    end(&racer);
}

static void block_or_make(long round, const char *name) {
    // one of three waits for ever
    if (round % 3 == 2)
        syscall(SYS_openat, AT_FDCWD, "waiting", O_RDONLY | O_CLOEXEC);
    else
        syscall(SYS_mkdirat, AT_FDCWD, name, 0700);
    for (;;)
        pause();
}

static int exists(const char *name) {
    struct stat is;
    return !fstatat(AT_FDCWD, name, &is, 0);
}

// A call has no effect any more when its caller has ended.
static void killing(void) {
    char name[32];
    if (mknod("waiting", S_IFIFO | 0600, 0) && errno != EEXIST)
        give_up("waiting");
    for (long round = 0; race_on(); round++) {
        snprintf(name, sizeof name, "late%ld", round);
        pid_t child = fork();
        require(child, "fork");
        if (!child)
            block_or_make(round, name);
        for (long turn = round % 64; turn; turn--)
            linger();
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        int before = exists(name);
        // a call of one's own is answered after those that came before
        int fd = open("fine", O_RDONLY | O_CLOEXEC);
        require(fd, "the supervisor does not answer any more");
        close(fd);
        linger();
        if (!before && exists(name))
            won("late");
        syscall(SYS_unlinkat, AT_FDCWD, name, AT_REMOVEDIR);
    }
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
            for (int turn = 0; turn < 64; turn++)
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
    {"NT-33", killing},
    {"NT-05", reuse},
    {NULL, NULL},
};
