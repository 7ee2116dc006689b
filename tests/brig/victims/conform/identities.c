// SPDX-License-Identifier: Apache-2.0
// The calls as other users than root: groups, capabilities, ids that differ from each other.

#include "conform.h"
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

struct identity {
    const char *name;
    void (*become)(void);
};

static void keep_capabilities(unsigned kept) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};
    require(syscall(SYS_capset, &header, data), "capset");
}

static void ids(uid_t uid, gid_t gid, int count, const gid_t *groups) {
    require(syscall(SYS_setgroups, count, groups), "setgroups");
    require(syscall(SYS_setresgid, gid, gid, gid), "setresgid");
    require(syscall(SYS_setresuid, uid, uid, uid), "setresuid");
}

static void user(void) {
    ids(USER, USER, 0, NULL);
}

static void member(void) {
    static const gid_t GROUPS[] = {77, GROUP};
    ids(USER, USER, 2, GROUPS);
}

static void powerless(void) {
    keep_capabilities(0);
}

// Effective ids of root, and of a user for files.
static void guest(void) {
    require(syscall(SYS_setgroups, 0, NULL), "setgroups");
    setfsgid(USER);
    setfsuid(USER);
}

// A user who may overrule permissions, and no more.
static void overruling(void) {
    require(prctl(PR_SET_KEEPCAPS, 1), "prctl");
    user();
    keep_capabilities(1U << CAP_DAC_OVERRIDE);
}

// Root's capabilities permitted, none effective.
static void dormant(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    require(syscall(SYS_capget, &header, data), "capget");
    data[0].effective = data[1].effective = 0;
    require(syscall(SYS_capset, &header, data), "capset");
}

static const struct identity IDENTITIES_TRIED[] = {
    {"user", user},   {"member", member},         {"powerless root", powerless},
    {"guest", guest}, {"overruling", overruling}, {"dormant root", dormant},
};

static const char *const PATHS[] = {
    "file",       "mine",          "readable",    "shared",     "secret",     "hidden",
    "suid",       "closed/file",   "closed/new",  "through/file", "through/new", "sticky/theirs",
    "sticky/mine", "sticky/new",   "setgid/new",  "home/new",   "home/theirs", "new",
    "closed",     "home",
};

struct trial {
    const struct identity *identity;
    const struct call *call;
    const char *path;
};

static void try_as(const void *argument) {
    const struct trial *trial = argument;
    trial->identity->become();
    long result = trial->call->make(trial->call, AT_FDCWD, trial->path);
    if (trial->call->traits & OPENS)
        say_descriptor(result);
    else
        say_result(result);
}

// The new name of a thing that is renamed or linked goes where everybody may write, too.
static void try_into_sticky(const void *argument) {
    const struct trial *trial = argument;
    trial->identity->become();
    say_result(syscall(trial->call->number, AT_FDCWD, trial->path, AT_FDCWD, "sticky/fresh", 0));
}

static void into_sticky_cases(const struct identity *identity) {
    static const struct call CALLS[] = {{"renameat2", NULL, 0, SYS_renameat2, 0, 0, 0},
                                        {"linkat", NULL, 0, SYS_linkat, 0, 0, 0}};
    static const char *const FROM[] = {"sticky/mine", "sticky/theirs", "home/theirs", "mine", "readable", "file"};
    for (size_t call = 0; call < 2; call++)
        for (size_t from = 0; from < sizeof FROM / sizeof *FROM; from++) {
            struct trial trial = {identity, &CALLS[call], FROM[from]};
            attempt(try_into_sticky, &trial, "%s: %s %s into sticky", identity->name, CALLS[call].name, FROM[from]);
        }
}

struct ownership {
    const struct identity *identity;
    const char *path;
    uid_t uid;
    gid_t gid;
};

static void try_chown(const void *argument) {
    const struct ownership *ownership = argument;
    ownership->identity->become();
    say_result(syscall(SYS_fchownat, AT_FDCWD, ownership->path, ownership->uid, ownership->gid, 0));
}

static void ownership_cases(const struct identity *identity) {
    static const uid_t UIDS[] = {(uid_t)-1, 0, USER, ANOTHER};
    static const gid_t GIDS[] = {(gid_t)-1, 0, USER, GROUP};
    static const char *const FILES[] = {"mine", "suid"};
    for (size_t file = 0; file < 2; file++)
        for (size_t uid = 0; uid < 4; uid++)
            for (size_t gid = 0; gid < 4; gid++) {
                struct ownership ownership = {identity, FILES[file], UIDS[uid], GIDS[gid]};
                attempt(try_chown, &ownership, "%s: chown %d:%d %s", identity->name, (int)UIDS[uid],
                        (int)GIDS[gid], FILES[file]);
            }
}

static void try_working_directory(const void *argument) {
    (void)argument;
    // entered while that was allowed
    require(chdir("closed"), "closed");
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    user();
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY));
    say_descriptor(syscall(SYS_openat, fd, "file", O_RDONLY));
    say_descriptor(syscall(SYS_openat, fd, "../file", O_RDONLY));
    say_descriptor(syscall(SYS_openat, fd, ".", O_RDONLY));
    say_result(syscall(SYS_fchmodat, fd, "file", 0600));
}

static void try_own_thread(const void *argument) {
    (void)argument;
    // of this task alone: the calls are made below the C library, which changes all threads
    say_result(syscall(SYS_openat, AT_FDCWD, "secret", O_RDONLY));
    user();
    say_result(syscall(SYS_openat, AT_FDCWD, "secret", O_RDONLY));
    say_result(syscall(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY));
    say_result(syscall(SYS_openat, AT_FDCWD, "/proc/1/environ", O_RDONLY));
}

void identities_cases(void) {
    for (size_t who = 0; who < sizeof IDENTITIES_TRIED / sizeof *IDENTITIES_TRIED; who++) {
        const struct identity *identity = &IDENTITIES_TRIED[who];
        for (const struct call *call = calls; call->name; call++)
            for (size_t path = 0; call->traits & IDENTITIES && path < sizeof PATHS / sizeof *PATHS; path++) {
                struct trial trial = {identity, call, PATHS[path]};
                attempt(try_as, &trial, "%s: %s, %s", identity->name, call->name, PATHS[path]);
            }
        into_sticky_cases(identity);
        ownership_cases(identity);
    }
    attempt(try_working_directory, NULL, "user: in a directory that may no longer be entered");
    attempt(try_own_thread, NULL, "user: after giving root up");
}
