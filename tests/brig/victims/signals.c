// SPDX-License-Identifier: Apache-2.0
// Signals to processes of others.
//
//   signals watch        prints its pid, and each signal that it gets as soon as it comes;
//                        ends with SIGTERM
//   signals send PID     sends that process one in every way there is; prints the ways, or why not

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int watch(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    printf("%d\n", getpid());
    for (;;) {
        siginfo_t info;
        int signal = sigwaitinfo(&all, &info);
        if (signal == SIGTERM)
            return 0;
        if (signal > 0)
            printf("SIG%s\n", sigabbrev_np(signal));
        fflush(stdout);
    }
}

static void say(const char *way, long result) {
    printf("%s %s\n", way, result < 0 ? strerrorname_np(errno) : "sent");
}

static void fill(siginfo_t *info, int signal) {
    memset(info, 0, sizeof *info);
    info->si_signo = signal;
    info->si_code = SI_QUEUE;
}

// The owner of a descriptor gets a signal when something can be read.
static long by_owner(pid_t to, int signal) {
    int ends[2];
    if (pipe(ends) || fcntl(ends[0], F_SETOWN, to) || fcntl(ends[0], F_SETSIG, signal) ||
        fcntl(ends[0], F_SETFL, O_ASYNC))
        return -1;
    return write(ends[1], "x", 1);
}

// The same of one thread.
static long by_owning_thread(pid_t to, int signal) {
    const struct f_owner_ex owner = {F_OWNER_TID, to};
    int ends[2];
    if (pipe(ends) || fcntl(ends[0], F_SETOWN_EX, &owner) || fcntl(ends[0], F_SETSIG, signal) ||
        fcntl(ends[0], F_SETFL, O_ASYNC))
        return -1;
    return write(ends[1], "x", 1);
}

// The owner of a socket gets SIGURG for urgent data.
static long by_urgent_data(pid_t to) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&at, length) || listen(server, 1) ||
        getsockname(server, (struct sockaddr *)&at, &length) || connect(from, (struct sockaddr *)&at, length))
        return -1;
    int here = accept(server, NULL, NULL);
    if (here < 0 || fcntl(here, F_SETOWN, to))
        return -1;
    return send(from, "!", 1, MSG_OOB);
}

static long by_timer(pid_t to, int signal) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = signal};
    event._sigev_un._tid = to;
    timer_t timer;
    return syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
}

static int send_all(pid_t to) {
    siginfo_t info;
    say("kill", kill(to, SIGUSR1));
    say("tgkill", syscall(SYS_tgkill, to, to, SIGUSR2));
    say("tkill", syscall(SYS_tkill, to, SIGHUP));
    int pidfd = (int)syscall(SYS_pidfd_open, to, 0);
    say("pidfd_send_signal", syscall(SYS_pidfd_send_signal, pidfd, SIGINT, NULL, 0));
    fill(&info, SIGQUIT);
    say("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, to, SIGQUIT, &info));
    fill(&info, SIGALRM);
    say("rt_tgsigqueueinfo", syscall(SYS_rt_tgsigqueueinfo, to, to, SIGALRM, &info));
    say("killpg", kill(-getpgid(to), SIGVTALRM));
    // these tell nobody whether it came
    by_owner(to, SIGPROF);
    by_owning_thread(to, SIGPIPE);
    by_urgent_data(to);
    say("timer_create", by_timer(to, SIGTTIN));
    usleep(100000);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 2 && !strcmp(arguments[1], "watch"))
        return watch();
    if (count == 3 && !strcmp(arguments[1], "send"))
        return send_all(atoi(arguments[2]));
    return 2;
}
