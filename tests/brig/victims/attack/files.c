// SPDX-License-Identifier: Apache-2.0
// Ways to a file that is denied, without a race: each call that could read it, change it, or give it
// another name.

#include "attack.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <utime.h>

#define SECRET_FILE "secret.denied"

static void read_by(const char *way, long fd) {
    if (is_secret((int)fd))
        won(way);
}

// A descriptor of the file that only names it; having one is allowed.
static int handle_of(const char *path) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    require(fd, path);
    return fd;
}

static const char *procfs(const char *directory, int fd) {
    static char path[64];
    snprintf(path, sizeof path, "%s/%d", directory, fd);
    return path;
}

static void read_by_uring(void) {
    struct io_uring_params parameters = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 2, &parameters);
    if (ring < 0)
        return;
    size_t size = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
    size_t completions = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    size = size > completions ? size : completions;
    char *queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    *entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)SECRET_FILE};
    *(unsigned *)(queue + parameters.sq_off.array) = 0;
    (*(volatile unsigned *)(queue + parameters.sq_off.tail))++;
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1)
        read_by("io_uring", ((struct io_uring_cqe *)(queue + parameters.cq_off.cqes))->res);
}

static void read_by_handle(void) {
    struct {
        struct file_handle handle;
        unsigned char bytes[MAX_HANDLE_SZ];
    } is = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount;
    if (!name_to_handle_at(AT_FDCWD, SECRET_FILE, &is.handle, &mount, 0))
        read_by("open_by_handle_at", open_by_handle_at(open(".", O_RDONLY | O_CLOEXEC), &is.handle, O_RDONLY));
}

static void reading(void) {
    struct open_how how = {.flags = O_RDONLY};
    int handle = handle_of(SECRET_FILE), work = handle_of(".");
    read_by("openat", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_RDONLY));
    read_by("openat O_RDWR", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_RDWR));
    read_by("openat O_CREAT", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_RDWR | O_CREAT, 0600));
    read_by("openat2", syscall(SYS_openat2, work, SECRET_FILE, &how, sizeof how));
    how.resolve = RESOLVE_IN_ROOT;
    read_by("openat2 IN_ROOT", syscall(SYS_openat2, work, "/../" SECRET_FILE, &how, sizeof how));
#ifdef SYS_open
    read_by("open", syscall(SYS_open, SECRET_FILE, O_RDONLY));
#endif
    read_by("a link", syscall(SYS_openat, AT_FDCWD, "to-secret", O_RDONLY));
    read_by("a directory's link", syscall(SYS_openat, AT_FDCWD, "to-vault/target", O_RDONLY));
    read_by("below a directory", syscall(SYS_openat, AT_FDCWD, "vault.denied/target", O_RDONLY));
    read_by("an O_PATH directory", syscall(SYS_openat, handle_of("vault.denied"), "target", O_RDONLY));
    read_by("/proc/self/fd", syscall(SYS_openat, AT_FDCWD, procfs("/proc/self/fd", handle), O_RDONLY));
    read_by("/proc/thread-self/fd", syscall(SYS_openat, AT_FDCWD, procfs("/proc/thread-self/fd", handle), O_RDONLY));
    read_by("/dev/fd", syscall(SYS_openat, AT_FDCWD, procfs("/dev/fd", handle), O_RDONLY));
    read_by("/proc/self/cwd", syscall(SYS_openat, AT_FDCWD, "/proc/self/cwd/" SECRET_FILE, O_RDONLY));
    read_by("dots", syscall(SYS_openat, AT_FDCWD, "way/.././/way/../" SECRET_FILE, O_RDONLY));
    read_by_handle();
    read_by_uring();
    require(chdir("vault.denied"), "vault.denied");
    read_by("the working directory", syscall(SYS_openat, AT_FDCWD, "target", O_RDONLY));
    int listed = (int)syscall(SYS_openat, AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
    if (listed >= 0)
        won("list");
}

static struct stat before;

static struct stat now(void) {
    struct stat is = {0};
    require(fstatat(AT_FDCWD, SECRET_FILE, &is, 0), SECRET_FILE);
    return is;
}

// Whether the file is not as it was; from here on it is as it is.
static void changed_by(const char *way, long result) {
    struct stat is = now();
    char value[8];
    // an attribute changes nothing that stat shows but the time of the change
    int attribute = lgetxattr(SECRET_FILE, "user.test", value, sizeof value) > 0 ||
                    lgetxattr(SECRET_FILE, "user.had", value, sizeof value) < 0;
    if (!result || is.st_mode != before.st_mode || is.st_uid != before.st_uid || is.st_size != before.st_size ||
        is.st_mtim.tv_sec != before.st_mtim.tv_sec || attribute)
        won(way);
    before = is;
}

static void change_attributes(int handle) {
    struct {
        const char *value;
        unsigned size, flags;
    } attribute = {"v", 1, 0};
    const char *by = procfs("/proc/self/fd", handle);
    changed_by("setxattr", setxattr(SECRET_FILE, "user.test", "v", 1, 0));
    changed_by("lsetxattr", lsetxattr(SECRET_FILE, "user.test", "v", 1, 0));
    changed_by("setxattr by procfs", setxattr(by, "user.test", "v", 1, 0));
    changed_by("setxattrat", syscall(SYS_setxattrat, handle, "", AT_EMPTY_PATH, "user.test", &attribute, sizeof attribute));
    changed_by("removexattr", removexattr(SECRET_FILE, "user.had"));
    changed_by("lremovexattr", lremovexattr(SECRET_FILE, "user.had"));
}

static void metadata(void) {
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 2}};
    const struct timeval micro[2] = {{1, 0}, {3, 0}};
    int handle = handle_of(SECRET_FILE);
    const char *by = procfs("/proc/self/fd", handle);
    before = now();
    changed_by("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, SECRET_FILE, 0777));
    changed_by("fchmodat2", syscall(SYS_fchmodat2, AT_FDCWD, SECRET_FILE, 0776, 0));
    changed_by("fchmodat2 of a descriptor", syscall(SYS_fchmodat2, handle, "", 0775, AT_EMPTY_PATH));
    changed_by("fchmodat by procfs", syscall(SYS_fchmodat, AT_FDCWD, by, 0774));
    changed_by("fchmodat by a link", syscall(SYS_fchmodat, AT_FDCWD, "to-secret", 0773));
    changed_by("fchmodat below", fchmodat(handle_of("vault.denied"), "target", 0777, 0));
    changed_by("fchownat", syscall(SYS_fchownat, AT_FDCWD, SECRET_FILE, 0, 0, 0));
    changed_by("fchownat of a descriptor", syscall(SYS_fchownat, handle, "", 0, 0, AT_EMPTY_PATH));
    changed_by("fchownat by procfs", syscall(SYS_fchownat, AT_FDCWD, by, 0, 0, 0));
    changed_by("lchown", syscall(SYS_fchownat, AT_FDCWD, SECRET_FILE, 0, 0, AT_SYMLINK_NOFOLLOW));
    changed_by("utimensat", syscall(SYS_utimensat, AT_FDCWD, SECRET_FILE, times, 0));
    changed_by("utimensat now", syscall(SYS_utimensat, AT_FDCWD, SECRET_FILE, NULL, 0));
    changed_by("utimensat of a descriptor", syscall(SYS_utimensat, handle, "", times, AT_EMPTY_PATH));
    changed_by("utimensat by procfs", syscall(SYS_utimensat, AT_FDCWD, by, NULL, 0));
#ifdef SYS_open
    changed_by("chmod", syscall(SYS_chmod, SECRET_FILE, 0772));
    changed_by("chown", syscall(SYS_chown, SECRET_FILE, 0, 0));
    changed_by("utimes", syscall(SYS_utimes, SECRET_FILE, micro));
    changed_by("futimesat", syscall(SYS_futimesat, AT_FDCWD, SECRET_FILE, micro));
    changed_by("utime", syscall(SYS_utime, SECRET_FILE, NULL));
#endif
    (void)micro;
    unsigned long attributes[3] = {0};
    changed_by("file_setattr", syscall(SYS_file_setattr, AT_FDCWD, SECRET_FILE, attributes, sizeof attributes, 0));
    change_attributes(handle);
}

static void won_if(const char *way, int done) {
    if (done)
        won(way);
}

static void cutting(void) {
    int handle = handle_of(SECRET_FILE);
    const char *by = procfs("/proc/self/fd", handle);
    long length = 6;
    before = now();
    changed_by("truncate", syscall(SYS_truncate, SECRET_FILE, --length));
    changed_by("truncate longer", syscall(SYS_truncate, SECRET_FILE, 9));
    changed_by("truncate by a link", syscall(SYS_truncate, "to-secret", --length));
    changed_by("truncate by procfs", syscall(SYS_truncate, by, --length));
    changed_by("O_TRUNC", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_WRONLY | O_TRUNC) < 0);
    changed_by("O_RDONLY|O_TRUNC", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_TRUNC) < 0);
    changed_by("O_WRONLY", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_WRONLY) < 0);
    changed_by("O_APPEND", syscall(SYS_openat, AT_FDCWD, SECRET_FILE, O_WRONLY | O_APPEND) < 0);
    changed_by("O_WRONLY by procfs", syscall(SYS_openat, AT_FDCWD, by, O_WRONLY) < 0);
#ifdef SYS_creat
    changed_by("creat", syscall(SYS_creat, SECRET_FILE, 0600) < 0);
#endif
}

// What may be read and not written, by a descriptor for reading, and by opening it.
static void changing_what_is_read(void) {
    int fd = open("fine", O_RDONLY | O_CLOEXEC), other = open("spare", O_RDONLY | O_CLOEXEC);
    require(fd | other, "fine");
    const char *by = procfs("/proc/self/fd", fd);
    const int ways_in[] = {fd, open("fine", O_RDWR | O_CLOEXEC), open(by, O_RDWR | O_CLOEXEC), open(by, O_WRONLY | O_CLOEXEC)};
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 2}};
    struct file_clone_range range = {.src_fd = other};
    long attributes;
    for (size_t index = 0; index < sizeof ways_in / sizeof *ways_in; index++) {
        int way = ways_in[index];
        if (way < 0)
            continue;
        won_if("fallocate", !fallocate(way, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
        won_if("fallocate longer", !fallocate(way, 0, 0, 64));
        won_if("copy_file_range", copy_file_range(other, &(off_t){0}, way, &(off_t){0}, 4, 0) > 0);
        won_if("FICLONE", !ioctl(way, FICLONE, other));
        won_if("FICLONERANGE", !ioctl(way, FICLONERANGE, &range));
        won_if("sendfile", sendfile(way, other, &(off_t){0}, 4) > 0);
        won_if("ftruncate", !ftruncate(way, 3));
        won_if("pwrite", pwrite(way, "x", 1, 0) > 0);
        won_if("pwritev2", syscall(SYS_pwritev2, way, &(struct iovec){"x", 1}, 1, 0, 0, RWF_APPEND) > 0);
        won_if("mmap", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, way, 0) != MAP_FAILED);
        won_if("fchmod", !fchmod(way, 0600));
        won_if("fchown", !fchown(way, 0, 0));
        won_if("futimens", !futimens(way, times));
        won_if("fsetxattr", !fsetxattr(way, "user.test", "v", 1, 0));
        won_if("FS_IOC_SETFLAGS", !ioctl(way, FS_IOC_GETFLAGS, &attributes) && !ioctl(way, FS_IOC_SETFLAGS, &attributes));
    }
}

// A file that may be had, also after another attempt has used it up.
static const char *spare(void) {
    close((int)syscall(SYS_openat, AT_FDCWD, "spare", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return "spare";
}

// A way that gives a denied file another name, or another file a denied name.
static void rename_by(const char *way, const char *from, const char *to, unsigned flags) {
    if (!syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags)) {
        won(way);
        // back again, for the next
        syscall(SYS_renameat2, AT_FDCWD, to, AT_FDCWD, from, flags);
    }
}

static void link_by(const char *way, int at, const char *from, const char *to, int flags) {
    if (!syscall(SYS_linkat, at, from, AT_FDCWD, to, flags)) {
        won(way);
        unlink(to);
    }
}

static void names(void) {
    int handle = handle_of(SECRET_FILE);
    rename_by("out of a denied name", SECRET_FILE, "new", 0);
    rename_by("out of it, onto a file", SECRET_FILE, "spare", 0);
    rename_by("out of it, NOREPLACE", SECRET_FILE, "new", RENAME_NOREPLACE);
    rename_by("exchange", SECRET_FILE, "fine", RENAME_EXCHANGE);
    rename_by("exchange from the other side", "fine", SECRET_FILE, RENAME_EXCHANGE);
    rename_by("into a denied name", spare(), "new.denied", 0);
    rename_by("from below", "vault.denied/target", "new", 0);
    rename_by("to below", spare(), "vault.denied/new", 0);
    rename_by("a denied directory", "vault.denied", "vault", 0);
    rename_by("a directory to a denied name", "way", "way.denied", 0);
    rename_by("exchange of directories", "way", "vault.denied", RENAME_EXCHANGE);
    link_by("link out", AT_FDCWD, SECRET_FILE, "new", 0);
    link_by("link out by a descriptor", handle, "", "new", AT_EMPTY_PATH);
    link_by("link out by procfs", AT_FDCWD, procfs("/proc/self/fd", handle), "new", AT_SYMLINK_FOLLOW);
    link_by("link out by a link", AT_FDCWD, "to-secret", "new", AT_SYMLINK_FOLLOW);
    link_by("link in", AT_FDCWD, spare(), "new.denied", 0);
    if (!syscall(SYS_mkdirat, AT_FDCWD, "made.denied", 0700))
        won("mkdir");
    if (!syscall(SYS_mknodat, AT_FDCWD, "node.denied", S_IFREG | 0600, 0))
        won("mknod");
    if (!syscall(SYS_symlinkat, "fine", AT_FDCWD, "link.denied"))
        won("symlink");
    if (syscall(SYS_openat, AT_FDCWD, "file.denied", O_CREAT | O_RDWR, 0600) >= 0)
        won("creat");
    if (!syscall(SYS_unlinkat, AT_FDCWD, "vault.denied/victim", 0))
        won("unlink");
    rename_by("onto a denied name", spare(), SECRET_FILE, 0);
}

// A rule about what is below one directory, and a name above that is moved out of it.
static void across(void) {
    rename_by("a directory with denied files", "parent", "../elsewhere/parent", 0);
    rename_by("a directory in it", "parent/below", "../elsewhere/below", 0);
    if (!syscall(SYS_mkdirat, AT_FDCWD, "../elsewhere/empty", 0700) || errno == EEXIST)
        rename_by("exchange with one elsewhere", "another", "../elsewhere/empty", RENAME_EXCHANGE);
    link_by("a link elsewhere", AT_FDCWD, "another/x.denied", "../elsewhere/x", 0);
    rename_by("a file elsewhere", "another/x.denied", "../elsewhere/x", 0);
    rename_by("the whole directory", "../work", "../elsewhere/work", 0);
}

static void control_characters(void) {
    static const char NAME[] = "control\n\x1b[2J\".denied";
    if (holds_secret(NAME))
        won("read");
    if (!syscall(SYS_mkdirat, AT_FDCWD, "\x1b]0;\a\r\n{\"decision\": \"allow\"}\x80\xff.denied", 0700))
        won("made");
}

static void own_listener(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog all = {.len = 4, .filter = program};
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    static const unsigned long FLAGS[] = {8, 8 | 32, 8 | 16 | 1, 8 | 4, 0x100000008UL};
    for (size_t index = 0; index < sizeof FLAGS / sizeof *FLAGS; index++)
        if (syscall(SYS_seccomp, 1, FLAGS[index], &all) >= 0)
            won("seccomp");
}

// A thread that is elsewhere than its process.
static void *elsewhere(void *way) {
    if (unshare(CLONE_FS | CLONE_FILES) || chdir("vault.denied"))
        give_up("unshare");
    read_by("a thread's working directory", syscall(SYS_openat, AT_FDCWD, "target", O_RDONLY));
    require(dup2(open(".", O_PATH | O_CLOEXEC), 50), "dup2");
    read_by("a thread's descriptor", syscall(SYS_openat, 50, "target", O_RDONLY));
    read_by("a thread's descriptor by procfs", syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/fd/50/target", O_RDONLY));
    if (chroot("."))
        give_up("chroot");
    read_by("a thread's root directory", syscall(SYS_openat, AT_FDCWD, "/target", O_RDONLY));
    return way;
}

static void by_thread(void) {
    pthread_t thread;
    require(chdir("way"), "way");
    require(dup2(open(".", O_PATH | O_CLOEXEC), 50), "dup2");
    require(chdir(".."), "..");
    if (pthread_create(&thread, NULL, elsewhere, NULL))
        give_up("pthread_create");
    pthread_join(thread, NULL);
}

const struct attack FILE_ATTACKS[] = {
    {"NT-06", by_thread},
    {"LL-01", reading},
    {"LL-02", metadata},
    {"LL-05", cutting},
    {"LL-05-read-only", changing_what_is_read},
    {"LL-05-read-only-beside", changing_what_is_read},
    {"LL-06", across},
    {"NT-30", names},
    {"NT-27", control_characters},
    {"NT-12", own_listener},
    {NULL, NULL},
};
