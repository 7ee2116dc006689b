// SPDX-License-Identifier: Apache-2.0
// Metadata: values at the edges of what there can be, and who may set which.

#include "conform.h"
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct times {
    const char *path;
    struct timespec pair[2];
    uid_t as;
};

static void become(uid_t uid) {
    if (uid)
        require(setgid(uid), "setgid"), require(setuid(uid), "setuid");
}

static void try_times(const void *argument) {
    const struct times *times = argument;
    struct stat is;
    become(times->as);
    say_result(syscall(SYS_utimensat, AT_FDCWD, times->path, times->pair, 0));
    if (!stat(times->path, &is) && is.st_mtim.tv_sec < 1000000000)
        say(" %ld.%ld", (long)is.st_mtim.tv_sec, is.st_mtim.tv_nsec);
}

static void times_cases(void) {
    static const char *const PATHS[] = {"file", "mine", "shared", "readable"};
    static const long SECONDS[] = {0, -1, 33, LONG_MAX, LONG_MIN};
    static const long NANOSECONDS[] = {0, 999999999, 1000000000, -1, UTIME_NOW, UTIME_OMIT, LONG_MAX};
    static const uid_t AS[] = {0, USER, ANOTHER};
    for (size_t second = 0; second < sizeof SECONDS / sizeof *SECONDS; second++)
        for (size_t nano = 0; nano < sizeof NANOSECONDS / sizeof *NANOSECONDS; nano++)
            for (int which = 0; which < 3; which++) {
                struct timespec one = {SECONDS[second], NANOSECONDS[nano]}, plain = {33, 7};
                struct times times = {"file", {which != 1 ? one : plain, which ? one : plain}, 0};
                attempt(try_times, &times, "times %ld.%ld, place %d", one.tv_sec, one.tv_nsec, which);
            }
    for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
        for (size_t as = 0; as < 3; as++)
            for (int first = 0; first < 3; first++)
                for (int second = 0; second < 3; second++) {
                    static const long WAYS[] = {UTIME_NOW, UTIME_OMIT, 5};
                    struct times times = {PATHS[path], {{1, WAYS[first]}, {1, WAYS[second]}}, AS[as]};
                    attempt(try_times, &times, "times of %s as %u: %d and %d", PATHS[path], AS[as], first, second);
                }
}

struct value {
    const char *path, *name;
    const void *bytes;
    size_t size;
    int flags;
    uid_t as;
};

static void try_value(const void *argument) {
    const struct value *value = argument;
    become(value->as);
    say_result(syscall(SYS_setxattr, value->path, value->name, value->bytes, value->size, value->flags));
    say_result(syscall(SYS_lsetxattr, value->path, value->name, value->bytes, value->size, value->flags));
    say_result(syscall(SYS_removexattr, value->path, value->name));
}

static void value_cases(void) {
    static char large[70000], name_255[256] = "user.", name_256[257] = "user.";
    memset(name_255 + 5, 'n', 250), memset(name_256 + 5, 'n', 251);
    static const size_t SIZES[] = {0, 1, 4096, 65536, 65537, INT_MAX, SIZE_MAX};
    for (size_t size = 0; size < sizeof SIZES / sizeof *SIZES; size++)
        for (int flags = 0; flags < 5; flags++) {
            struct value value = {"file", "user.test", large, SIZES[size], flags, 0};
            attempt(try_value, &value, "an attribute of %zu bytes, flags %d", SIZES[size], flags);
            value.bytes = NULL;
            attempt(try_value, &value, "an attribute of %zu bytes that are nowhere, flags %d", SIZES[size], flags);
        }
    // version 2; the owner, a user, the group, the mask, the others
    static const uint32_t LIST[] = {2, 6 << 16 | 1, UINT32_MAX, 6 << 16 | 2, USER, 4 << 16 | 4, UINT32_MAX,
                                    6 << 16 | 16, UINT32_MAX, 4 << 16 | 32, UINT32_MAX};
    static const struct {
        const char *name;
        const void *bytes;
        size_t size;
    } NAMED[] = {
        {"user.had", "1", 1}, {"user.", "1", 1}, {"user", "1", 1}, {".", "1", 1}, {"trusted.test", "1", 1},
        {"security.capability", "1", 1}, {"security.test", "1", 1}, {"system.posix_acl_access", "1", 1},
        {"system.posix_acl_access", LIST, sizeof LIST}, {"system.posix_acl_access", NULL, 0},
        {"system.posix_acl_default", LIST, sizeof LIST}, {"system.test", "1", 1}, {name_255, "1", 1}, {name_256, "1", 1},
    };
    static const char *const PATHS[] = {"file", "dir", "link", "fifo", "null", "mine", "sticky"};
    static const uid_t AS[] = {0, USER};
    for (size_t name = 0; name < sizeof NAMED / sizeof *NAMED; name++)
        for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
            for (size_t as = 0; as < 2; as++) {
                struct value value = {PATHS[path], NAMED[name].name, NAMED[name].bytes, NAMED[name].size, 0, AS[as]};
                attempt(try_value, &value, "attribute %zu %.24s of %s as %u", name, value.name, value.path, AS[as]);
            }
}

struct node {
    const char *path;
    unsigned mode;
    unsigned long device;
    uid_t as;
};

static void try_node(const void *argument) {
    const struct node *node = argument;
    struct stat is;
    become(node->as);
    say_result(syscall(SYS_mknodat, AT_FDCWD, node->path, node->mode, node->device));
    if (!lstat(node->path, &is))
        say(" %lx", (long)is.st_rdev);
}

static void node_cases(void) {
    static const unsigned KINDS[] = {S_IFCHR, S_IFBLK, S_IFREG, S_IFIFO, S_IFSOCK, S_IFDIR, S_IFLNK, 0, 0110000};
    static const unsigned long DEVICES[] = {0, 0x103, 0xfffff, 0xffffffff, 0x100000000, 0x12345678};
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++)
        for (size_t device = 0; device < sizeof DEVICES / sizeof *DEVICES; device++)
            for (int user = 0; user < 2; user++) {
                struct node node = {"home/fresh", KINDS[kind] | 0640, DEVICES[device], user ? USER : 0};
                attempt(try_node, &node, "mknod %o of %lx as %u", node.mode, node.device, node.as);
            }
}

struct mode {
    const char *path;
    unsigned long mode;
    uid_t as;
};

static void try_mode(const void *argument) {
    const struct mode *mode = argument;
    become(mode->as);
    say_result(syscall(SYS_fchmodat, AT_FDCWD, mode->path, mode->mode));
    say_result(syscall(SYS_fchmodat2, AT_FDCWD, mode->path, mode->mode, AT_SYMLINK_NOFOLLOW));
}

static void mode_cases(void) {
    static const unsigned long MODES[] = {0, 01777, 02755, 04755, 06755, 010644, 0100644, 0177777, 1UL << 32 | 0600};
    static const char *const PATHS[] = {"mine", "shared", "home", "setgid", "suid", "file", "link"};
    for (size_t mode = 0; mode < sizeof MODES / sizeof *MODES; mode++)
        for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
            for (int user = 0; user < 2; user++) {
                struct mode one = {PATHS[path], MODES[mode], user ? USER : 0};
                attempt(try_mode, &one, "mode %lo of %s as %u", one.mode, one.path, one.as);
            }
}

void values_cases(void) {
    times_cases();
    value_cases();
    node_cases();
    mode_cases();
}
