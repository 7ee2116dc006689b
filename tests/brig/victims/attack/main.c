// SPDX-License-Identifier: Apache-2.0
// Tries to reach what is denied, in the working directory:
//
//   attack plant                   makes what is attacked
//   attack list                    names the attacks
//   attack ID [ROUNDS [SECONDS]]   tries; a race ends after as many rounds, or as much time
//   attack ID -ROUNDS [SECONDS]    and after the first win
//
// and prints one line: {"id": …, "rounds": …, "wins": …, "won": [how, …]}.

#include "attack.h"
#include <stdlib.h>
#include <time.h>

enum { MAX_WAYS = 64 };

static long wanted = 100000, rounds, wins;
static int until_first;
static double limit = 10, deadline;
static const char *ways[MAX_WAYS];
static int ways_count;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int race_on(void) {
    if (rounds >= wanted || (until_first && wins) || (rounds % 16 == 0 && now() > deadline))
        return 0;
    rounds++;
    return 1;
}

void won(const char *how) {
    wins++;
    for (int index = 0; index < ways_count; index++)
        if (!strcmp(ways[index], how))
            return;
    if (ways_count < MAX_WAYS)
        ways[ways_count++] = how;
}

void give_up(const char *what) {
    fprintf(stderr, "attack: %s: %s\n", what, strerror(errno));
    exit(1);
}

void require(long result, const char *what) {
    if (result < 0)
        give_up(what);
}

static const struct attack *const GROUPS[] = {PATH_RACES,    OPEN_RACES,   SOCKET_RACES, TASK_RACES,
                                              WAITING_RACES, FILE_ATTACKS, TREE_ATTACKS, NETWORK_ATTACKS,
                                              SIGNAL_ATTACKS};

static void for_each(void (*action)(const struct attack *, const char *), const char *id) {
    for (size_t group = 0; group < sizeof GROUPS / sizeof *GROUPS; group++)
        for (const struct attack *attack = GROUPS[group]; attack->id; attack++)
            action(attack, id);
}

static void list(const struct attack *attack, const char *id) {
    (void)id;
    puts(attack->id);
}

static int found;

static void run(const struct attack *attack, const char *id) {
    if (strcmp(attack->id, id))
        return;
    found = 1;
    deadline = now() + limit;
    attack->run();
    // what is no race is tried once
    rounds += !rounds;
    printf("{\"id\": \"%s\", \"rounds\": %ld, \"wins\": %ld, \"won\": [", id, rounds, wins);
    for (int index = 0; index < ways_count; index++)
        printf("%s\"%s\"", index ? ", " : "", ways[index]);
    puts("]}");
}

int main(int count, char **arguments) {
    if (count < 2)
        return 2;
    if (count > 2)
        wanted = atol(arguments[2]);
    if (wanted < 0)
        until_first = 1, wanted = -wanted;
    if (count > 3)
        limit = atof(arguments[3]);
    if (!strcmp(arguments[1], "plant"))
        plant();
    else if (!strcmp(arguments[1], "list"))
        for_each(list, NULL);
    else
        for_each(run, arguments[1]);
    fflush(stdout);
    // without waiting for what still blocks
    _exit(strcmp(arguments[1], "plant") && strcmp(arguments[1], "list") && !found ? 2 : 0);
}
