// SPDX-License-Identifier: Apache-2.0
// Calls of threads and processes that differ from their leader, or that have put themselves in a
// corner: working directories, roots, descriptor tables, limits.

#include "conform.h"
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct work {
    long (*work)(void *);
    void *argument;
    long result;
};

static void *start(void *argument) {
    struct work *work = argument;
    work->result = work->work(work->argument);
    return NULL;
}

long in_thread(long (*work)(void *), void *argument) {
    pthread_t thread;
    struct work todo = {work, argument, 0};
    if (pthread_create(&thread, NULL, start, &todo))
        give_up("pthread_create");
    pthread_join(thread, NULL);
    return todo.result;
}

static void say_file(const char *path) {
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
}

static long elsewhere(void *argument) {
    (void)argument;
    require(unshare(CLONE_FS), "unshare");
    require(chdir("dir"), "dir");
    umask(077);
    say_file("inner");
    say_file("file");
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "made", 0777));
    return 0;
}

static void try_own_directory(const void *argument) {
    (void)argument;
    in_thread(elsewhere, NULL);
    say_file("inner");
    say_file("file");
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "made", 0777));
}

static long move(void *path) {
    return chdir(path);
}

static void try_shared_directory(const void *argument) {
    (void)argument;
    in_thread(move, "dir");
    say_file("inner");
    say_file("file");
}

static int shared_number;

static long own_table(void *argument) {
    (void)argument;
    require(unshare(CLONE_FILES), "unshare");
    close(shared_number);
    say_descriptor(syscall(SYS_openat, shared_number, "inner", O_RDONLY));
    int here = open("home", O_RDONLY | O_DIRECTORY);
    say(" number %d", here == shared_number);
    say_descriptor(syscall(SYS_openat, here, "theirs", O_RDONLY));
    say_result(syscall(SYS_mkdirat, here, "made", 0700));
    return 0;
}

static void try_own_table(const void *argument) {
    (void)argument;
    shared_number = open("dir", O_RDONLY | O_DIRECTORY);
    in_thread(own_table, NULL);
    say_descriptor(syscall(SYS_openat, shared_number, "inner", O_RDONLY));
}

static long own_identity(void *argument) {
    (void)argument;
    require(syscall(SYS_setgroups, 0, NULL), "setgroups");
    require(syscall(SYS_setresgid, USER, USER, USER), "setresgid");
    require(syscall(SYS_setresuid, USER, USER, USER), "setresuid");
    say_file("secret");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "home/made", O_RDWR | O_CREAT, 0600));
    return 0;
}

static void try_own_identity(const void *argument) {
    (void)argument;
    in_thread(own_identity, NULL);
    say_file("secret");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "made", O_RDWR | O_CREAT, 0600));
}

// Whether a file can be opened by one of many calls: whoever answers may remember who called before.
static int opens(const char *path) {
    int opened = 0;
    for (int turn = 0; turn < 64; turn++) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
        opened |= fd >= 0;
        close(fd);
    }
    return opened;
}

_Noreturn void after_execve(const char *path) {
    _exit(opens(path));
}

static volatile int has_left, has_opened;

static long leave_and_execute(void *argument) {
    (void)argument;
    require(syscall(SYS_setgroups, 0, NULL), "setgroups");
    has_left = 1;
    while (!has_opened)
        sched_yield();
    return execl("/proc/self/exe", "conform", "", "after execve", "shared", (char *)NULL);
}

static void become_member(void) {
    static const gid_t GROUPS[] = {GROUP};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{.effective = 1U << CAP_SETGID, .permitted = 1U << CAP_SETGID}};
    require(syscall(SYS_setgroups, 1, GROUPS), "setgroups");
    require(syscall(SYS_setresgid, USER, USER, USER), "setresgid");
    require(prctl(PR_SET_KEEPCAPS, 1), "prctl");
    require(syscall(SYS_setresuid, USER, USER, USER), "setresuid");
    require(syscall(SYS_capset, &header, data), "capset");
}

// A thread has left the group, and then takes its leader's number, who is in it.
static void try_number_of_leader(const void *argument) {
    (void)argument;
    int fd = open("shared", O_WRONLY | O_CREAT, 0600), status;
    require(fchown(fd, 0, GROUP), "fchown");
    require(fchmod(fd, 0040), "fchmod");
    pid_t child = fork();
    require(child, "fork");
    if (!child) {
        struct work todo = {leave_and_execute, NULL, 0};
        pthread_t thread;
        become_member();
        if (pthread_create(&thread, NULL, start, &todo))
            give_up("pthread_create");
        while (!has_left)
            sched_yield();
        say(" member %d", opens("shared"));
        has_opened = 1;
        pthread_join(thread, NULL);
        give_up("execve");
    }
    require(waitpid(child, &status, 0), "waitpid");
    say(" other %x", status);
}

static void try_root(const void *argument) {
    (void)argument;
    int outside = open("..", O_RDONLY | O_DIRECTORY);
    require(chroot("dir"), "chroot");
    say_file("/inner");
    say_file("/../inner");
    say_file("/../../../../inner");
    say_file("/file");
    say_file("file"); // the working directory is still outside
    say_file("../g/file");
    say_descriptor(syscall(SYS_openat, outside, "g/file", O_RDONLY));
    say_file("dirlink/inner");
    say_file("absolute"); // a link: its target is looked for below the new root
    say_file("/proc/self/status");
    require(chdir("/"), "chdir");
    say_file("inner");
    say_file("../inner");
    say_file("../file");
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "/made", 0700));
    say_result(syscall(SYS_symlinkat, "/inner", AT_FDCWD, "/to"));
    say_file("to");
    say_result(syscall(SYS_fchmodat, AT_FDCWD, "/to", 0600));
}

static long own_root(void *argument) {
    (void)argument;
    require(unshare(CLONE_FS), "unshare");
    require(chroot("dir"), "chroot");
    require(chdir("/"), "chdir");
    say_file("/inner");
    say_file("../../inner");
    return 0;
}

static void try_own_root(const void *argument) {
    (void)argument;
    in_thread(own_root, NULL);
    say_file("/dev/null");
    say_file("file");
}

static void *outlive(void *leader) {
    char path[64];
    // until it is a zombie
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", *(pid_t *)leader);
    for (;;) {
        char text[512] = "";
        int fd = open(path, O_RDONLY);
        ssize_t length = read(fd, text, sizeof text - 1);
        close(fd);
        char *end = length > 0 ? strrchr(text, ')') : NULL;
        if (!end || end[2] == 'Z')
            break;
        sched_yield();
    }
    say_file("file");
    say_file("/proc/thread-self/status");
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "made", 0700));
    say_result(syscall(SYS_fchmodat, AT_FDCWD, "file", 0600));
    _exit(0);
}

static void try_without_leader(const void *argument) {
    (void)argument;
    pid_t child = fork();
    require(child, "fork");
    if (child) {
        waitpid(child, NULL, 0);
        return;
    }
    pthread_t thread;
    static pid_t leader;
    leader = getpid();
    if (pthread_create(&thread, NULL, outlive, &leader))
        give_up("pthread_create");
    // the leader ends; the other thread goes on
    syscall(SYS_exit, 0);
}

void await_sleep(pid_t task) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", task);
    int fd = open(path, O_RDONLY);
    require(fd, path);
    for (;;) {
        ssize_t length = pread(fd, text, sizeof text - 1, 0);
        text[length > 0 ? length : 0] = 0;
        char *end = strrchr(text, ')');
        if (!end || end[2] == 'S' || end[2] == 'Z')
            break;
        sched_yield();
    }
    close(fd);
}

static void try_vfork(const void *argument) {
    (void)argument;
    pid_t child = vfork();
    if (!child) {
        say_file("file");
        say_result(syscall(SYS_mkdirat, AT_FDCWD, "made", 0700));
        _exit(0);
    }
    waitpid(child, NULL, 0);
    say_file("made");
}

static int own_everything(void *argument) {
    (void)argument;
    say_file("file");
    say_result(syscall(SYS_unlinkat, AT_FDCWD, "other", 0));
    return 0;
}

static void try_clone(const void *flags) {
    static char stack[65536];
    pid_t child = clone(own_everything, stack + sizeof stack, *(const int *)flags | SIGCHLD, NULL);
    require(child, "clone");
    waitpid(child, NULL, 0);
    say_file("other");
}

static void try_large_file(const void *way) {
    const struct rlimit small = {.rlim_cur = 100, .rlim_max = 100};
    require(setrlimit(RLIMIT_FSIZE, &small), "setrlimit");
    const char *how = way;
    if (*how == 'i')
        signal(SIGXFSZ, SIG_IGN);
    say_result(syscall(SYS_truncate, "file", 100));
    say_result(syscall(SYS_truncate, "file", 101));
}

static void try_open_large(const void *argument) {
    (void)argument;
    const struct rlimit small = {.rlim_cur = 4, .rlim_max = 4};
    require(setrlimit(RLIMIT_FSIZE, &small), "setrlimit");
    signal(SIGXFSZ, SIG_IGN);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "fresh", O_RDWR | O_CREAT, 0600);
    say_result(write(fd, "123456", 6));
    say_result(write(fd, "123456", 6));
    say_result(syscall(SYS_truncate, "fresh", 5));
    say_result(syscall(SYS_truncate, "fresh", 2));
}

static void try_busy(const void *argument) {
    (void)argument;
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_WRONLY));
    say_result(syscall(SYS_truncate, "/proc/self/exe", 0));
}

static void try_busy_large(const void *argument) {
    (void)argument;
    const struct rlimit small = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    require(setrlimit(RLIMIT_FSIZE, &small), "setrlimit");
    say_result(syscall(SYS_truncate, "/proc/self/exe", 1L << 40));
}

static void try_running(const void *argument) {
    (void)argument;
    say_result(syscall(SYS_renameat2, AT_FDCWD, ".", AT_FDCWD, "../h", 0));
    say_result(syscall(SYS_unlinkat, AT_FDCWD, ".", AT_REMOVEDIR));
    say_result(syscall(SYS_renameat2, AT_FDCWD, "..", AT_FDCWD, "fresh", 0));
}

static void try_lease(const void *argument) {
    (void)argument;
    signal(SIGIO, SIG_IGN);
    int fd = open("file", O_RDONLY);
    say_result(fcntl(fd, F_SETLEASE, F_RDLCK));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "file", O_WRONLY | O_NONBLOCK));
}

void tasks_cases(void) {
    static const int SHARED[] = {0, CLONE_FS, CLONE_FILES, CLONE_FS | CLONE_FILES, CLONE_VM, CLONE_VM | CLONE_FILES};
    attempt(try_own_directory, NULL, "a thread with a working directory and a mask of its own");
    attempt(try_shared_directory, NULL, "a working directory that a thread has changed");
    attempt(try_own_table, NULL, "a thread with descriptors of its own");
    attempt(try_own_identity, NULL, "a thread with an identity of its own");
    attempt(try_number_of_leader, NULL, "a thread that takes its leader's number");
    attempt(try_root, NULL, "below a root directory of its own");
    attempt(try_own_root, NULL, "a thread below a root directory of its own");
    attempt(try_without_leader, NULL, "a thread whose leader has ended");
    attempt(try_vfork, NULL, "a child in its parent's memory");
    for (size_t index = 0; index < sizeof SHARED / sizeof *SHARED; index++)
        attempt(try_clone, &SHARED[index], "a child that shares %x", SHARED[index]);
    attempt(try_large_file, "killed", "larger than may be");
    attempt(try_large_file, "ignored", "larger than may be, the signal ignored");
    attempt(try_open_large, NULL, "written larger than may be");
    attempt(try_busy, NULL, "the program that runs");
    attempt(try_busy_large, NULL, "the program that runs, larger than may be");
    attempt(try_running, NULL, "the working directory itself");
    attempt(try_lease, NULL, "a file with a lease");
}
