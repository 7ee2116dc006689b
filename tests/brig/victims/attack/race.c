// SPDX-License-Identifier: Apache-2.0
// A thread that changes something all the time, and pauses that are not all the same: a race is won
// in a window whose place nobody knows.

#include "attack.h"
#include <sched.h>

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

void linger(void) {
    static _Thread_local unsigned state = 12345;
    state = state * 1103515245 + 12345;
    // from nothing to what a notification takes
    for (volatile unsigned turn = (state >> 16) % 4096; turn; turn--)
        ;
}
