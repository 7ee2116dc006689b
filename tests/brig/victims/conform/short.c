// SPDX-License-Identifier: Apache-2.0
// The calls about files as a 32-bit process makes them: pointers and longs of four bytes, ids of two,
// lengths and times in halves. No other architecture has them beside its own.

#include "conform.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __x86_64__

static char *memory;
static size_t used;

// A copy in the lower half of memory.
static long low(const void *bytes, size_t size) {
    char *copy = memory + used;
    used += (size + 7) & ~7UL;
    memcpy(copy, bytes, size);
    return (long)copy;
}

static long text(const char *string) {
    return low(string, strlen(string) + 1);
}

static long call(long number, long one, long two, long three, long four, long five) {
    long result;
    // the upper half of a register means nothing to it
    const long upper = 0x5500000000;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(one | upper), "c"(two | upper), "d"(three | upper), "S"(four | upper), "D"(five | upper)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result > -4096 && result < 0) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

// By the names of asm/unistd_32.h.
enum {
    OPEN = 5, CREAT = 8, LINK = 9, UNLINK = 10, MKNOD = 14, CHMOD = 15, LCHOWN = 16, UTIME = 30, RENAME = 38,
    MKDIR = 39, RMDIR = 40, SYMLINK = 83, TRUNCATE = 92, FCHMOD = 94, FCHOWN = 95, CHOWN = 182, TRUNCATE64 = 193,
    LCHOWN32 = 198, FCHOWN32 = 207, CHOWN32 = 212, SETXATTR = 226, FSETXATTR = 228, REMOVEXATTR = 235, UTIMES = 271,
    OPENAT = 295, MKDIRAT = 296, MKNODAT = 297, FCHOWNAT = 298, FUTIMESAT = 299, UNLINKAT = 301, RENAMEAT = 302,
    LINKAT = 303, SYMLINKAT = 304, FCHMODAT = 306, UTIMENSAT = 320, RENAMEAT2 = 353, UTIMENSAT_TIME64 = 412,
    OPENAT2 = 437, FCHMODAT2 = 452, REMOVEXATTRAT = 466, FILE_SETATTR = 469,
};

struct try {
    long number;
    const char *path;
    long value;
};

static void try_open(const void *argument) {
    const struct try *try = argument;
    long path = text(try->path);
    say_descriptor(call(OPEN, path, try->value, 0640, 0, 0));
    say_descriptor(call(OPENAT, AT_FDCWD, path, try->value, 0640, 0));
    const uint64_t how[3] = {(uint64_t)try->value, try->value & O_CREAT ? 0640 : 0, 0};
    say_descriptor(call(OPENAT2, AT_FDCWD, path, low(how, sizeof how), sizeof how, 0));
    if (try->value == (O_WRONLY | O_CREAT | O_TRUNC))
        say_descriptor(call(CREAT, path, 0640, 0, 0, 0));
}

static void try_name(const void *argument) {
    const struct try *try = argument;
    long path = text(try->path), file = text("file"), fresh = text("fresh");
    switch (try->number) {
    case MKDIR: case MKNOD: return say_result(call(try->number, path, S_IFREG | 0640, 0, 0, 0));
    case MKDIRAT: return say_result(call(MKDIRAT, AT_FDCWD, path, 0750, 0, 0));
    case MKNODAT: return say_result(call(MKNODAT, AT_FDCWD, path, S_IFCHR | 0640, 0x12345678, 0));
    case UNLINK: case RMDIR: return say_result(call(try->number, path, 0, 0, 0, 0));
    case UNLINKAT: return say_result(call(UNLINKAT, AT_FDCWD, path, AT_REMOVEDIR, 0, 0));
    case SYMLINK: return say_result(call(SYMLINK, file, path, 0, 0, 0));
    case SYMLINKAT: return say_result(call(SYMLINKAT, file, AT_FDCWD, path, 0, 0));
    case LINK: case RENAME: return say_result(call(try->number, path, fresh, 0, 0, 0));
    case LINKAT: return say_result(call(LINKAT, AT_FDCWD, path, AT_FDCWD, fresh, AT_SYMLINK_FOLLOW));
    case RENAMEAT: return say_result(call(RENAMEAT, AT_FDCWD, path, AT_FDCWD, fresh, 0));
    default: return say_result(call(RENAMEAT2, AT_FDCWD, path, AT_FDCWD, file, 2));
    }
}

static void try_owner(const void *argument) {
    const struct try *try = argument;
    long path = text(try->path);
    int fd = open(try->path, O_RDONLY | O_NONBLOCK);
    say_result(call(CHOWN, path, try->value, try->value, 0, 0));
    say_result(call(LCHOWN, path, try->value, 0xffff, 0, 0));
    say_result(call(FCHOWN, fd, 0xffff, try->value, 0, 0));
    say_result(call(CHOWN32, path, try->value, -1, 0, 0));
    say_result(call(LCHOWN32, path, -1, try->value, 0, 0));
    say_result(call(FCHOWN32, fd, try->value, try->value, 0, 0));
    say_result(call(FCHOWNAT, AT_FDCWD, path, try->value, try->value, AT_SYMLINK_NOFOLLOW));
}

static void try_mode(const void *argument) {
    const struct try *try = argument;
    long path = text(try->path);
    say_result(call(CHMOD, path, try->value, 0, 0, 0));
    say_result(call(FCHMOD, open(try->path, O_RDONLY | O_NONBLOCK), try->value, 0, 0, 0));
    say_result(call(FCHMODAT, AT_FDCWD, path, try->value, 0, 0));
    say_result(call(FCHMODAT2, AT_FDCWD, path, try->value, AT_SYMLINK_NOFOLLOW, 0));
}

static void try_times(const void *argument) {
    const struct try *try = argument;
    long path = text(try->path), second = try->value;
    const int32_t pair[2] = {(int32_t)second, 44}, four[4] = {(int32_t)second, 5, 44, 6};
    const int64_t wide[4] = {second, 5, 44, (int64_t)(0x7700000000000006)};
    struct stat is;
    for (int way = 0; way < 6; way++) {
        switch (way) {
        case 0: say_result(call(UTIME, path, low(pair, sizeof pair), 0, 0, 0)); break;
        case 1: say_result(call(UTIMES, path, low(four, sizeof four), 0, 0, 0)); break;
        case 2: say_result(call(FUTIMESAT, AT_FDCWD, path, low(four, sizeof four), 0, 0)); break;
        case 3: say_result(call(UTIMENSAT, AT_FDCWD, path, low(four, sizeof four), 0, 0)); break;
        case 4: say_result(call(UTIMENSAT_TIME64, AT_FDCWD, path, low(wide, sizeof wide), 0, 0)); break;
        case 5: say_result(call(UTIMENSAT, open("other", O_RDONLY), 0, low(four, sizeof four), 0, 0)); break;
        }
        if (!stat(try->path, &is))
            say(" %ld.%ld", (long)is.st_atim.tv_sec, is.st_mtim.tv_nsec);
    }
}

static void try_cut(const void *argument) {
    const struct try *try = argument;
    struct stat is;
    if (try->number == TRUNCATE)
        say_result(call(TRUNCATE, text(try->path), try->value, 0, 0, 0));
    else
        say_result(call(TRUNCATE64, text(try->path), try->value & 0xffffffff, try->value >> 32, 0, 0));
    say_result(stat(try->path, &is) ? -1 : is.st_size);
}

// More than a 32-bit process can seek in.
static void try_large(const void *argument) {
    const struct try *try = argument;
    require(truncate("file", 3L << 30), "file");
    say_descriptor(call(OPEN, text(try->path), try->value, 0640, 0, 0));
}

static void try_attribute(const void *argument) {
    const struct try *try = argument;
    long path = text(try->path), name = text("user.test"), value = text("v");
    const uint64_t attributes[3] = {0x40, 0, 0};
    say_result(call(SETXATTR, path, name, value, 1, 0));
    say_result(call(FSETXATTR, open(try->path, O_RDONLY | O_NONBLOCK), name, value, 0, 0));
    say_result(call(REMOVEXATTR, path, name, 0, 0, 0));
    say_result(call(REMOVEXATTRAT, AT_FDCWD, path, 0, name, 0));
    say_result(call(FILE_SETATTR, AT_FDCWD, path, low(attributes, sizeof attributes), sizeof attributes, 0));
}

static void name_cases(void) {
    static const long CALLS[] = {MKDIR, MKNOD, MKDIRAT, MKNODAT, UNLINK, RMDIR, UNLINKAT, SYMLINK, SYMLINKAT, LINK, RENAME,
                                 LINKAT, RENAMEAT, RENAMEAT2};
    static const char *const PATHS[] = {"new", "file", "hollow", "link", "dir", "absent/x"};
    for (size_t call = 0; call < sizeof CALLS / sizeof *CALLS; call++)
        for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++) {
            struct try try = {CALLS[call], PATHS[path], 0};
            attempt(try_name, &try, "short call %ld of %s", try.number, try.path);
        }
}

void short_cases(void) {
    static const char *const PATHS[] = {"file", "link", "dir", "absent", "dangling", "fifo", "suid"};
    static const long FLAGS[] = {O_RDONLY, O_WRONLY, O_RDWR | O_APPEND, O_WRONLY | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC,
                                 O_RDWR | O_CREAT | O_EXCL, O_RDONLY | 0100000, O_RDONLY | O_TRUNC, O_DIRECTORY,
                                 O_TMPFILE | O_RDWR, O_PATH, O_SYNC | O_RDWR};
    static const long IDS[] = {0, USER, 0xfffe, 0xffff, 0x10000, 0x12345};
    static const long MODES[] = {0640, 06755, 0100600, 0x10000 | 0600};
    static const long SECONDS[] = {33, 0, -1, 0x7fffffff, 0x80000000};
    static const long LENGTHS[] = {0, 2, 4, 9, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff};
    memory = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (memory == MAP_FAILED)
        give_up("mmap");
    for (size_t path = 0; path < sizeof PATHS / sizeof *PATHS; path++) {
        for (size_t flag = 0; flag < sizeof FLAGS / sizeof *FLAGS; flag++) {
            struct try try = {OPEN, PATHS[path], FLAGS[flag] | O_NONBLOCK};
            attempt(try_open, &try, "short open %lo, %s", FLAGS[flag], try.path);
            attempt(try_large, &try, "short open of what is large %lo, %s", FLAGS[flag], try.path);
        }
        for (size_t id = 0; id < sizeof IDS / sizeof *IDS; id++) {
            struct try try = {CHOWN, PATHS[path], IDS[id]};
            attempt(try_owner, &try, "short owner %lx, %s", try.value, try.path);
        }
        for (size_t mode = 0; mode < sizeof MODES / sizeof *MODES; mode++) {
            struct try try = {CHMOD, PATHS[path], MODES[mode]};
            attempt(try_mode, &try, "short mode %lo, %s", try.value, try.path);
        }
        for (size_t second = 0; second < sizeof SECONDS / sizeof *SECONDS; second++) {
            struct try try = {UTIME, PATHS[path], SECONDS[second]};
            attempt(try_times, &try, "short times %lx, %s", try.value, try.path);
        }
        for (size_t length = 0; length < sizeof LENGTHS / sizeof *LENGTHS; length++) {
            struct try one = {TRUNCATE, PATHS[path], LENGTHS[length]}, other = {TRUNCATE64, PATHS[path], LENGTHS[length]};
            attempt(try_cut, &one, "short truncate to %lx, %s", one.value, one.path);
            attempt(try_cut, &other, "short truncate64 to %lx, %s", one.value, one.path);
        }
        struct try try = {SETXATTR, PATHS[path], 0};
        attempt(try_attribute, &try, "short attributes, %s", try.path);
    }
    name_cases();
}

#else

void short_cases(void) {}

#endif
