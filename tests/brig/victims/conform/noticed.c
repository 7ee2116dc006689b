// SPDX-License-Identifier: Apache-2.0
// What others notice of a call: who watches a file, who waits until it is closed.

#include "conform.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>

struct watched {
    const char *name;
    void (*act)(void);
};

// What is open stays so: that it is closed is noticed, too.
static void keep(long fd) {
    say(fd < 0 ? " no" : " yes");
}
static void act_read(void) { keep(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY)); }
static void act_write(void) { keep(syscall(SYS_openat, AT_FDCWD, "file", O_WRONLY)); }
static void act_truncate(void) { keep(syscall(SYS_openat, AT_FDCWD, "file", O_WRONLY | O_TRUNC)); }
static void act_create(void) { keep(syscall(SYS_openat, AT_FDCWD, "made", O_WRONLY | O_CREAT, 0600)); }
static void act_create_there(void) { keep(syscall(SYS_openat, AT_FDCWD, "file", O_WRONLY | O_CREAT, 0600)); }
static void act_create_link(void) { keep(syscall(SYS_openat, AT_FDCWD, "dangling", O_WRONLY | O_CREAT, 0600)); }
static void act_temporary(void) { keep(syscall(SYS_openat, AT_FDCWD, ".", O_WRONLY | O_TMPFILE, 0600)); }
static void act_directory(void) { keep(syscall(SYS_openat, AT_FDCWD, "dir", O_RDONLY)); }
static void act_link(void) { keep(syscall(SYS_openat, AT_FDCWD, "link", O_RDONLY)); }
static void act_refused(void) { keep(syscall(SYS_openat, AT_FDCWD, "file", O_RDONLY | O_DIRECTORY)); }
static void act_cut(void) { say_result(syscall(SYS_truncate, "file", 2)); }
static void act_cut_same(void) { say_result(syscall(SYS_truncate, "file", 4)); }
static void act_mode(void) { say_result(syscall(SYS_fchmodat, AT_FDCWD, "file", 0600)); }
static void act_owner(void) { say_result(syscall(SYS_fchownat, AT_FDCWD, "file", USER, GROUP, 0)); }
static void act_times(void) { say_result(syscall(SYS_utimensat, AT_FDCWD, "file", NULL, 0)); }
static void act_attribute(void) { say_result(syscall(SYS_setxattr, "file", "user.test", "v", 1, 0)); }
static void act_rename(void) { say_result(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 0)); }
static void act_exchange(void) { say_result(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "other", 2)); }
static void act_hard(void) { say_result(syscall(SYS_linkat, AT_FDCWD, "file", AT_FDCWD, "made", 0)); }
static void act_unlink(void) { say_result(syscall(SYS_unlinkat, AT_FDCWD, "file", 0)); }
static void act_mkdir(void) { say_result(syscall(SYS_mkdirat, AT_FDCWD, "made", 0700)); }
static void act_rmdir(void) { say_result(syscall(SYS_unlinkat, AT_FDCWD, "hollow", AT_REMOVEDIR)); }
static void act_fifo(void) { keep(syscall(SYS_openat, AT_FDCWD, "fifo", O_RDONLY | O_NONBLOCK)); }

static const struct watched WATCHED[] = {
    {"reading", act_read}, {"writing", act_write}, {"O_TRUNC", act_truncate}, {"O_CREAT", act_create},
    {"O_CREAT of what is there", act_create_there}, {"O_CREAT by a link", act_create_link},
    {"O_TMPFILE", act_temporary}, {"a directory", act_directory}, {"a link", act_link}, {"O_DIRECTORY of a file", act_refused},
    {"truncate", act_cut}, {"truncate to its size", act_cut_same}, {"chmod", act_mode}, {"chown", act_owner},
    {"utimes", act_times}, {"setxattr", act_attribute}, {"rename", act_rename}, {"exchange", act_exchange},
    {"link", act_hard}, {"unlink", act_unlink}, {"mkdir", act_mkdir}, {"rmdir", act_rmdir}, {"a fifo", act_fifo},
};

static void say_events(int watcher) {
    char buffer[8192] __attribute__((aligned(8)));
    ssize_t length;
    while ((length = read(watcher, buffer, sizeof buffer)) > 0)
        for (char *at = buffer; at < buffer + length;) {
            struct inotify_event *event = (struct inotify_event *)at;
            // a file without a name is called by its number
            const char *name = event->len && event->name[0] != '#' ? event->name : "";
            say(" %d:%x:%s", event->wd, event->mask, name);
            at += sizeof *event + event->len;
        }
}

static void try_watched(const void *argument) {
    const struct watched *watched = argument;
    // when this program's own reading is over may show late
    const unsigned events = IN_ALL_EVENTS & ~IN_CLOSE_NOWRITE;
    int watcher = inotify_init1(IN_NONBLOCK);
    require(inotify_add_watch(watcher, ".", events), "inotify_add_watch");
    require(inotify_add_watch(watcher, "file", events), "inotify_add_watch");
    watched->act();
    say_events(watcher);
}

struct closed {
    const char *name, *path;
    int flags;
};

// What has been closed is neither in the way of a lease nor locked any more.
static void try_closed(const void *argument) {
    const struct closed *closed = argument;
    int reader = open("file", O_RDONLY), writing = 0, locked = 0;
    for (int turn = 0; turn < 2000; turn++) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, closed->path, closed->flags, 0600);
        require(fd, closed->path);
        require(flock(fd, LOCK_EX), "flock");
        close(fd);
        writing += fcntl(reader, F_SETLEASE, F_RDLCK) < 0;
        fcntl(reader, F_SETLEASE, F_UNLCK);
        locked += flock(reader, LOCK_EX | LOCK_NB) < 0;
        flock(reader, LOCK_UN);
    }
    say(" writing %s locked %s", writing ? "yes" : "no", locked ? "yes" : "no");
}

void noticed_cases(void) {
    static const struct closed CLOSED[] = {
        {"for writing", "file", O_WRONLY},
        {"with O_CREAT", "file", O_RDONLY | O_CREAT},
        {"with O_TRUNC", "file", O_WRONLY | O_TRUNC},
        {"by a link", "link", O_RDWR},
    };
    for (size_t index = 0; index < sizeof WATCHED / sizeof *WATCHED; index++)
        attempt(try_watched, &WATCHED[index], "noticed of %s", WATCHED[index].name);
    for (size_t index = 0; index < sizeof CLOSED / sizeof *CLOSED; index++)
        attempt(try_closed, &CLOSED[index], "closed at once when opened %s", CLOSED[index].name);
}
