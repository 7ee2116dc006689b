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

// A process with a number that was just another's, where that is possible: in the host's pid namespace
// somebody else may have it by now.
static pid_t fork_as(pid_t number) {
    int tries = 1000;
    struct clone_args arguments = {.exit_signal = SIGCHLD, .set_tid = (unsigned long)&number, .set_tid_size = 1};
    long child;
    // that of a thread is free a moment after its process has been waited for
    do
        child = syscall(SYS_clone3, &arguments, sizeof arguments);
    while (child < 0 && errno == EEXIST && tries--);
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

// Threads of one process make directories at once, and are killed at once.
enum { TOGETHER = 4 };

static struct making {
    char names[TOGETHER][32];
    volatile pid_t *numbers;
} making;

static int make_at_address(void *name) {
    making.numbers[(char(*)[32])name - making.names] = (pid_t)syscall(SYS_gettid);
    syscall(SYS_mkdirat, AT_FDCWD, name, 0700);
    return 0;
}

// By clone(2), since pthread_create(3) takes longer than the call.
static _Noreturn void make_by_threads(void) {
    static char stacks[TOGETHER][16 << 10] __attribute__((aligned(16)));
    const int all = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    require(chdir("way"), "way");
    for (int one = 0; one < TOGETHER; one++)
        require(clone(make_at_address, stacks[one] + sizeof *stacks, all, making.names[one]), "clone");
    for (;;)
        pause();
}

static void name_all(const char *of, long round) {
    for (int one = 0; one < TOGETHER; one++)
        snprintf(making.names[one], sizeof *making.names, "%s%ld", of, round + one);
}

// Anything but the first's own name in its own place.
static int made_for_another(long round) {
    char mixed[3][64];
    snprintf(mixed[0], sizeof *mixed, "way/second%ld", round);
    snprintf(mixed[1], sizeof *mixed, "open/first%ld", round);
    snprintf(mixed[2], sizeof *mixed, "open/second%ld", round);
    return exists(mixed[0]) || exists(mixed[1]) || exists(mixed[2]);
}

static void end_threads(pid_t first, long round) {
    for (int one = 0; one < TOGETHER; one++)
        while (!making.numbers[one])
            sched_yield();
    linger_for(round / TOGETHER % 32);
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
}

static _Noreturn void be_elsewhere(void) {
    (void)!chdir("open");
    linger_for(24);
    _exit(0);
}

// What the first makes is theirs to make, and in the way of nobody.
static void look_at(long round) {
    char made[64];
    // one that was made late is found later
    if (made_for_another(round) || made_for_another(round - TOGETHER))
        won("made");
    snprintf(made, sizeof made, "way/first%ld", round);
    rmdir(made);
}

// The same of threads' numbers, and of memory, too: those that have them then have other names at the
// addresses where the first had theirs, and are where they could make them, but make nothing.
static void reuse_of_thread(void) {
    const size_t size = TOGETHER * sizeof *making.numbers;
    making.numbers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (long round = 0; race_on(); round += TOGETHER) {
        // the first of several
        for (int one = 1; one < TOGETHER && race_on(); one++)
            ;
        name_all("first", round);
        memset((void *)making.numbers, 0, size);
        pid_t first = fork(), seconds[TOGETHER];
        require(first, "fork");
        if (!first)
            make_by_threads();
        name_all("second", round);
        end_threads(first, round);
        for (int one = 0; one < TOGETHER; one++) {
            seconds[one] = fork_as(making.numbers[one]);
            require(seconds[one], "fork");
            if (!seconds[one])
                be_elsewhere();
        }
        for (int one = 0; one < TOGETHER; one++)
            waitpid(seconds[one], NULL, 0);
        for (int one = 0; one < TOGETHER; one++)
            look_at(round + one);
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
