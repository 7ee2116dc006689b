// SPDX-License-Identifier: Apache-2.0
// Calls that wait for somebody, and whose callers are killed. An attack wins when such a call is still
// there long afterwards: when it takes what was not for it, or when others wait for its end.
//
// At its caller's end a call may be about to begin, and nobody can tell a supervisor that has yet to
// notice from one that never will. So each look comes when even one on a busy machine has noticed, and
// is at what very many callers have left: whatever is left of one stays.

#include "attack.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

// How many there are at once, and between two looks.
enum { CALLERS = 400, BETWEEN = 20000 };
// Milliseconds until the callers wait, or most of them do, and until nothing of theirs may be left.
enum { BEGUN = 60, NOTICED = 3000 };
// And in which somebody comes, if there is somebody.
enum { EMPTY = 100 };
// Seconds in which a call of one's own has to be answered.
enum { ANSWERED = 10 };

static void rest(long milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

static _Noreturn int call_and_stay(void *call) {
    ((void (*)(void))call)();
    for (;;)
        pause();
}

// A process of its own that has its memory in common with all others, which is quickly made and gone.
static pid_t begin_caller(int number, void (*call)(void)) {
    static char stacks[CALLERS][16 << 10] __attribute__((aligned(16)));
    pid_t caller = clone(call_and_stay, stacks[number] + sizeof *stacks, CLONE_VM | SIGCHLD, (void *)call);
    require(caller, "clone");
    return caller;
}

// Every other caller is killed at once, so that its call is anywhere; the rest when they wait, or when
// theirs, too, are anywhere.
static int end_some(void (*call)(void)) {
    pid_t waiting[CALLERS];
    int begun = 0, count = 0;
    for (; begun < CALLERS && race_on(); begun++) {
        pid_t caller = begin_caller(begun, call);
        if (begun % 2) {
            waiting[count++] = caller;
        } else {
            linger();
            end_process(caller);
        }
    }
    rest(rand() % BEGUN);
    for (int one = 0; one < count; one++)
        kill(waiting[one], SIGKILL);
    while (count)
        waitpid(waiting[--count], NULL, 0);
    return begun;
}

static int end_callers(void (*call)(void)) {
    int ended = 0, some = CALLERS;
    for (; ended < BETWEEN && some == CALLERS; ended += some)
        some = end_some(call);
    return ended;
}

static void nothing(int signal) {
    (void)signal;
}

// An open that waits for nobody.
static int open_now(const char *path, int flags) {
    alarm(ANSWERED);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == EINTR)
        won("not answered");
    alarm(0);
    return fd;
}

static const char FIFO[] = "waiting";

static void make_fifo(void) {
    const struct sigaction action = {.sa_handler = nothing};
    require(sigaction(SIGALRM, &action, NULL), "sigaction");
    require(mknod(FIFO, S_IFIFO | 0600, 0), FIFO);
}

static void wait_for_writer(void) {
    syscall(SYS_openat, AT_FDCWD, FIFO, O_RDONLY | O_CLOEXEC);
}

static void readers(void) {
    make_fifo();
    while (end_callers(wait_for_writer)) {
        rest(NOTICED);
        int fd = open_now(FIFO, O_WRONLY);
        // ENXIO where nobody reads
        if (fd >= 0)
            won("there is a reader");
        close(fd);
    }
}

static void wait_for_reader(void) {
    syscall(SYS_openat, AT_FDCWD, FIFO, O_WRONLY | O_CLOEXEC);
}

// A writer is there, or was when the reader came: the end of writing is only shown to who has seen one.
static int has_writer(int fd) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    char byte;
    return read(fd, &byte, 1) || poll(&ready, 1, 0);
}

static void writers(void) {
    make_fifo();
    while (end_callers(wait_for_reader)) {
        rest(NOTICED);
        int fd = open_now(FIFO, O_RDONLY);
        if (fd >= 0 && has_writer(fd))
            won("there is a writer");
        close(fd);
    }
}

static struct server full;

static int connect_once(int flags) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    require(fd, "socket");
    long result = syscall(SYS_connect, fd, &full.at, (unsigned long)full.at.length);
    if (flags)
        close(fd);
    return !result;
}

static void wait_for_room(void) {
    connect_once(0);
}

// Connections, until there is no room for more.
static int fill(void) {
    int count = 0;
    while (connect_once(SOCK_NONBLOCK))
        count++;
    return count;
}

static void connections(void) {
    full = serve(local("open/full"), SOCK_STREAM);
    require(listen(full.fd, 0), "listen");
    for (;;) {
        int own = fill();
        require(own - 1, "connect");
        if (!end_callers(wait_for_room))
            return;
        rest(NOTICED);
        int came = has_come(&full);
        struct pollfd ready = {.fd = full.fd, .events = POLLIN};
        while (poll(&ready, 1, EMPTY) > 0)
            came += has_come(&full);
        for (; came > own; came--)
            won("connected");
    }
}

const struct attack WAITING_RACES[] = {
    {"NT-33-reader", readers},
    {"NT-33-writer", writers},
    {"NT-33-connect", connections},
    {NULL, NULL},
};
