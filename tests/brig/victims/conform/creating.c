// SPDX-License-Identifier: Apache-2.0
// O_CREAT where links, procfs or a directory that everybody writes to are in the way.

#include "conform.h"
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>

struct way {
    const char *path;
    const struct manner *manner;
};

static const struct manner {
    const char *name;
    unsigned long flags, resolve;
} MANNERS[] = {
    {"O_WRONLY", O_WRONLY, 0},
    {"O_RDONLY", O_RDONLY, 0},
    {"O_RDWR|O_TRUNC", O_RDWR | O_TRUNC, 0},
    {"O_EXCL", O_WRONLY | O_EXCL, 0},
    {"O_NOFOLLOW", O_WRONLY | O_NOFOLLOW, 0},
    {"BENEATH", O_WRONLY, RESOLVE_BENEATH},
    {"IN_ROOT", O_WRONLY, RESOLVE_IN_ROOT},
    {"NO_SYMLINKS", O_WRONLY, RESOLVE_NO_SYMLINKS},
    {"NO_XDEV", O_WRONLY, RESOLVE_NO_XDEV},
};
enum { COUNT = sizeof MANNERS / sizeof *MANNERS };

static void create(const char *path, const struct manner *manner) {
    struct open_how how = {O_CREAT | O_NONBLOCK | manner->flags, 0640, manner->resolve};
    say_descriptor(openat2_again(AT_FDCWD, path, &how));
}

static void try_path(const void *argument) {
    const struct way *way = argument;
    create(way->path, way->manner);
}

static void try_link(const void *argument) {
    const struct way *way = argument;
    require(symlink(way->path, "l"), "l");
    create("l", way->manner);
}

// The link is in another directory, and that is come to by a link.
static void try_link_elsewhere(const void *argument) {
    const struct way *way = argument;
    require(symlink(way->path, "dir/l"), "dir/l");
    create("dirlink/l", way->manner);
}

static void link_cases(void) {
    static const char *const TARGETS[] = {
        "made", "../g/made", "../made", "dir/../made", "dirlink/../made", "dirlink/made", "./made", "dir//made",
        "absent/../made", "absent/made", "file/../made", "file/made", "made/", "dir", "dir/", "dirlink", "dirlink/.",
        "dir/..", ".", "..", "/", "/proc/self/cwd/made", "/proc/self/cwd", "/proc/self", "/proc/self/root/proc",
        "../../../../../../../../../made-by-nobody/x", "file", "link", "dangling", "beyond", "loop1", "up", "fifo",
        "null", "sock", "../c/39/made", "../c/40/made",
    };
    for (size_t target = 0; target < sizeof TARGETS / sizeof *TARGETS; target++)
        for (size_t manner = 0; manner < COUNT; manner++) {
            struct way way = {TARGETS[target], &MANNERS[manner]};
            attempt(try_link, &way, "create %s by a link to %s", way.manner->name, way.path);
            attempt(try_link_elsewhere, &way, "create %s by dirlink/link to %s", way.manner->name, way.path);
        }
    for (size_t manner = 0; manner < COUNT; manner++) {
        struct way made = {absolute("made"), &MANNERS[manner]}, up = {absolute("dir/../made"), &MANNERS[manner]};
        attempt(try_link, &made, "create %s by an absolute link", made.manner->name);
        attempt(try_link, &up, "create %s by an absolute link with ..", up.manner->name);
    }
}

// As many links as are wanted, each to the one before, and in turn in two directories.
static void try_chain(const void *argument) {
    int count = *(const int *)argument;
    char name[32], target[32] = "made";
    for (int link = 1; link <= count; link++) {
        int below = link % 2;
        snprintf(name, sizeof name, "%s%d", below ? "dir/" : "", link);
        require(symlink(target, name), name);
        snprintf(target, sizeof target, "%s%d", below ? "dir/" : "../", link);
    }
    create(name, &MANNERS[0]);
}

static void chain_cases(void) {
    static const int COUNTS[] = {2, 3, 15, 16, 17, 32, 39, 40, 41};
    for (size_t index = 0; index < sizeof COUNTS / sizeof *COUNTS; index++)
        attempt(try_chain, &COUNTS[index], "create at the end of %d links", COUNTS[index]);
}

static void proc_cases(void) {
    static const char *const PATHS[] = {
        "/proc/self", "/proc/self/", "/proc/self/comm", "/proc/self/absent", "/proc/absent", "/proc/self/cwd",
        "/proc/self/cwd/made", "/proc/self/cwd/dangling", "/proc/self/cwd/dirlink/made", "/proc/self/root",
        "/proc/thread-self", "/proc/thread-self/cwd/made", "/proc/self/fd", "/proc/self/fd/99", "/proc/self/exe",
        "/proc/mounts", "/dev/fd", "/dev/stdin/x", "/dev/null", "/dev/absent/x", "/sys/absent",
    };
    for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
        for (size_t manner = 0; manner < COUNT; manner++) {
            struct way way = {PATHS[path], &MANNERS[manner]};
            attempt(try_path, &way, "create %s %s", way.manner->name, way.path);
        }
}

// What is found, by whom, in a directory of whom.
struct found {
    const char *kind;
    mode_t directory;
    uid_t owner, of_directory, caller;
    const struct manner *manner;
};

static void try_sticky(const void *argument) {
    const struct found *found = argument;
    require(mkdir("d", 0700), "d");
    switch (found->kind[0]) {
    case 'r': require(mknod("d/x", S_IFREG | 0666, 0), "d/x"); break;
    case 'f': require(mknod("d/x", S_IFIFO | 0666, 0), "d/x"); break;
    case 's': require(mknod("d/x", S_IFSOCK | 0666, 0), "d/x"); break;
    case 'n': require(mknod("d/x", S_IFCHR | 0666, (1 << 8) | 3), "d/x"); break;
    case 'd': require(mkdir("d/x", 0777), "d/x"); break;
    case 'l': require(symlink("../file", "d/x"), "d/x"); break;
    case 'D': require(symlink("../home/made", "d/x"), "d/x"); break;
    case 'p': require(symlink("/proc/self/cwd/file", "d/x"), "d/x"); break;
    }
    require(lchown("d/x", found->owner, GROUP), "d/x");
    require(chown("d", found->of_directory, GROUP), "d");
    require(chmod("d", found->directory), "d");
    require(chmod("file", 0666), "file");
    if (found->caller) {
        require(setgid(GROUP), "setgid");
        require(setuid(found->caller), "setuid");
    }
    create("d/x", found->manner);
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "d/x", O_RDONLY | O_NONBLOCK));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "/proc/self/cwd/d/x", O_RDONLY | O_NONBLOCK));
}

static void sticky_cases(void) {
    static const char *const KINDS[] = {"regular", "fifo", "socket", "null", "directory", "link", "Dangling", "proc"};
    static const mode_t MODES[] = {01777, 01775, 01707, 0777, 03770};
    static const uid_t OWNERS[] = {0, USER, ANOTHER};
    for (size_t kind = 0; kind < sizeof KINDS / sizeof *KINDS; kind++)
        for (size_t mode = 0; mode < sizeof MODES / sizeof *MODES; mode++)
            for (size_t owner = 0; owner < 3; owner++)
                for (size_t caller = 0; caller < 2; caller++)
                    for (size_t manner = 1; manner < 4; manner += 2) {
                        struct found found = {KINDS[kind], MODES[mode], OWNERS[owner], OWNERS[2 * (kind % 2)],
                                              OWNERS[caller], &MANNERS[manner]};
                        attempt(try_sticky, &found, "create %s as %d: a %s of %d in %d's of mode %o",
                                found.manner->name, found.caller, found.kind, found.owner, found.of_directory,
                                found.directory);
                    }
}

void creating_cases(void) {
    link_cases();
    chain_cases();
    proc_cases();
    sticky_cases();
}
