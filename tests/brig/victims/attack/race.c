// SPDX-License-Identifier: Apache-2.0
// Who changes something all the time, and pauses that are not all the same: a race is won
// in a window whose place nobody knows.

#include "attack.h"
#include <linux/fs.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void *go_on(void *argument) {
    struct racer *racer = argument;
    while (!racer->stop)
        racer->turn(racer->argument);
    return NULL;
}

void begin(struct racer *racer, void (*turn)(void *), void *argument) {
    *racer = (struct racer){.turn = turn, .argument = argument};
    if (pthread_create(&racer->thread, NULL, go_on, racer))
        give_up("pthread_create");
}

void end(struct racer *racer) {
    racer->stop = 1;
    pthread_join(racer->thread, NULL);
}

pid_t begin_process(void (*turn)(void *), void *argument) {
    pid_t child = fork();
    require(child, "fork");
    if (child)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        turn(argument);
}

void end_process(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

void linger(void) {
    static _Thread_local unsigned state = 12345;
    state = state * 1103515245 + 12345;
    // from nothing to what a notification takes
    for (volatile unsigned turn = (state >> 16) % 4096; turn; turn--)
        ;
}

void exchange(void *argument) {
    const struct exchange *names = argument;
    syscall(SYS_renameat2, AT_FDCWD, names->one, AT_FDCWD, names->other, RENAME_EXCHANGE);
    linger();
}

void exchange_at_times(void *argument) {
    exchange(argument);
    for (int turn = 0; turn < 64; turn++)
        linger();
}
