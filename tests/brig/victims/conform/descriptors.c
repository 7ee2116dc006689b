// SPDX-License-Identifier: Apache-2.0
// Changing metadata by a descriptor, and by the ways that are as good as one.

#include "conform.h"
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int open_kind(const char *kind) {
    int pair[2], fd = -1;
    switch (kind[0]) {
    case 'r': return open("file", O_RDONLY);
    case 'w': return open("file", O_WRONLY);
    case 'O': return open("file", O_PATH);
    case 'l': return open("link", O_PATH | O_NOFOLLOW);
    case 'd': return open("dir", O_RDONLY | O_DIRECTORY);
    case 'f': return open("fifo", O_RDWR);
    case 'n': return open("null", O_RDWR);
    case 'c': return 99;
    case 'm': return (int)syscall(SYS_memfd_create, "memory", 0);
    case 'p': return pipe(pair) ? -1 : pair[1];
    case 's': return socket(AF_UNIX, SOCK_STREAM, 0);
    case 'u':
        fd = open("other", O_RDWR);
        require(unlink("other"), "other");
        return fd;
    default: return -1;
    }
}

static long change(int fd, int way) {
    static const struct timespec TIMES[2] = {{33, 1}, {44, 2}};
    struct {
        const char *value;
        unsigned size, flags;
    } attribute = {"v", 1, 0};
    switch (way) {
    case 0: return syscall(SYS_fchmod, fd, 0640);
    case 1: return syscall(SYS_fchown, fd, USER, GROUP);
    case 2: return syscall(SYS_fchownat, fd, "", USER, -1, AT_EMPTY_PATH);
    case 3: return syscall(SYS_fchmodat2, fd, "", 0604, AT_EMPTY_PATH);
    case 4: return syscall(SYS_utimensat, fd, NULL, TIMES, 0);
    case 5: return syscall(SYS_utimensat, fd, NULL, NULL, 0);
    case 6: return syscall(SYS_utimensat, fd, NULL, TIMES, AT_SYMLINK_NOFOLLOW);
    case 7: return syscall(SYS_utimensat, fd, "", TIMES, AT_EMPTY_PATH);
    case 8: return syscall(SYS_fsetxattr, fd, "user.test", "v", 1, 0);
    case 9: return syscall(SYS_fremovexattr, fd, "user.had");
    case 10: return syscall(SYS_setxattrat, fd, "", AT_EMPTY_PATH, "user.test", &attribute, sizeof attribute);
    case 11: return syscall(SYS_ftruncate, fd, 3);
    case 12: return syscall(SYS_linkat, fd, "", AT_FDCWD, "fresh", AT_EMPTY_PATH);
    case 13: return syscall(SYS_fchown, fd, -1, -1);
    default: return -1;
    }
}

static const char *const WAYS[] = {
    "fchmod", "fchown", "fchownat", "fchmodat2", "utimensat NULL", "utimensat NULL now",
    "utimensat NULL AT_SYMLINK_NOFOLLOW", "utimensat AT_EMPTY_PATH", "fsetxattr", "fremovexattr",
    "setxattrat", "ftruncate", "linkat", "fchown -1",
};

static const char *const KINDS[] = {
    "read-only", "write-only", "O_PATH", "link", "directory", "fifo", "null", "closed", "memory",
    "pipe", "socket", "unlinked",
};

struct trial {
    int way;
    const char *kind;

};

static void try_change(const void *argument) {
    const struct trial *trial = argument;
    int fd = open_kind(trial->kind);
    struct stat is = {0};
    say_result(change(fd, trial->way));
    if (!fstat(fd, &is))
        say(" %o %u:%u", is.st_mode, is.st_uid, is.st_gid);
}

static void try_procfs(const void *argument) {
    const struct trial *trial = argument;
    static const struct timespec TIMES[2] = {{33, 1}, {44, 2}};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open_kind(trial->kind));
    switch (trial->way) {
    case 0: return say_result(syscall(SYS_fchmodat, AT_FDCWD, path, 0640));
    case 1: return say_result(syscall(SYS_fchownat, AT_FDCWD, path, USER, GROUP, 0));
    case 2: return say_result(syscall(SYS_utimensat, AT_FDCWD, path, TIMES, 0));
    case 3: return say_result(syscall(SYS_setxattr, path, "user.test", "v", 1, 0));
    case 4: return say_result(syscall(SYS_truncate, path, 3));
    case 5: return say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK));
    case 6: return say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
    case 7: return say_result(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
    case 8: return say_result(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, "fresh", 0));
    default: return say_result(syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "fresh", AT_SYMLINK_FOLLOW));
    }
}

static const char *const PROCFS_WAYS[] = {
    "fchmodat", "fchownat", "utimensat", "setxattr", "truncate",
    "openat", "openat O_NOFOLLOW", "unlinkat", "renameat2", "linkat",
};

void descriptors_cases(void) {
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++) {
        for (int way = 0; way < (int)(sizeof WAYS / sizeof *WAYS); way++) {
            struct trial trial = {way, KINDS[kind]};
            attempt(try_change, &trial, "%s of a descriptor, %s", WAYS[way], KINDS[kind]);
        }
        for (int way = 0; way < (int)(sizeof PROCFS_WAYS / sizeof *PROCFS_WAYS); way++) {
            struct trial trial = {way, KINDS[kind]};
            attempt(try_procfs, &trial, "%s of /proc/self/fd, %s", PROCFS_WAYS[way], KINDS[kind]);
        }
    }
}
