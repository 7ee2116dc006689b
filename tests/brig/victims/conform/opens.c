// SPDX-License-Identifier: Apache-2.0
// Opening: flags, modes, and what openat2 alone has.

#include "conform.h"
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

struct opening {
    const char *path;
    unsigned long flags, mode;
    mode_t mask;
};

static void try_open(const void *argument) {
    const struct opening *opening = argument;
    umask(opening->mask);
    say_descriptor(syscall(SYS_openat, AT_FDCWD, opening->path, opening->flags, opening->mode));
}

static void flags_cases(void) {
    static const struct {
        const char *name;
        unsigned long flags;
    } FLAGS[] = {
        {"0", 0},
        {"O_ACCMODE", 3},
        {"O_RDWR", O_RDWR},
        {"O_APPEND", O_WRONLY | O_APPEND},
        {"O_CLOEXEC", O_CLOEXEC},
        {"O_SYNC", O_SYNC | O_RDWR},
        {"O_DSYNC", O_DSYNC | O_RDWR},
        {"O_ASYNC", O_ASYNC},
        {"O_NOCTTY", O_NOCTTY},
        {"O_LARGEFILE", 0100000},
        {"O_DIRECT", O_DIRECT},
        {"O_DIRECTORY", O_DIRECTORY},
        {"O_DIRECTORY|O_RDWR", O_DIRECTORY | O_RDWR},
        {"O_DIRECTORY|O_NOFOLLOW", O_DIRECTORY | O_NOFOLLOW},
        {"O_TRUNC", O_TRUNC | O_WRONLY},
        {"O_TRUNC|O_APPEND|O_CLOEXEC", O_TRUNC | O_APPEND | O_CLOEXEC | O_RDWR},
        {"O_CREAT|O_TRUNC", O_CREAT | O_TRUNC | O_RDWR},
        {"O_CREAT|O_EXCL|O_CLOEXEC", O_CREAT | O_EXCL | O_CLOEXEC | O_WRONLY},
        {"O_CREAT|O_PATH", O_CREAT | O_PATH},
        {"O_EXCL", O_EXCL},
        {"O_PATH|O_CLOEXEC", O_PATH | O_CLOEXEC},
        {"O_PATH|O_DIRECTORY", O_PATH | O_DIRECTORY},
        {"O_PATH|O_RDWR|O_TRUNC", O_PATH | O_RDWR | O_TRUNC},
        {"O_TMPFILE", O_TMPFILE | O_WRONLY},
        {"O_TMPFILE|O_EXCL|O_CLOEXEC", O_TMPFILE | O_EXCL | O_CLOEXEC | O_RDWR},
        {"O_TMPFILE|O_RDONLY", O_TMPFILE},
        {"O_TMPFILE|O_CREAT", O_TMPFILE | O_CREAT | O_RDWR},
        {"__O_TMPFILE", O_TMPFILE & ~O_DIRECTORY},
        {"an unknown flag", 1UL << 30},
        {"bits above an int", 0xffffffff00000000UL},
    };
    static const char *const PATHS[] = {"file", "dir", "link", "dirlink", "dangling", "absent", "sock"};
    for (size_t flag = 0; flag < sizeof FLAGS / sizeof *FLAGS; flag++)
        for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++) {
            struct opening opening = {PATHS[path], FLAGS[flag].flags, 0644, 022};
            attempt(try_open, &opening, "flags %s, %s", FLAGS[flag].name, PATHS[path]);
        }
}

static void modes_cases(void) {
    static const unsigned long MODES[] = {0, 0200, 0444, 0666, 0777, 01777, 02777, 06777, 0170644, 1UL << 33};
    static const mode_t MASKS[] = {0, 027, 077, 0777};
    static const char *const DIRECTORIES[] = {"", "setgid/", "home/"};
    for (size_t mode = 0; mode < sizeof MODES / sizeof *MODES; mode++)
        for (size_t mask = 0; mask < sizeof MASKS / sizeof *MASKS; mask++)
            for (size_t directory = 0; directory < 3; directory++) {
                char path[64];
                snprintf(path, sizeof path, "%sfresh", DIRECTORIES[directory]);
                struct opening opening = {path, O_CREAT | O_RDWR, MODES[mode], MASKS[mask]};
                attempt(try_open, &opening, "mode %lo umask %o, %s", MODES[mode], MASKS[mask], path);
            }
}

struct masked {
    const char *name;
    long number;
    unsigned long mode;
};

static void try_masked(const void *argument) {
    const struct masked *masked = argument;
    umask(037);
    long result = masked->number == SYS_mknodat
                      ? syscall(SYS_mknodat, AT_FDCWD, "setgid/fresh", masked->mode, 0)
                      : syscall(SYS_mkdirat, AT_FDCWD, "setgid/fresh", masked->mode);
    say_result(result);
}

static void masks_cases(void) {
    static const struct masked MASKED[] = {
        {"mkdirat 0777", SYS_mkdirat, 0777},           {"mkdirat 03777", SYS_mkdirat, 03777},
        {"mknodat file", SYS_mknodat, S_IFREG | 0777}, {"mknodat 0", SYS_mknodat, 0666},
        {"mknodat fifo", SYS_mknodat, S_IFIFO | 0777}, {"mknodat socket", SYS_mknodat, S_IFSOCK | 04777},
        {"mknodat directory", SYS_mknodat, S_IFDIR},   {"mknodat link", SYS_mknodat, S_IFLNK},
        {"mknodat 0170000", SYS_mknodat, 0170000},     {"mknodat high bits", SYS_mknodat, 1UL << 32 | 0100640},
    };
    for (size_t index = 0; index < sizeof MASKED / sizeof *MASKED; index++)
        attempt(try_masked, &MASKED[index], "umask 037 in setgid: %s", MASKED[index].name);
}

// openat2's structure, larger than any kernel's.
struct large_how {
    struct open_how how;
    unsigned long more[600];
};

struct extended {
    const char *name;
    size_t size;
    struct large_how how;
};

static void try_extended(const void *argument) {
    const struct extended *extended = argument;
    say_descriptor(syscall(SYS_openat2, AT_FDCWD, "file", &extended->how, extended->size));
}

static void try_bad_how(const void *argument) {
    (void)argument;
    say_descriptor(syscall(SYS_openat2, AT_FDCWD, "file", 1, sizeof(struct open_how)));
}

static void extended_cases(void) {
    const struct extended EXTENDED[] = {
        {"size 0", 0, {{0, 0, 0}, {0}}},
        {"size 8", 8, {{0, 0, 0}, {0}}},
        {"size 23", 23, {{0, 0, 0}, {0}}},
        {"size 24", 24, {{O_CLOEXEC, 0, 0}, {0}}},
        {"size 24 and more that is not read", 24, {{0, 0, 0}, {1}}},
        {"size 25", 25, {{0, 0, 0}, {0}}},
        {"size 32, zeroes", 32, {{0, 0, 0}, {0}}},
        {"size 32, something", 32, {{0, 0, 0}, {1}}},
        {"size 4096, zeroes", 4096, {{0, 0, 0}, {0}}},
        {"size 4096, something", 4096, {{0, 0, 0}, {[500] = 1}}},
        {"size 4097", 4097, {{0, 0, 0}, {0}}},
        {"size -1", (size_t)-1, {{0, 0, 0}, {0}}},
        {"a mode without O_CREAT", 24, {{0, 0600, 0}, {0}}},
        {"a mode above 07777", 24, {{O_CREAT, 010600, 0}, {0}}},
        {"a mode of 64 bits", 24, {{O_CREAT, 1UL << 40, 0}, {0}}},
        {"an unknown flag", 24, {{1UL << 30, 0, 0}, {0}}},
        {"flags above 32 bits", 24, {{1UL << 40, 0, 0}, {0}}},
        {"an unknown resolve", 24, {{0, 0, 1UL << 10}, {0}}},
        {"resolve above 32 bits", 24, {{0, 0, 1UL << 40}, {0}}},
        {"BENEATH and IN_ROOT", 24, {{0, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT}, {0}}},
        {"CACHED with O_TRUNC", 24, {{O_TRUNC | O_WRONLY, 0, RESOLVE_CACHED}, {0}}},
        {"O_PATH with O_RDWR", 24, {{O_PATH | O_RDWR, 0, 0}, {0}}},
        {"O_ACCMODE", 24, {{3, 0, 0}, {0}}},
        {"O_DIRECTORY with O_CREAT", 24, {{O_DIRECTORY | O_CREAT, 0600, 0}, {0}}},
    };
    for (size_t index = 0; index < sizeof EXTENDED / sizeof *EXTENDED; index++)
        attempt(try_extended, &EXTENDED[index], "openat2 %s", EXTENDED[index].name);
    attempt(try_bad_how, NULL, "openat2 bad pointer");
}

struct resolving {
    enum base base;
    const char *path;
    unsigned long flags, resolve;
};

static void try_resolve(const void *argument) {
    const struct resolving *resolving = argument;
    struct open_how how = {.flags = resolving->flags | O_NONBLOCK, .resolve = resolving->resolve};
    how.mode = resolving->flags & O_CREAT ? 0600 : 0;
    say_descriptor(openat2_again(descriptor_of(resolving->base), resolving->path, &how));
}

static void resolve_cases(void) {
    static const struct {
        const char *name;
        unsigned long resolve;
    } RESOLVES[] = {
        {"BENEATH", RESOLVE_BENEATH},
        {"IN_ROOT", RESOLVE_IN_ROOT},
        {"IN_ROOT|NO_XDEV", RESOLVE_IN_ROOT | RESOLVE_NO_XDEV},
        {"NO_SYMLINKS", RESOLVE_NO_SYMLINKS},
        {"NO_MAGICLINKS", RESOLVE_NO_MAGICLINKS},
        {"BENEATH|NO_SYMLINKS", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS},
    };
    static const char *const PATHS[] = {
        "inner", "../file", "../dir/inner", "..", "/inner", "/", "../up", "../dirlink/inner", "new", "../../inner",
        "/proc/self/cwd/file", "/../inner", ".", "",
    };
    for (size_t one = 0; one < sizeof RESOLVES / sizeof *RESOLVES; one++)
        for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++)
            for (int create = 0; create < 2; create++) {
                // nothing is made in the real root directory
                if (create && PATHS[path][0] == '/' && !(RESOLVES[one].resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH)))
                    continue;
                unsigned long flags = create ? O_CREAT | O_WRONLY : 0;
                struct resolving resolving = {INNER, PATHS[path], flags, RESOLVES[one].resolve};
                attempt(try_resolve, &resolving, "resolve %s%s, dir and '%s'", RESOLVES[one].name,
                        create ? " O_CREAT" : "", PATHS[path]);
            }
}

static void try_full_table(const void *path) {
    const struct rlimit few = {.rlim_cur = 16, .rlim_max = 16};
    require(setrlimit(RLIMIT_NOFILE, &few), "setrlimit");
    while (dup(0) >= 0)
        ;
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
    // the file that was to be made is there or is not
    say(" there=%d", !faccessat(AT_FDCWD, path, F_OK, 0));
    close(15);
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "dir", O_RDONLY));
}

static void try_no_descriptors(const void *path) {
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    require(setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "fresh", 0755));
}

static void try_lowest(const void *argument) {
    (void)argument;
    close(0);
    say_result(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY));
    close(2);
    say_result(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY));
    say_result(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY));
}

static void try_use(const void *argument) {
    (void)argument;
    char data[32] = "";
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "file", O_RDWR | O_APPEND);
    say_result(read(fd, data, 2));
    say(" %s", data);
    say_result(write(fd, "end", 3));
    say_result(pwrite(fd, "end", 3, 0));
    say_result(ftruncate(fd, 9));
    say_descriptor(fd);
    fd = (int)syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY);
    say_result(write(fd, "x", 1));
    say_result(ftruncate(fd, 0));
}

static void try_written_while_read_only(const void *argument) {
    (void)argument;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "fresh", O_CREAT | O_RDWR, 0);
    say_result(write(fd, "through", 7));
    say_descriptor(fd);
}

// A link to what is not there yet, from another root than the caller's.
static void try_made_in_root(const void *target) {
    struct open_how how = {.flags = O_CREAT | O_WRONLY, .mode = 0600, .resolve = RESOLVE_IN_ROOT};
    int root = open("dir", O_PATH | O_DIRECTORY);
    require(symlink(target, "dir/out"), "dir/out");
    say_descriptor(syscall(SYS_openat2, root, "out", &how, sizeof how));
}

// A link to a link to what is not there yet; where the path begins there is one of the same name.
static void try_made_by_links(const void *argument) {
    (void)argument;
    require(symlink("next", "dir/out"), "dir/out");
    require(symlink("made", "dir/next"), "dir/next");
    require(symlink("file", "next"), "next");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "dir/out", O_CREAT | O_WRONLY, 0600));
}

void opens_cases(void) {
    flags_cases();
    modes_cases();
    masks_cases();
    extended_cases();
    resolve_cases();
    attempt(try_full_table, "file", "full table, file");
    attempt(try_full_table, "absent", "full table, absent");
    attempt(try_full_table, "nowhere/x", "full table, nowhere/x");
    attempt(try_no_descriptors, "file", "no descriptors, file");
    attempt(try_lowest, NULL, "the lowest number");
    attempt(try_made_in_root, "/made", "made in a root of its own, by an absolute link");
    attempt(try_made_in_root, "made", "made in a root of its own, by a relative link");
    attempt(try_made_by_links, NULL, "made in another directory, by two links");
    attempt(try_use, NULL, "what is opened can be used as it was opened");
    attempt(try_written_while_read_only, NULL, "a new file of mode 0 is open for writing");
}
