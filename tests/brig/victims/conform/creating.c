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
        "null", "sock", "/conform", "../c/39/made", "../c/40/made",
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

struct counted {
    const char *end;
    int count;
};

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

// Links that are followed on the way count, too.
static void try_counted(const void *argument) {
    const struct counted *counted = argument;
    char name[32] = "", target[64];
    snprintf(target, sizeof target, "%s", counted->end);
    for (int link = 1; link <= counted->count; link++) {
        snprintf(name, sizeof name, "%d", link);
        require(symlink(target, name), name);
        snprintf(target, sizeof target, "dirlink/../%d", link);
    }
    create(name, &MANNERS[0]);
}

static void counted_cases(void) {
    static const char *const ENDS[] = {"made", "file", "dir", "fifo", "dirlink/made", "dirlink/inner", "/proc/self/cwd/file"};
    static const int COUNTS[] = {19, 20, 21, 40, 41};
    for (size_t end = 0; end < sizeof ENDS / sizeof *ENDS; end++)
        for (size_t index = 0; index < sizeof COUNTS / sizeof *COUNTS; index++) {
            struct counted counted = {ENDS[end], COUNTS[index]};
            attempt(try_counted, &counted, "create %s at the end of %d links by other links", counted.end, counted.count);
        }
}

// A link whose target is as long as can be, in a directory that has a name, too.
static void try_long(const void *end) {
    char target[PATH_MAX];
    size_t length = sizeof target - 1 - strlen(end);
    memset(target, '/', sizeof target);
    for (size_t at = 0; at < length - 1; at += 2)
        target[at] = '.';
    strcpy(target + length, end);
    require(symlink(target, "dir/l"), "dir/l");
    create("dir/l", &MANNERS[0]);
    create("dirlink/l", &MANNERS[0]);
}

static void long_cases(void) {
    static const char *const ENDS[] = {"inner", "made", "../made", "../file", "l", "absent/made"};
    for (size_t end = 0; end < sizeof ENDS / sizeof *ENDS; end++)
        attempt(try_long, ENDS[end], "create by a link as long as can be to %s", ENDS[end]);
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

// A link that is not the path's last, in a directory that everybody writes to.
static void try_through(const void *argument) {
    const struct found *found = argument;
    require(mkdir("d", 0700), "d");
    require(symlink("../home", "d/x"), "d/x");
    require(lchown("d/x", found->owner, GROUP), "d/x");
    require(chown("d", found->of_directory, GROUP), "d");
    require(chmod("d", found->directory), "d");
    require(setgid(USER), "setgid");
    require(setuid(found->caller), "setuid");
    create("d/x/made", found->manner);
    create("d/x/", found->manner);
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "d/x/new", 0700));
    say_result(syscall(SYS_renameat2, AT_FDCWD, "d/x/new", AT_FDCWD, "d/x/other", 0));
    say_result(syscall(SYS_unlinkat, AT_FDCWD, "d/x/other", AT_REMOVEDIR));
    say_result(syscall(SYS_fchmodat, AT_FDCWD, "d/x", 0700));
}

static void through_cases(void) {
    static const uid_t OWNERS[] = {0, USER, ANOTHER};
    static const mode_t MODES[] = {01777, 0777};
    for (size_t owner = 0; owner < 3; owner++)
        for (size_t of = 0; of < 3; of++)
            for (size_t mode = 0; mode < 2; mode++) {
                struct found found = {"link", MODES[mode], OWNERS[owner], OWNERS[of], USER, &MANNERS[0]};
                attempt(try_through, &found, "through a link of %d in %d's of mode %o", found.owner,
                        found.of_directory, found.directory);
            }
}

void creating_cases(void) {
    link_cases();
    chain_cases();
    counted_cases();
    long_cases();
    proc_cases();
    sticky_cases();
    through_cases();
}
