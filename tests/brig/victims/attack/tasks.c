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

static void linger_for(long turns) {
    while (turns--)
        linger();
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
        linger_for(round % 32);
        kill(first, SIGKILL);
        waitpid(first, NULL, 0);
        pid_t second = fork_as(first);
        require(second, "fork");
        if (!second) {
            (void)!chdir("vault.denied");
            linger_for(24);
            _exit(0);
        }
        waitpid(second, NULL, 0);
        if (exists(denied))
            won("made");
    }
}

static struct making {
    char name[32];
    volatile pid_t *number;
} making;

static void *make_at_address(void *argument) {
    (void)argument;
    *making.number = (pid_t)syscall(SYS_gettid);
    syscall(SYS_mkdirat, AT_FDCWD, making.name, 0700);
    return NULL;
}

static _Noreturn void make_by_thread(void) {
    pthread_t thread;
    if (!chdir("way") && !pthread_create(&thread, NULL, make_at_address, NULL))
        pthread_join(thread, NULL);
    _exit(0);
}

// Anything but the first's own name in its own place.
static int made_for_another(long round) {
    char mixed[3][64];
    snprintf(mixed[0], sizeof *mixed, "way/second%ld", round);
    snprintf(mixed[1], sizeof *mixed, "open/first%ld", round);
    snprintf(mixed[2], sizeof *mixed, "open/second%ld", round);
    return exists(mixed[0]) || exists(mixed[1]) || exists(mixed[2]);
}

// The same of a thread's number, and of memory, too: the second has another name at the address where
// the first had its own, and is where it could make it, but makes nothing.
static void reuse_of_thread(void) {
    char made[64];
    making.number = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (long round = 0; race_on(); round++) {
        snprintf(making.name, sizeof making.name, "first%ld", round);
        *making.number = 0;
        pid_t first = fork();
        require(first, "fork");
        if (!first)
            make_by_thread();
        snprintf(making.name, sizeof making.name, "second%ld", round);
        while (!*making.number)
            sched_yield();
        linger_for(round % 32);
        kill(first, SIGKILL);
        waitpid(first, NULL, 0);
        pid_t second = fork_as(*making.number);
        require(second, "fork");
        if (!second) {
            (void)!chdir("open");
            linger_for(24);
            _exit(0);
        }
        waitpid(second, NULL, 0);
        // one that was made late is found later
        if (made_for_another(round) || made_for_another(round - 1))
            won("made");
        snprintf(made, sizeof made, "way/first%ld", round);
        rmdir(made);
    }
}

// A thread that opens and closes a descriptor of its own.
static void take_number(void *file) {
    close(dup(*(int *)file));
    linger();
}

enum { NUMBERS = 64 };

static int is_opened(int fd, const struct stat *file) {
    struct stat is;
    return !fstat(fd, &is) && is.st_ino == file->st_ino && is.st_dev == file->st_dev;
}

// What is opened has the number that the call returns, and is closed by execve or not, as it was asked
// for; and no number has it that the call did not return.
static void check_number(int fd, int flags, const struct stat *file) {
    if (fd < 0)
        return;
    if (!is_opened(fd, file))
        return won("another file");
    if (fcntl(fd, F_GETFD) != (flags & O_CLOEXEC ? FD_CLOEXEC : 0))
        won("another flag");
    close(fd);
}

// While numbers are taken and given back, and signals come.
static void numbers(void) {
    const struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct racer signals, taker;
    int own = open("fine", O_RDONLY | O_CLOEXEC);
    require(own, "fine");
    require(mknod("pipe", S_IFIFO | 0600, 0), "pipe");
    const struct stat file = status_of("pipe");
    sigaction(SIGUSR1, &action, NULL);
    target = (pid_t)syscall(SYS_gettid);
    begin(&signals, send_signal, NULL);
    begin(&taker, take_number, &own);
    for (long round = 0; race_on(); round++) {
        int flags = O_RDWR | (round % 2 ? O_CLOEXEC : 0);
        check_number((int)syscall(SYS_openat, AT_FDCWD, "pipe", flags), flags, &file);
        for (int fd = 0; round % 64 == 0 && fd < NUMBERS; fd++)
            if (is_opened(fd, &file) && !close(fd))
                won("left over");
    }
    end(&signals), end(&taker);
}

const struct attack TASK_RACES[] = {
    {"NT-10", storm},
    {"NT-05", reuse},
    {"NT-05-thread", reuse_of_thread},
    {"NT-19-number", numbers},
    {NULL, NULL},
};
