// SPDX-License-Identifier: Apache-2.0
// Prints how many Landlock domains a process can enter on top of those that it is in.

#define _GNU_SOURCE
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    struct landlock_ruleset_attr attributes = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK};
    int layers = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return 1;
    int ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset < 0)
        return 1;
    while (!syscall(SYS_landlock_restrict_self, ruleset, 0))
        layers++;
    printf("%d\n", layers);
    return 0;
}
