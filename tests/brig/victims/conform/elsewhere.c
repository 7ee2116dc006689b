// SPDX-License-Identifier: Apache-2.0
// Two names on different mounts, and names that mounts are on.

#include "conform.h"
#include <linux/fs.h>
#include <stdio.h>

struct move {
    long number;
    unsigned flags;
    const char *from, *to;
};

static void try_move(const void *argument) {
    const struct move *move = argument;
    say_result(syscall(move->number, AT_FDCWD, move->from, AT_FDCWD, move->to, move->flags));
}

static const struct {
    const char *name;
    long number;
    unsigned flags;
} MANNERS[] = {
    {"rename", SYS_renameat2, 0},
    {"rename NOREPLACE", SYS_renameat2, RENAME_NOREPLACE},
    {"rename EXCHANGE", SYS_renameat2, RENAME_EXCHANGE},
    {"link", SYS_linkat, 0},
};

static void try_removal(const void *argument) {
    const char *path = argument;
    say_result(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
    say_result(syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
    say_result(syscall(SYS_mkdirat, AT_FDCWD, path, 0700));
    say_result(syscall(SYS_mknodat, AT_FDCWD, path, S_IFREG | 0600, 0));
    say_result(syscall(SYS_symlinkat, "target", AT_FDCWD, path));
}

void elsewhere_cases(void) {
    static const char *const HERE_NAMES[] = {"file", "absent", "dir", "link", ".", "absent/x"};
    static const char *const THERE[] = {"/dev/null", "/dev/pts", "/dev/conform-absent", "/proc/version", "/proc/absent",
                                        "/sys/kernel", "/", "/dev", "/dev/absent/x", "/dev/."};
    for (size_t manner = 0; manner < sizeof MANNERS / sizeof *MANNERS; manner++)
        for (size_t here = 0; here < sizeof HERE_NAMES / sizeof *HERE_NAMES; here++)
            for (size_t there = 0; there < sizeof THERE / sizeof *THERE; there++) {
                struct move out = {MANNERS[manner].number, MANNERS[manner].flags, HERE_NAMES[here], THERE[there]};
                attempt(try_move, &out, "%s %s to %s", MANNERS[manner].name, out.from, out.to);
                struct move in = {MANNERS[manner].number, MANNERS[manner].flags, THERE[there], HERE_NAMES[here]};
                attempt(try_move, &in, "%s %s to %s", MANNERS[manner].name, in.from, in.to);
            }
    static const char *const MOUNTED[] = {"/proc", "/proc/", "/sys", "/dev/pts", "..", "../..", "/", "/proc/self", "/proc/1"};
    for (size_t path = 0; path < sizeof MOUNTED / sizeof *MOUNTED; path++)
        attempt(try_removal, MOUNTED[path], "names on which mounts are: %s", MOUNTED[path]);
}
