// SPDX-License-Identifier: Apache-2.0
// Every call that takes one path, with every kind of path.

#include "conform.h"
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <utime.h>

static long by_path(const struct call *call, int at, const char *path) {
    (void)at;
    return syscall(call->number, path, call->a, call->b, call->c);
}

static long by_at(const struct call *call, int at, const char *path) {
    return syscall(call->number, at, path, call->a, call->b, call->c);
}

long openat2_again(int at, const char *path, struct open_how *how) {
    long fd = -1;
    for (int tries = 0; tries < 1000; tries++) {
        fd = syscall(SYS_openat2, at, path, how, sizeof *how);
        if (!again(fd) || how->resolve & RESOLVE_CACHED)
            break;
    }
    return fd;
}

int again(long result) {
    static int links;
    if (result < 0 && errno == ELOOP)
        return links++ < 20;
    return result < 0 && errno == EAGAIN;
}

static long by_openat2(const struct call *call, int at, const char *path) {
    struct open_how how = {.flags = call->a, .mode = call->b, .resolve = call->c};
    return openat2_again(at, path, &how);
}

static long symbolic(const struct call *call, int at, const char *path) {
    if (call->traits & AT)
        return syscall(call->number, "target", at, path);
    return syscall(call->number, "target", path);
}

// From the path to a new name; `b` are flags.
static long away(const struct call *call, int at, const char *path) {
    const char *fresh = absolute("fresh");
    if (call->traits & AT)
        return syscall(call->number, at, path, AT_FDCWD, fresh, call->b);
    return syscall(call->number, path, fresh);
}

// From another file to the path.
static long onto(const struct call *call, int at, const char *path) {
    const char *other = absolute("other");
    if (call->traits & AT)
        return syscall(call->number, AT_FDCWD, other, at, path, call->b);
    return syscall(call->number, other, path);
}

static long times(const struct call *call, int at, const char *path) {
    const struct utimbuf seconds = {.actime = 33, .modtime = 44};
    const struct timeval micro[2] = {{33, 5}, {44, 6}};
    const struct timespec nano[2] = {{33, 7}, {44, call->a ? (long)call->a : 8}};
    switch (call->number) {
#ifdef SYS_utime
    case SYS_utime:
        return syscall(SYS_utime, path, &seconds);
    case SYS_utimes:
        return syscall(SYS_utimes, path, micro);
    case SYS_futimesat:
        return syscall(SYS_futimesat, at, path, micro);
#endif
    default:
        (void)seconds, (void)micro;
        return syscall(SYS_utimensat, at, path, nano, call->b);
    }
}

static long attribute(const struct call *call, int at, const char *path) {
    struct {
        const char *value;
        unsigned size, flags;
    } arguments = {"v", 1, call->b};
    switch (call->number) {
    case SYS_setxattrat:
        return syscall(SYS_setxattrat, at, path, call->a, "user.test", &arguments, sizeof arguments);
    case SYS_removexattrat:
        return syscall(SYS_removexattrat, at, path, call->a, "user.had");
    case SYS_removexattr:
    case SYS_lremovexattr:
        return syscall(call->number, path, "user.had");
    default:
        return syscall(call->number, path, "user.test", "v", 1, call->b);
    }
}

static long address(const struct call *call, int at, const char *path) {
    (void)at;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    long result = syscall(call->number, fd, &address, sizeof address);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

#define OPEN_AT2(text, flags, mode, resolve) \
    {"openat2 " text, by_openat2, AT | OPENS, SYS_openat2, (flags) | O_NONBLOCK, mode, resolve}
#define CREATION (O_CREAT | O_NONBLOCK)

const struct call calls[] = {
    {"openat O_RDONLY", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_RDONLY | O_NONBLOCK, 0, 0},
    {"openat O_WRONLY", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_WRONLY | O_NONBLOCK, 0, 0},
    {"openat O_RDWR|O_TRUNC", by_at, AT | OPENS, SYS_openat, O_RDWR | O_TRUNC | O_NONBLOCK, 0, 0},
    {"openat O_RDONLY|O_TRUNC", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_TRUNC | O_NONBLOCK, 0, 0},
    {"openat O_PATH", by_at, AT | OPENS, SYS_openat, O_PATH, 0, 0},
    {"openat O_PATH|O_NOFOLLOW", by_at, AT | OPENS, SYS_openat, O_PATH | O_NOFOLLOW, 0, 0},
    {"openat O_DIRECTORY", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_DIRECTORY | O_CLOEXEC, 0, 0},
    {"openat O_NOFOLLOW", by_at, AT | OPENS, SYS_openat, O_NOFOLLOW | O_NONBLOCK, 0, 0},
    {"openat O_NOATIME", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_NOATIME | O_NONBLOCK, 0, 0},
    {"openat O_CREAT", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_WRONLY | CREATION, 0666, 0},
    {"openat O_CREAT|O_EXCL", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_RDWR | O_EXCL | CREATION, 0640, 0},
    {"openat O_CREAT|O_NOFOLLOW", by_at, AT | OPENS, SYS_openat, O_NOFOLLOW | CREATION, 0666, 0},
    {"openat O_CREAT|O_DIRECTORY", by_at, AT | OPENS, SYS_openat, O_DIRECTORY | CREATION, 0666, 0},
    {"openat O_TMPFILE", by_at, AT | OPENS | IDENTITIES, SYS_openat, O_TMPFILE | O_RDWR, 0640, 0},
    OPEN_AT2("0", 0, 0, 0),
    OPEN_AT2("BENEATH", 0, 0, RESOLVE_BENEATH),
    OPEN_AT2("IN_ROOT", 0, 0, RESOLVE_IN_ROOT),
    OPEN_AT2("NO_SYMLINKS", 0, 0, RESOLVE_NO_SYMLINKS),
    OPEN_AT2("NO_MAGICLINKS", 0, 0, RESOLVE_NO_MAGICLINKS),
    OPEN_AT2("NO_XDEV", 0, 0, RESOLVE_NO_XDEV),
    OPEN_AT2("O_CREAT BENEATH", O_CREAT | O_WRONLY, 0600, RESOLVE_BENEATH),
    OPEN_AT2("O_CREAT IN_ROOT", O_CREAT | O_WRONLY, 0600, RESOLVE_IN_ROOT),
    {"mkdirat", by_at, AT | IDENTITIES, SYS_mkdirat, 0777, 0, 0},
    {"mknodat file", by_at, AT | IDENTITIES, SYS_mknodat, S_IFREG | 0666, 0, 0},
    {"mknodat fifo", by_at, AT, SYS_mknodat, S_IFIFO | 0666, 0, 0},
    {"mknodat socket", by_at, AT, SYS_mknodat, S_IFSOCK | 0666, 0, 0},
    {"mknodat device", by_at, AT | IDENTITIES, SYS_mknodat, S_IFCHR | 0666, (1 << 8) | 3, 0},
    {"symlinkat", symbolic, AT | IDENTITIES, SYS_symlinkat, 0, 0, 0},
    {"unlinkat", by_at, AT | IDENTITIES, SYS_unlinkat, 0, 0, 0},
    {"unlinkat AT_REMOVEDIR", by_at, AT | IDENTITIES, SYS_unlinkat, AT_REMOVEDIR, 0, 0},
    {"linkat from", away, AT | IDENTITIES, SYS_linkat, 0, 0, 0},
    {"linkat AT_SYMLINK_FOLLOW from", away, AT, SYS_linkat, 0, AT_SYMLINK_FOLLOW, 0},
    {"linkat AT_EMPTY_PATH from", away, AT, SYS_linkat, 0, AT_EMPTY_PATH, 0},
    {"linkat to", onto, AT | IDENTITIES, SYS_linkat, 0, 0, 0},
    {"renameat2 from", away, AT | IDENTITIES, SYS_renameat2, 0, 0, 0},
    {"renameat2 to", onto, AT | IDENTITIES, SYS_renameat2, 0, 0, 0},
    {"renameat2 RENAME_NOREPLACE to", onto, AT, SYS_renameat2, 0, 1, 0},
    {"renameat2 RENAME_EXCHANGE with", onto, AT, SYS_renameat2, 0, 2, 0},
    {"fchmodat", by_at, AT | METADATA | IDENTITIES, SYS_fchmodat, 0604, 0, 0},
    {"fchmodat2 AT_SYMLINK_NOFOLLOW", by_at, AT | METADATA, SYS_fchmodat2, 0604, AT_SYMLINK_NOFOLLOW, 0},
    {"fchmodat2 AT_EMPTY_PATH", by_at, AT | METADATA, SYS_fchmodat2, 06755, AT_EMPTY_PATH, 0},
    {"fchownat", by_at, AT | METADATA | IDENTITIES, SYS_fchownat, USER, GROUP, 0},
    {"fchownat AT_SYMLINK_NOFOLLOW", by_at, AT | METADATA | IDENTITIES, SYS_fchownat, -1, GROUP, AT_SYMLINK_NOFOLLOW},
    {"fchownat AT_EMPTY_PATH", by_at, AT | METADATA, SYS_fchownat, USER, -1, AT_EMPTY_PATH},
    {"utimensat", times, AT | METADATA | IDENTITIES, SYS_utimensat, 0, 0, 0},
    {"utimensat UTIME_NOW", times, AT | METADATA, SYS_utimensat, (1 << 30) - 1, 0, 0},
    {"utimensat UTIME_OMIT", times, AT | METADATA, SYS_utimensat, (1 << 30) - 2, 0, 0},
    {"utimensat AT_SYMLINK_NOFOLLOW", times, AT | METADATA, SYS_utimensat, 0, AT_SYMLINK_NOFOLLOW, 0},
    {"utimensat AT_EMPTY_PATH", times, AT | METADATA, SYS_utimensat, 0, AT_EMPTY_PATH, 0},
    {"setxattr", attribute, METADATA | IDENTITIES, SYS_setxattr, 0, 0, 0},
    {"lsetxattr XATTR_CREATE", attribute, METADATA, SYS_lsetxattr, 0, 1, 0},
    {"setxattr XATTR_REPLACE", attribute, METADATA, SYS_setxattr, 0, 2, 0},
    {"removexattr", attribute, METADATA | IDENTITIES, SYS_removexattr, 0, 0, 0},
    {"lremovexattr", attribute, METADATA, SYS_lremovexattr, 0, 0, 0},
    {"setxattrat", attribute, AT | METADATA, SYS_setxattrat, 0, 0, 0},
    {"setxattrat AT_EMPTY_PATH", attribute, AT | METADATA, SYS_setxattrat, AT_EMPTY_PATH, 0, 0},
    {"removexattrat AT_SYMLINK_NOFOLLOW", attribute, AT | METADATA, SYS_removexattrat, AT_SYMLINK_NOFOLLOW, 0, 0},
    {"truncate", by_path, IDENTITIES, SYS_truncate, 3, 0, 0},
    {"truncate -1", by_path, 0, SYS_truncate, -1, 0, 0},
    {"connect", address, ADDRESS | IDENTITIES, SYS_connect, 0, 0, 0},
    {"bind", address, ADDRESS | IDENTITIES, SYS_bind, 0, 0, 0},
#ifdef SYS_open
    {"open O_RDONLY", by_path, OPENS, SYS_open, O_RDONLY | O_NONBLOCK, 0, 0},
    {"open O_CREAT|O_APPEND", by_path, OPENS, SYS_open, O_WRONLY | O_APPEND | CREATION, 0666, 0},
    {"creat", by_path, OPENS | BLOCKS, SYS_creat, 0666, 0, 0},
    {"mkdir", by_path, 0, SYS_mkdir, 01777, 0, 0},
    {"mknod fifo", by_path, 0, SYS_mknod, S_IFIFO | 0600, 0, 0},
    {"symlink", symbolic, 0, SYS_symlink, 0, 0, 0},
    {"unlink", by_path, 0, SYS_unlink, 0, 0, 0},
    {"rmdir", by_path, 0, SYS_rmdir, 0, 0, 0},
    {"link from", away, 0, SYS_link, 0, 0, 0},
    {"link to", onto, 0, SYS_link, 0, 0, 0},
    {"rename from", away, 0, SYS_rename, 0, 0, 0},
    {"rename to", onto, 0, SYS_rename, 0, 0, 0},
    {"renameat to", onto, AT, SYS_renameat, 0, 0, 0},
    {"chmod", by_path, METADATA, SYS_chmod, 02700, 0, 0},
    {"chown", by_path, METADATA, SYS_chown, USER, USER, 0},
    {"lchown", by_path, METADATA, SYS_lchown, USER, USER, 0},
    {"utime", times, METADATA, SYS_utime, 0, 0, 0},
    {"utimes", times, METADATA, SYS_utimes, 0, 0, 0},
    {"futimesat", times, AT | METADATA, SYS_futimesat, 0, 0, 0},
#endif
    {NULL, NULL, 0, 0, 0, 0, 0},
};

static char component[NAME_MAX + 2], longest[NAME_MAX + 1], too_long[PATH_MAX + 1], winding[PATH_MAX];
static char root_file[PATH_MAX + 64], above_root[PATH_MAX + 64], control[16] = "a\nb\x1b[2J";

// Two pages with nothing behind them: strings can lie across them and at their end.
static char *pages(const char *text, long offset) {
    long page = sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + 2 * page, page, PROT_NONE))
        give_up("pages");
    char *start = memory + offset * page - strlen(text) / 2 - (offset == 2 ? (strlen(text) + 1) / 2 : 0);
    memcpy(start, text, strlen(text));
    return start;
}

static void fill_strings(void) {
    memset(component, 'n', NAME_MAX + 1);
    memset(longest, 'n', NAME_MAX);
    for (size_t at = 0; at < PATH_MAX; at += 2)
        memcpy(too_long + at, "./", 2);
    // the longest path that there can be
    memcpy(winding, too_long, PATH_MAX);
    strcpy(winding + PATH_MAX - 6, "/file");
    snprintf(root_file, sizeof root_file, "%s/g/file", top);
    snprintf(above_root, sizeof above_root, "/../../../../../../../../../..%s/g/file", top);
}

int descriptor_of(enum base base) {
    int fd;
    switch (base) {
    case CWD: return AT_FDCWD;
    case HERE: fd = open(ground, O_RDONLY | O_DIRECTORY); break;
    case HANDLE: fd = open(ground, O_PATH); break;
    case INNER: fd = open(absolute("dir"), O_RDONLY | O_DIRECTORY); break;
    case A_FILE: fd = open(absolute("file"), O_RDWR); break;
    case A_LINK: fd = open(absolute("link"), O_PATH | O_NOFOLLOW); break;
    case A_HANDLE: fd = open(absolute("file"), O_PATH); break;
    case CLOSED: return 99;
    case NEGATIVE: return -1;
    case GONE:
        require(mkdir("gone", 0755), "gone");
        fd = open("gone", O_RDONLY | O_DIRECTORY);
        require(rmdir("gone"), "gone");
        break;
    default: return -1;
    }
    require(fd, "a directory's descriptor");
    return fd;
}

struct trial {
    const struct call *call;
    const struct place *place;
};

static void try_path(const void *argument) {
    const struct trial *trial = argument;
    int at = descriptor_of(trial->place->base);
    if (trial->place->base != CWD)
        require(chdir(top), top);
    long result;
    do
        result = trial->call->make(trial->call, at, trial->place->path);
    while (result < 0 && errno == ELOOP && again(result));
    if (trial->call->traits & OPENS)
        say_descriptor(result);
    else
        say_result(result);
}

void try_call(const struct call *call, const struct place *place) {
    struct trial trial = {call, place};
    attempt(try_path, &trial, "%s, %s", call->name, place->name);
}

static int makes_sense(const struct call *call, const struct place *place) {
    if (place->base != CWD && !(call->traits & AT))
        return 0;
    if (call->traits & ADDRESS && (!place->path || place->path == (char *)1 || strstr(place->name, "without end")))
        return 0;
    if (call->traits & BLOCKS && !strcmp(place->name, "fifo"))
        return 0;
    // nobody's root directory is to be changed, nor what its name leads to
    return !((call->traits & METADATA) && !strncmp(place->name, "the root", 8));
}

void paths_cases(void) {
    fill_strings();
    const char *across = pages("file", 1), *unterminated = pages("file", 2);
    const struct place places[] = {
        {"file", CWD, "file"},
        {"dir/inner", CWD, "dir/inner"},
        {"./file", CWD, "./file"},
        {"dir/../file", CWD, "dir/../file"},
        {"dir//inner", CWD, "dir//inner"},
        {"absent", CWD, "absent"},
        {"absent/", CWD, "absent/"},
        {"absent/x", CWD, "absent/x"},
        {"file/x", CWD, "file/x"},
        {"file/", CWD, "file/"},
        {"file/..", CWD, "file/.."},
        {"dir", CWD, "dir"},
        {"dir/", CWD, "dir/"},
        {"dir/.", CWD, "dir/."},
        {"dir/..", CWD, "dir/.."},
        {".", CWD, "."},
        {"..", CWD, ".."},
        {"the root", CWD, "/"},
        {"hollow", CWD, "hollow"},
        {"hollow/", CWD, "hollow/"},
        {"link", CWD, "link"},
        {"link/", CWD, "link/"},
        {"chain", CWD, "chain"},
        {"an absolute link", CWD, "absolute"},
        {"a link by ..", CWD, "up"},
        {"a link into a directory", CWD, "deep"},
        {"dirlink", CWD, "dirlink"},
        {"dirlink/", CWD, "dirlink/"},
        {"dirlink/inner", CWD, "dirlink/inner"},
        {"dirlink/../file", CWD, "dirlink/../file"},
        {"a link that ends in /", CWD, "slash"},
        {"dangling", CWD, "dangling"},
        {"dangling/", CWD, "dangling/"},
        {"a link beyond what is absent", CWD, "beyond"},
        {"loop", CWD, "loop1"},
        {"loop/x", CWD, "loop1/x"},
        {"40 links", CWD, "../c/39/file"},
        {"41 links", CWD, "../c/40/file"},
        {"fifo", CWD, "fifo"},
        {"sock", CWD, "sock"},
        {"null", CWD, "null"},
        {"null/", CWD, "null/"},
        {"the empty path", CWD, ""},
        {"NULL", CWD, NULL},
        {"a bad pointer", CWD, (char *)1},
        {"a string without end", CWD, unterminated},
        {"a string across pages", CWD, across},
        {"a name of 256 bytes", CWD, component},
        {"a name of 255 bytes", CWD, longest},
        {"a path of 4096 bytes", CWD, too_long},
        {"a path of 4095 bytes", CWD, winding},
        {"a name with control characters", CWD, control},
        {"the absolute path", CWD, root_file},
        {"a path above the root", CWD, above_root},
        {"directory: file", HERE, "file"},
        {"directory: absent", HERE, "absent"},
        {"directory: ..", HERE, ".."},
        {"directory: the empty path", HERE, ""},
        {"directory: the absolute path", INNER, root_file},
        {"O_PATH directory: file", HANDLE, "file"},
        {"inner directory: ../file", INNER, "../file"},
        {"inner directory: ../link", INNER, "../link"},
        {"file's descriptor: x", A_FILE, "x"},
        {"file's descriptor: the empty path", A_FILE, ""},
        {"file's descriptor: NULL", A_FILE, NULL},
        {"link's descriptor: the empty path", A_LINK, ""},
        {"file's O_PATH descriptor: the empty path", A_HANDLE, ""},
        {"closed descriptor: file", CLOSED, "file"},
        {"closed descriptor: the empty path", CLOSED, ""},
        {"closed descriptor: the absolute path", CLOSED, root_file},
        {"descriptor -1: file", NEGATIVE, "file"},
        {"removed directory: file", GONE, "file"},
        {"removed directory: ..", GONE, ".."},
        {"removed directory: .", GONE, "."},
    };
    for (const struct call *call = calls; call->name; call++)
        for (size_t index = 0; index < sizeof places / sizeof *places; index++)
            if (makes_sense(call, &places[index]))
                try_call(call, &places[index]);
}
