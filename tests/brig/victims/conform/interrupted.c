// SPDX-License-Identifier: Apache-2.0
// Calls that block, and signals that come while they do.

#include "conform.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static volatile sig_atomic_t handled;
static volatile pid_t blocked;

static void handle(int signal) {
    (void)signal;
    handled++;
}

struct plan {
    int restart;       // SA_RESTART
    int signals;       // how many are sent, each when the call blocks again
    int (*release)(void); // what ends the call then
};

static void *disturb(void *argument) {
    const struct plan *plan = argument;
    for (int sent = 0; sent < plan->signals; sent++) {
        await_sleep(blocked);
        syscall(SYS_tgkill, getpid(), blocked, SIGUSR1);
        // not before it has been handled: two of a kind are one
        while (handled <= sent)
            usleep(100);
    }
    if (plan->release) {
        await_sleep(blocked);
        plan->release();
    }
    return NULL;
}

static pthread_t prepare(const struct plan *plan) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = plan->restart ? SA_RESTART : 0};
    pthread_t thread;
    sigaction(SIGUSR1, &action, NULL);
    blocked = (pid_t)syscall(SYS_gettid);
    if (pthread_create(&thread, NULL, disturb, (void *)plan))
        give_up("pthread_create");
    return thread;
}

static int open_to_write(void) {
    return open("fifo", O_WRONLY);
}

static int open_to_read(void) {
    return open("fifo", O_RDONLY);
}

static void open_fifo(const struct plan *plan, int flags) {
    pthread_t thread = prepare(plan);
    long result = syscall(SYS_openat, AT_FDCWD, "fifo", flags);
    int error = errno;
    // it may be about to get the number that is free next
    pthread_join(thread, NULL);
    errno = error;
    say_descriptor(result);
    say(" handled=%d", (int)handled);
}

static void try_fifo(const void *plan) {
    open_fifo(plan, O_RDONLY);
}

static void try_fifo_for_writing(const void *plan) {
    open_fifo(plan, O_WRONLY | O_CLOEXEC);
}

static void try_fifo_at_once(const void *argument) {
    (void)argument;
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "fifo", O_WRONLY | O_NONBLOCK));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "fifo", O_RDWR));
    int reader = (int)syscall(SYS_openat, AT_FDCWD, "fifo", O_RDONLY | O_NONBLOCK);
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "fifo", O_WRONLY | O_NONBLOCK));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "fifo", O_WRONLY));
    say_descriptor(reader);
}

static int listener;

static int accept_one(void) {
    return accept(listener, NULL, NULL);
}

static int name_socket(struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, "queue");
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

// A server whose queue is full: connecting blocks.
static int full_queue(struct sockaddr_un *address) {
    listener = name_socket(address);
    require(bind(listener, (struct sockaddr *)address, sizeof *address), "bind");
    require(listen(listener, 0), "listen");
    int client = name_socket(address);
    require(connect(client, (struct sockaddr *)address, sizeof *address), "connect");
    return name_socket(address);
}

static void try_full_queue(const void *plan) {
    struct sockaddr_un address;
    int client = full_queue(&address);
    pthread_t thread = prepare(plan);
    say_result(connect(client, (struct sockaddr *)&address, sizeof address));
    pthread_join(thread, NULL);
    say(" handled=%d", (int)handled);
    fcntl(client, F_SETFL, O_NONBLOCK);
    say_result(connect(client, (struct sockaddr *)&address, sizeof address));
}

static void try_full_queue_at_once(const void *argument) {
    (void)argument;
    struct sockaddr_un address;
    int client = full_queue(&address);
    fcntl(client, F_SETFL, O_NONBLOCK);
    say_result(connect(client, (struct sockaddr *)&address, sizeof address));
    struct timeval soon = {.tv_usec = 20000};
    fcntl(client, F_SETFL, 0);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon);
    say_result(connect(client, (struct sockaddr *)&address, sizeof address));
    accept_one();
    say_result(connect(client, (struct sockaddr *)&address, sizeof address));
}

// A signal that is ignored, and one that is blocked, interrupt nothing.
static void try_unnoticed(const void *way) {
    const struct plan plan = {0, 0, open_to_write};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    if (*(const char *)way == 'b')
        pthread_sigmask(SIG_BLOCK, &set, NULL);
    else
        signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2);
    open_fifo(&plan, O_RDONLY);
}

static void *kill_soon(void *argument) {
    (void)argument;
    await_sleep(blocked);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void try_killed(const void *argument) {
    (void)argument;
    pthread_t thread;
    blocked = (pid_t)syscall(SYS_gettid);
    if (pthread_create(&thread, NULL, kill_soon, NULL))
        give_up("pthread_create");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "fifo", O_RDONLY));
}

static void *call_meanwhile(void *argument) {
    (void)argument;
    await_sleep(blocked);
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "meanwhile", 0755));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY));
    open_to_write();
    return NULL;
}

static void try_meanwhile(const void *argument) {
    (void)argument;
    pthread_t thread;
    blocked = (pid_t)syscall(SYS_gettid);
    if (pthread_create(&thread, NULL, call_meanwhile, NULL))
        give_up("pthread_create");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "fifo", O_RDONLY));
    pthread_join(thread, NULL);
}

void interrupted_cases(void) {
    static const struct plan NONE = {0, 0, open_to_write}, READER = {0, 0, open_to_read};
    static const struct plan ONCE = {0, 1, NULL}, RESTARTED = {1, 3, open_to_write};
    static const struct plan RESTARTED_WRITER = {1, 3, open_to_read};
    static const struct plan ACCEPTED = {0, 0, accept_one}, RESTARTED_CLIENT = {1, 3, accept_one};
    attempt(try_fifo, &NONE, "a fifo that somebody else opens");
    attempt(try_fifo_for_writing, &READER, "a fifo that somebody else opens for reading");
    attempt(try_fifo, &ONCE, "a fifo, interrupted");
    attempt(try_fifo_for_writing, &ONCE, "a fifo for writing, interrupted");
    attempt(try_fifo, &RESTARTED, "a fifo, begun anew three times");
    attempt(try_fifo_for_writing, &RESTARTED_WRITER, "a fifo for writing, begun anew three times");
    attempt(try_fifo_at_once, NULL, "a fifo without blocking");
    attempt(try_full_queue, &ONCE, "a full queue, interrupted");
    attempt(try_full_queue, &ACCEPTED, "a full queue that is emptied");
    attempt(try_full_queue, &RESTARTED_CLIENT, "a full queue, begun anew three times");
    attempt(try_full_queue_at_once, NULL, "a full queue without blocking, and with a time limit");
    attempt(try_unnoticed, "ignored", "a fifo, and a signal that is ignored");
    attempt(try_unnoticed, "blocked", "a fifo, and a signal that is blocked");
    attempt(try_killed, NULL, "a fifo, and a signal that kills");
    attempt(try_meanwhile, NULL, "other threads' calls while one blocks");
}
