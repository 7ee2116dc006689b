// SPDX-License-Identifier: Apache-2.0
// Calls with two paths: every kind onto every kind.

#include "conform.h"
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

struct pair {
    long number;
    unsigned flags;
    const char *from, *to;
};

static void try_pair(const void *argument) {
    const struct pair *pair = argument;
    // a directory with something in it that can be renamed
    require(mkdir("full", 0755), "full");
    require(mkdir("full/sub", 0755), "full/sub");
    say_result(syscall(pair->number, AT_FDCWD, pair->from, AT_FDCWD, pair->to, pair->flags));
}

struct manner {
    const char *name;
    long number;
    unsigned flags;
};

static void all_pairs(const struct manner *manner) {
    static const char *const FROM[] = {"file", "twin", "dir", "hollow", "link", "dirlink", "dangling",
                                       "fifo", "full", "absent", "file/", "dir/", "full/sub"};
    static const char *const TO[] = {"file", "twin", "other", "dir", "hollow", "link", "dirlink",
                                     "dangling", "full/sub", "full/sub/below", "absent", "absent/",
                                     "file/x", ".", "..", "full/.."};
    for (size_t from = 0; from < sizeof FROM / sizeof *FROM; from++)
        for (size_t to = 0; to < sizeof TO / sizeof *TO; to++) {
            struct pair pair = {manner->number, manner->flags, FROM[from], TO[to]};
            attempt(try_pair, &pair, "%s %s to %s", manner->name, FROM[from], TO[to]);
        }
}

struct bases {
    long number;
    enum base from, to;
};

static void try_bases(const void *argument) {
    const struct bases *bases = argument;
    int from = descriptor_of(bases->from), to = descriptor_of(bases->to);
    say_result(syscall(bases->number, from, "file", to, "fresh", 0));
}

static void bases_cases(void) {
    static const struct {
        const char *name;
        enum base base;
    } BASES[] = {{"cwd", CWD},          {"directory", HERE}, {"O_PATH", HANDLE}, {"inner", INNER},
                 {"a file", A_FILE}, {"closed", CLOSED},  {"-1", NEGATIVE}};
    for (size_t from = 0; from < sizeof BASES / sizeof *BASES; from++)
        for (size_t to = 0; to < sizeof BASES / sizeof *BASES; to++) {
            struct bases rename = {SYS_renameat2, BASES[from].base, BASES[to].base};
            attempt(try_bases, &rename, "renameat2 between %s and %s", BASES[from].name, BASES[to].name);
            struct bases link = {SYS_linkat, BASES[from].base, BASES[to].base};
            attempt(try_bases, &link, "linkat between %s and %s", BASES[from].name, BASES[to].name);
        }
}

static void try_temporary(const void *argument) {
    const char *way = argument;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR | (*way == 'e' ? O_EXCL : 0), 0640);
    require(write(fd, "temporary", 9), "write");
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (*way == 'p' || *way == 'e')
        say_result(syscall(SYS_linkat, AT_FDCWD, name, AT_FDCWD, "fresh", AT_SYMLINK_FOLLOW));
    else
        say_result(syscall(SYS_linkat, fd, "", AT_FDCWD, "fresh", AT_EMPTY_PATH));
}

struct strings {
    const char *name, *from, *to;
};

static void try_strings(const void *argument) {
    const struct strings *strings = argument;
    say_result(syscall(SYS_renameat2, AT_FDCWD, strings->from, AT_FDCWD, strings->to, 0));
    say_result(syscall(SYS_linkat, AT_FDCWD, strings->from, AT_FDCWD, strings->to, 0));
    say_result(syscall(SYS_symlinkat, strings->from, AT_FDCWD, strings->to));
}

static void strings_cases(void) {
    static char long_target[PATH_MAX + 1], target[PATH_MAX];
    memset(long_target, 't', PATH_MAX);
    memset(target, 't', PATH_MAX - 1);
    const struct strings STRINGS[] = {
        {"a bad pointer to a bad pointer", (char *)1, (char *)2},
        {"a bad pointer to a name", (char *)1, "fresh"},
        {"a name to a bad pointer", "file", (char *)1},
        {"NULL to a name", NULL, "fresh"},
        {"the empty path to a name", "", "fresh"},
        {"a name to the empty path", "file", ""},
        {"nothing to the empty path", "absent", ""},
        {"4096 bytes to a name", long_target, "fresh"},
        {"4095 bytes to a name", target, "fresh"},
        {"a name to 4096 bytes", "file", long_target},
        {"absent to a bad pointer", "absent", (char *)1},
        {"control characters to a name", "\x1b]0;x\a\n", "fresh"},
        {"to another filesystem", "file", "/dev/shm/conform"},
        {"from another filesystem", "/dev/null", "fresh"},
        {"onto procfs", "file", "/proc/conform"},
        {"onto sysfs", "file", "/sys/conform"},
    };
    for (size_t index = 0; index < sizeof STRINGS / sizeof *STRINGS; index++)
        attempt(try_strings, &STRINGS[index], "rename, link, symlink: %s", STRINGS[index].name);
}

void pairs_cases(void) {
    static const struct manner MANNERS[] = {
        {"rename", SYS_renameat2, 0},
        {"rename NOREPLACE", SYS_renameat2, RENAME_NOREPLACE},
        {"rename EXCHANGE", SYS_renameat2, RENAME_EXCHANGE},
        {"link", SYS_linkat, 0},
    };
    static const struct manner REFUSED[] = {
        {"rename NOREPLACE|EXCHANGE", SYS_renameat2, RENAME_NOREPLACE | RENAME_EXCHANGE},
        {"rename WHITEOUT|EXCHANGE", SYS_renameat2, RENAME_WHITEOUT | RENAME_EXCHANGE},
        {"rename unknown flag", SYS_renameat2, 1U << 20},
        {"link unknown flag", SYS_linkat, 1U << 20},
        {"link AT_SYMLINK_NOFOLLOW", SYS_linkat, AT_SYMLINK_NOFOLLOW},
    };
    for (size_t index = 0; index < sizeof MANNERS / sizeof *MANNERS; index++)
        all_pairs(&MANNERS[index]);
    for (size_t index = 0; index < sizeof REFUSED / sizeof *REFUSED; index++) {
        struct pair pair = {REFUSED[index].number, REFUSED[index].flags, "file", "absent"};
        attempt(try_pair, &pair, "%s file to absent", REFUSED[index].name);
    }
    bases_cases();
    attempt(try_temporary, "path", "a file without a name is linked by procfs");
    attempt(try_temporary, "descriptor", "a file without a name is linked by its descriptor");
    attempt(try_temporary, "exclusive", "a file that shall have no name");
    strings_cases();
}
