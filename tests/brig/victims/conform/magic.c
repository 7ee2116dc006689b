// SPDX-License-Identifier: Apache-2.0
// procfs: whose "self" it is, and what its links lead to.

#include "conform.h"
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

// The number after a field's name, compared with what it should be: pids are not the same twice.
static void say_field(int fd, const char *field, long expected) {
    char text[8192] = "";
    if (fd < 0)
        return say_result(fd);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    char *at = length > 0 ? strstr(text, field) : NULL;
    long found = at ? strtol(at + strlen(field), NULL, 10) : -1;
    say(found == expected ? " the caller's" : " another's");
}

static void try_status(const void *path) {
    say_field((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY), "\nPid:", syscall(SYS_gettid));
}

static long own_status(void *path) {
    try_status(path);
    return 0;
}

static void try_status_in_thread(const void *path) {
    in_thread(own_status, (void *)path);
}

static void try_status_of_child(const void *argument) {
    (void)argument;
    char path[64];
    pid_t parent = getpid(), child = fork();
    if (!child) {
        snprintf(path, sizeof path, "/proc/%d/status", parent);
        say_field((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY), "\nPid:", parent);
        snprintf(path, sizeof path, "/proc/%d/cwd/file", parent);
        say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
        snprintf(path, sizeof path, "/proc/%d/root/dev/null", parent);
        say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
        snprintf(path, sizeof path, "/proc/%d/task/%d/status", parent, parent);
        say_field((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY), "\nPid:", parent);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static void try_path(const void *path) {
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK));
}

// How a descriptor is opened once more: by its path below a directory of descriptors.
static void reopen(const char *directory, int fd, int flags) {
    char path[96];
    snprintf(path, sizeof path, "%s/%d", directory, fd);
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, flags));
}

static const char *const DIRECTORIES[] = {
    "/proc/self/fd", "/proc/thread-self/fd", "/dev/fd", "/proc/self/task/../fd", "/proc/./self//fd",
    "/dev/../proc/self/fd", "/proc/self/root/proc/self/fd",
};

static void try_reopen(const void *directory) {
    int fd = open("file", O_RDONLY);
    reopen(directory, fd, O_RDONLY);
    reopen(directory, fd, O_RDWR | O_APPEND);
    reopen(directory, fd, O_RDONLY | O_NOFOLLOW);
    reopen(directory, fd, O_PATH | O_NOFOLLOW);
    reopen(directory, fd, O_WRONLY | O_TRUNC);
    reopen(directory, fd, O_WRONLY | O_CREAT);
    reopen(directory, fd, O_WRONLY | O_CREAT | O_EXCL);
    reopen(directory, 99, O_RDONLY);
    reopen(directory, open("file", O_PATH), O_RDWR);
    reopen(directory, open("link", O_PATH | O_NOFOLLOW), O_RDONLY);
    reopen(directory, open("dir", O_PATH), O_RDONLY | O_DIRECTORY);
}

static void try_reopen_others(const void *directory) {
    int ends[2], fd = (int)syscall(SYS_memfd_create, "memory", 0);
    require(write(fd, "memory", 6), "write");
    reopen(directory, fd, O_RDWR);
    require(pipe(ends), "pipe");
    reopen(directory, ends[0], O_WRONLY | O_NONBLOCK);
    reopen(directory, ends[1], O_RDONLY | O_NONBLOCK);
    reopen(directory, socket(AF_UNIX, SOCK_STREAM, 0), O_RDWR);
    fd = open("other", O_RDONLY);
    require(unlink("other"), "other");
    reopen(directory, fd, O_RDWR);
    char path[96];
    snprintf(path, sizeof path, "%s/%d/inner", (char *)directory, open("dir", O_RDONLY));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR));
    snprintf(path, sizeof path, "%s/%d/../file", (char *)directory, open("dir", O_PATH));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR));
    snprintf(path, sizeof path, "%s/%d/fresh", (char *)directory, open("dir", O_PATH));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
    snprintf(path, sizeof path, "%s/%d/made", (char *)directory, open("dir", O_PATH));
    say_result(syscall(SYS_mkdirat, AT_FDCWD, path, 0700));
}

static void try_relative(const void *path) {
    int proc = open("/proc", O_PATH), self = open("/proc/self", O_PATH | O_DIRECTORY);
    int descriptors = open("/proc/self/fd", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY);
    char number[16];
    snprintf(number, sizeof number, "%d", file);
    say_descriptor(syscall(SYS_openat, proc, path, O_RDONLY));
    say_descriptor(syscall(SYS_openat, self, "cwd/file", O_RDONLY));
    say_descriptor(syscall(SYS_openat, descriptors, number, O_RDWR));
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_MAGICLINKS};
    say_descriptor(syscall(SYS_openat2, descriptors, number, &how, sizeof how));
    how.resolve = RESOLVE_BENEATH;
    say_descriptor(syscall(SYS_openat2, descriptors, number, &how, sizeof how));
    how.resolve = RESOLVE_NO_SYMLINKS;
    say_descriptor(syscall(SYS_openat2, proc, path, &how, sizeof how));
    how.resolve = RESOLVE_NO_XDEV;
    say_descriptor(syscall(SYS_openat2, AT_FDCWD, "/proc/self/cwd/file", &how, sizeof how));
}

static void try_link_to_self(const void *target) {
    require(symlinkat(target, AT_FDCWD, "magic"), "magic");
    say_field((int)syscall(SYS_openat, AT_FDCWD, "magic/status", O_RDONLY), "\nPid:", getpid());
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "magic/cwd/file", O_RDWR));
}

static void try_stdin(const void *path) {
    close(0);
    require(open("file", O_RDWR), "stdin");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_TRUNC));
}

static void try_write_name(const void *path) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY);
    if (fd < 0)
        return say_result(fd);
    say_result(write(fd, "renamed", 7));
    char name[32] = "";
    prctl(PR_GET_NAME, name);
    say(" %s", name);
}

static void try_memory(const void *path) {
    static volatile long word = 1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR);
    long value = 2;
    say_result(pwrite(fd, &value, sizeof value, (off_t)&word));
    say(" %ld", word);
}

static void try_maps(const void *argument) {
    (void)argument;
    char text[256] = "";
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY);
    say_result(read(fd, text, sizeof text - 1) > 0 && strstr(text, "conform") ? 0 : -1);
}

static void try_deleted_directory(const void *argument) {
    (void)argument;
    require(mkdir("gone", 0700), "gone");
    require(chdir("gone"), "gone");
    require(rmdir("../gone"), "gone");
    say_descriptor(syscall(SYS_openat, AT_FDCWD, ".", O_RDONLY));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "../file", O_RDONLY));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "x", O_RDWR | O_CREAT, 0600));
    say_descriptor(syscall(SYS_openat, AT_FDCWD, "/proc/self/cwd", O_RDONLY));
    say_result(syscall(SYS_mkdirat, AT_FDCWD, "x", 0700));
}

void magic_cases(void) {
    static const char *const STATUS[] = {
        "/proc/self/status", "/proc/thread-self/status", "/proc/./self/status", "/dev/../proc/self/status",
        "/proc/self/root/proc/self/status", "/proc/self/cwd/../../../../../../proc/self/status",
    };
    for (size_t index = 0; index < sizeof STATUS / sizeof *STATUS; index++) {
        attempt(try_status, STATUS[index], "status of %s", STATUS[index]);
        attempt(try_status_in_thread, STATUS[index], "status in a thread of %s", STATUS[index]);
    }
    attempt(try_status_of_child, NULL, "a parent's entries");
    static const char *const PATHS[] = {
        "/proc/self", "/proc/self/exe", "/proc/self/cwd", "/proc/self/cwd/file", "/proc/self/root/dev/null",
        "/proc/self/ns/net", "/proc/self/fd", "/proc/self/fd/", "/proc/self/task", "/proc/self/absent",
        "/proc/self/fdinfo/0", "/proc/self/fd/x", "/proc/self/fd/-1", "/proc/self/fd/00", "/proc/99999999/status",
        "/proc/self/exe/x", "/proc/self/environ", "/proc/version", "/proc/mounts", "/proc/net/tcp",
        "/proc/self/net/unix", "/proc/self/attr/current", "/proc/self/pagemap", "/dev/tty", "/dev/fd",
        "/dev/stdin/x", "/dev/null", "/dev/zero", "/dev/full", "/dev/ptmx", "/dev/pts",
    };
    for (size_t index = 0; index < sizeof PATHS / sizeof *PATHS; index++)
        attempt(try_path, PATHS[index], "procfs and devices %s", PATHS[index]);
    for (size_t index = 0; index < sizeof DIRECTORIES / sizeof *DIRECTORIES; index++) {
        attempt(try_reopen, DIRECTORIES[index], "opened once more by %s", DIRECTORIES[index]);
        attempt(try_reopen_others, DIRECTORIES[index], "others opened once more by %s", DIRECTORIES[index]);
    }
    attempt(try_relative, "self/cwd/file", "relative to procfs");
    attempt(try_link_to_self, "/proc/self", "a link to /proc/self");
    attempt(try_link_to_self, "/proc/thread-self", "a link to /proc/thread-self");
    attempt(try_stdin, "/dev/stdin", "/dev/stdin");
    attempt(try_stdin, "/proc/self/fd/0", "/proc/self/fd/0");
    attempt(try_write_name, "/proc/self/comm", "the name in /proc/self/comm");
    attempt(try_write_name, "/proc/thread-self/comm", "the name in /proc/thread-self/comm");
    attempt(try_memory, "/proc/self/mem", "/proc/self/mem");
    attempt(try_maps, NULL, "/proc/self/maps");
    attempt(try_deleted_directory, NULL, "in a directory that has been removed");
}
