// SPDX-License-Identifier: Apache-2.0
// Calls from a user namespace that the caller has made.

#include "conform.h"
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static int put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    int result = fd < 0 || write(fd, text, strlen(text)) < 0;
    if (result)
        say(" %s %s", path, strerrorname_np(errno));
    close(fd);
    return result;
}

// A user who is root there.
static int enter(void) {
    require(syscall(SYS_setgroups, 0, NULL), "setgroups");
    require(syscall(SYS_setresgid, USER, USER, USER), "setresgid");
    require(syscall(SYS_setresuid, USER, USER, USER), "setresuid");
    require(prctl(PR_SET_DUMPABLE, 1), "prctl");
    if (unshare(CLONE_NEWUSER)) {
        say(" unshare %s", strerrorname_np(errno));
        return 1;
    }
    return put("/proc/self/uid_map", "0 1000 1\n") || put("/proc/self/setgroups", "deny") ||
           put("/proc/self/gid_map", "0 1000 1\n");
}

static void try_nested(const void *argument) {
    const char *path = argument;
    struct stat is;
    if (enter())
        return;
    say(" as %d:%d", getuid(), getgid());
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_NONBLOCK, 0640));
    say(" mode"), say_result(syscall(SYS_fchmodat, AT_FDCWD, path, 02750));
    say(" owner"), say_result(syscall(SYS_fchownat, AT_FDCWD, path, 0, 0, 0));
    say_result(syscall(SYS_fchownat, AT_FDCWD, path, -1, -1, 0));
    say_result(syscall(SYS_fchownat, AT_FDCWD, path, USER, -1, 0));
    say_result(syscall(SYS_fchownat, AT_FDCWD, path, -1, USER, 0));
    say(" attributes"), say_result(syscall(SYS_setxattr, path, "user.test", "v", 1, 0));
    say_result(syscall(SYS_setxattr, path, "trusted.test", "v", 1, 0));
    static const uint32_t LIST[] = {2, 6 << 16 | 1, UINT32_MAX, 6 << 16 | 2, 0, 4 << 16 | 4, UINT32_MAX,
                                    6 << 16 | 16, UINT32_MAX, 4 << 16 | 32, UINT32_MAX};
    say_result(syscall(SYS_setxattr, path, "system.posix_acl_access", LIST, sizeof LIST, 0));
    uint32_t list[sizeof LIST / 4] = {0};
    if (syscall(SYS_getxattr, path, "system.posix_acl_access", list, sizeof list) == sizeof list)
        say(" list of %u", list[4]);
    say(" times"), say_result(syscall(SYS_utimensat, AT_FDCWD, path, NULL, 0));
    say(" names"), say_result(syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "home/fresh", 0));
    say_result(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, "home/moved", 0));
    say_result(syscall(SYS_mknodat, AT_FDCWD, "home/node", S_IFCHR | 0600, 0));
    say_result(syscall(SYS_mknodat, AT_FDCWD, "home/null", S_IFCHR | 0600, 0x103));
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "home/dir", 0700));
    say_result(syscall(SYS_unlinkat, AT_FDCWD, "home/theirs", 0));
    say_result(syscall(SYS_truncate, "home/moved", 1));
    if (!stat("home/dir", &is))
        say(" %u:%u", is.st_uid, is.st_gid);
}

// What it may do because it is root there.
static void try_capable(const void *argument) {
    const char *path = argument;
    static const uint32_t CAPABILITY[5] = {0x02000000, 1, 0, 0, 0};
    if (enter())
        return;
    say_result(syscall(SYS_setxattr, path, "security.capability", CAPABILITY, sizeof CAPABILITY, 0));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR));
}

void nested_cases(void) {
    static const char *const PATHS[] = {"mine", "file", "shared", "home/new", "secret", "sticky/mine", "fifo"};
    for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
        attempt(try_nested, PATHS[path], "in a user namespace of its own: %s", PATHS[path]);
    attempt(try_capable, "readable", "capabilities in a user namespace of its own");
}
