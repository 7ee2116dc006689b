// SPDX-License-Identifier: Apache-2.0
// Metadata by the newest calls, and of files that are no ordinary ones; cutting files.

#include "conform.h"
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>

#ifndef SYS_file_setattr
#define SYS_file_setattr 469
#endif

// struct file_attr of linux/fs.h, and more than any kernel knows.
struct attributes {
    uint64_t flags;
    uint32_t extent_size, extents, project, copied_extent_size;
    uint64_t more[600];
};

struct setting {
    enum base base;
    const char *path;
    unsigned at;
    size_t size;
    struct attributes attributes;
};

static void try_setting(const void *argument) {
    const struct setting *setting = argument;
    int at = descriptor_of(setting->base);
    say_result(syscall(SYS_file_setattr, at, setting->path, &setting->attributes, setting->size, setting->at));
}

static const struct {
    const char *name;
    enum base base;
    const char *path;
} PLACES[] = {
    {"file", CWD, "file"},
    {"link", CWD, "link"},
    {"dangling", CWD, "dangling"},
    {"dir", CWD, "dir"},
    {"fifo", CWD, "fifo"},
    {"null", CWD, "null"},
    {"absent", CWD, "absent"},
    {"absent/x", CWD, "absent/x"},
    {"the empty path", CWD, ""},
    {"NULL", CWD, NULL},
    {"a bad pointer", CWD, (char *)1},
    {"directory: file", HERE, "file"},
    {"directory: the empty path", HERE, ""},
    {"directory: NULL", HERE, NULL},
    {"O_PATH directory: the empty path", HANDLE, ""},
    {"O_PATH directory: NULL", HANDLE, NULL},
    {"file's descriptor: the empty path", A_FILE, ""},
    {"file's descriptor: NULL", A_FILE, NULL},
    {"file's descriptor: file", A_FILE, "file"},
    {"link's descriptor: the empty path", A_LINK, ""},
    {"link's descriptor: NULL", A_LINK, NULL},
    {"file's O_PATH descriptor: the empty path", A_HANDLE, ""},
    {"file's O_PATH descriptor: NULL", A_HANDLE, NULL},
    {"closed descriptor: file", CLOSED, "file"},
    {"closed descriptor: the empty path", CLOSED, ""},
    {"closed descriptor: NULL", CLOSED, NULL},
    {"descriptor -1: NULL", NEGATIVE, NULL},
    {"removed directory: the empty path", GONE, ""},
};
enum { COUNT = sizeof PLACES / sizeof *PLACES };
static const unsigned WAYS[] = {0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 0x10000};

static void setting_cases(void) {
    static const size_t SIZES[] = {0, 8, 23, 24, 25, 32, 4096, 4097, SIZE_MAX};
    for (size_t place = 0; place < COUNT; place++)
        for (size_t way = 0; way < sizeof WAYS / sizeof *WAYS; way++) {
            struct setting setting = {PLACES[place].base, PLACES[place].path, WAYS[way], 24, {.flags = 0x40}};
            attempt(try_setting, &setting, "file_setattr %x, %s", WAYS[way], PLACES[place].name);
        }
    for (size_t size = 0; size < sizeof SIZES / sizeof *SIZES; size++)
        for (int more = 0; more < 2; more++) {
            struct setting setting = {CWD, "file", 0, SIZES[size], {.more = {more}}};
            attempt(try_setting, &setting, "file_setattr of %zu bytes, more %d", SIZES[size], more);
        }
    static const uint64_t FLAGS[] = {0, 1, 2, 8, 0x20, 0x80000000, 1ULL << 40};
    for (size_t flag = 0; flag < sizeof FLAGS / sizeof *FLAGS; flag++) {
        struct setting setting = {CWD, "file", 0, 24, {.flags = FLAGS[flag], .project = flag == 0 ? 7 : 0}};
        attempt(try_setting, &setting, "file_setattr of flags %lx", (unsigned long)FLAGS[flag]);
    }
}

struct naming {
    enum base base;
    const char *path;
    unsigned at;
    const char *attribute;
    long number;
};

static void try_attribute(const void *argument) {
    const struct naming *naming = argument;
    const struct {
        const char *value;
        unsigned size, flags;
    } arguments = {"v", 1, 0};
    int at = descriptor_of(naming->base);
    if (naming->number == SYS_setxattrat)
        say_result(syscall(SYS_setxattrat, at, naming->path, naming->at, naming->attribute, &arguments, 16));
    else
        say_result(syscall(SYS_removexattrat, at, naming->path, naming->at, naming->attribute));
}

static void attribute_cases(void) {
    static const char *const NAMES[] = {"user.had", "user.test", "user.", "", "nothing", "trusted.x", "system.x",
                                        "security.x", (char *)1};
    for (size_t place = 0; place < COUNT; place++)
        for (size_t way = 0; way < sizeof WAYS / sizeof *WAYS; way++) {
            struct naming set = {PLACES[place].base, PLACES[place].path, WAYS[way], "user.test", SYS_setxattrat};
            attempt(try_attribute, &set, "setxattrat %x, %s", WAYS[way], PLACES[place].name);
            struct naming removed = {PLACES[place].base, PLACES[place].path, WAYS[way], "user.had", SYS_removexattrat};
            attempt(try_attribute, &removed, "removexattrat %x, %s", WAYS[way], PLACES[place].name);
        }
    for (size_t name = 0; name < sizeof NAMES / sizeof *NAMES; name++) {
        struct naming set = {CWD, "file", 0, NAMES[name], SYS_setxattrat};
        struct naming removed = {CWD, "file", 0, NAMES[name], SYS_removexattrat};
        const char *text = NAMES[name] == (char *)1 ? "a bad pointer" : NAMES[name];
        attempt(try_attribute, &set, "setxattrat of '%s'", text);
        attempt(try_attribute, &removed, "removexattrat of '%s'", text);
    }
}

static void try_metadata(const void *argument) {
    const char *path = argument;
    const struct timespec times[2] = {{33, 7}, {44, 8}};
    say_result(syscall(SYS_fchmodat, AT_FDCWD, path, 0640));
    say_result(syscall(SYS_fchownat, AT_FDCWD, path, USER, GROUP, 0));
    say_result(syscall(SYS_utimensat, AT_FDCWD, path, times, 0));
    say_result(syscall(SYS_setxattr, path, "user.test", "v", 1, 0));
    say_result(syscall(SYS_removexattr, path, "user.test"));
    say_result(syscall(SYS_truncate, path, 0));
    say_result(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
    say_result(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, "fresh", 0));
    say_result(syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "fresh", AT_SYMLINK_FOLLOW));
}

static void metadata_cases(void) {
    static const char *const PATHS[] = {
        "/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/thread-self/ns/pid", "/proc/self/ns/absent", "/proc/self/comm",
        "/proc/self/absent", "/proc/self/task", "/proc/self/fd", "/proc/self/fd/99", "/proc/version", "/proc/mounts",
        "/proc/self/cwd/file", "/proc/self/root/absent", "/sys/kernel", "/sys/absent",
    };
    for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
        attempt(try_metadata, PATHS[path], "metadata of %s", PATHS[path]);
}

struct cut {
    const char *path;
    long length;
    rlim_t most;
    const char *as;
};

static void try_cut(const void *argument) {
    const struct cut *cut = argument;
    require(mknod("empty", S_IFREG | 06755, 0), "empty");
    const struct timespec past[2] = {{.tv_sec = 11}, {.tv_sec = 22}};
    require(utimensat(AT_FDCWD, "empty", past, 0), "empty");
    const struct rlimit limit = {cut->most, cut->most};
    require(setrlimit(RLIMIT_FSIZE, &limit), "setrlimit");
    if (cut->as[0] == 'i')
        signal(SIGXFSZ, SIG_IGN);
    if (cut->as[0] == 'u')
        require(setuid(USER), "setuid");
    say_result(syscall(SYS_truncate, cut->path, cut->length));
}

static void cutting_cases(void) {
    static const char *const PATHS[] = {"empty", "file", "suid", "mine", "secret", "link", "readable", "fifo", "dir", "null"};
    static const long LENGTHS[] = {0, 1, 2, 3, 4, 5, 1L << 40, LONG_MAX};
    static const rlim_t LIMITS[] = {RLIM_INFINITY, 0, 2, 4};
    static const char *const AS[] = {"root", "ignoring", "user"};
    for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
        for (size_t length = 0; length < sizeof LENGTHS / sizeof *LENGTHS; length++)
            for (size_t limit = 0; limit < sizeof LIMITS / sizeof *LIMITS; limit++)
                for (size_t as = 0; as < 3; as++) {
                    struct cut cut = {PATHS[path], LENGTHS[length], LIMITS[limit], AS[as]};
                    attempt(try_cut, &cut, "truncate %s to %ld, limit %ld, %s", cut.path, cut.length, (long)cut.most,
                            cut.as);
                }
}

void attributes_cases(void) {
    setting_cases();
    attribute_cases();
    metadata_cases();
    cutting_cases();
}
