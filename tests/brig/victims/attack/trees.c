// SPDX-License-Identifier: Apache-2.0
// Mounts of the attacker's own, as the root of a user namespace can make them: a file has another name
// in them than in the container, and rules are about that one.

#include "attack.h"
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

// newer than the headers of some C libraries
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static void read_by(const char *way, int at, const char *path) {
    if (is_secret((int)syscall(SYS_openat, at, path, O_RDONLY | O_CLOEXEC)))
        won(way);
}

static void become_root(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        give_up("unshare");
}

// A copy of the tree beneath a path, which is mounted nowhere.
static int tree_of(const char *path, unsigned flags) {
    return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

static int overlay_of(const char *path) {
    int context = (int)syscall(SYS_fsopen, "overlay", 1);
    // of two, since it is not written
    syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "lowerdir", path, 0);
    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    return (int)syscall(SYS_fsmount, context, 1, 0);
}

static void change_in(int tree) {
    if (syscall(SYS_openat, tree, "vault.denied/victim", O_WRONLY | O_CLOEXEC) >= 0)
        won("opened for writing");
    if (!syscall(SYS_fchmodat, tree, "vault.denied/victim", 0777))
        won("its mode");
    if (syscall(SYS_openat, tree, "new.denied", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0)
        won("made");
    if (!syscall(SYS_linkat, tree, "vault.denied/target", tree, "linked", 0))
        won("linked");
    if (!syscall(SYS_unlinkat, tree, "vault.denied/victim", 0))
        won("removed");
}

// What a process makes that has all descriptors in common with this one, which has no other mounts.
static void use_anothers(void) {
    int own = open("/dev/null", O_RDONLY | O_CLOEXEC);
    require(own, "/dev/null");
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    require(child, "clone");
    if (!child) {
        become_root();
        int tree = tree_of(".", 0);
        _exit(tree < 0 || dup2(tree, own) < 0);
    }
    waitpid(child, NULL, 0);
    read_by("another's tree", own, "secret.denied");
}

static void trees(void) {
    char by[64];
    use_anothers();
    become_root();
    int tree = tree_of(".", 0), file = tree_of("secret.denied", 0);
    read_by("a tree", tree, "secret.denied");
    read_by("a tree with all in it", tree_of("/", AT_RECURSIVE), "work/secret.denied");
    read_by("a directory of it", openat(tree, "vault.denied", O_PATH | O_CLOEXEC), "target");
    read_by("an overlay", overlay_of("/work:/elsewhere"), "secret.denied");
    snprintf(by, sizeof by, "/proc/self/fd/%d", file);
    read_by("a file", AT_FDCWD, by);
    change_in(tree);
    if (!mount("vault.denied", "way", NULL, MS_BIND, NULL))
        read_by("a mount", AT_FDCWD, "way/target");
    if (fchdir(tree))
        return;
    read_by("the working directory", AT_FDCWD, "secret.denied");
    if (!chroot("."))
        read_by("the root directory", AT_FDCWD, "/secret.denied");
}

static void connect_by(const char *way, const char *path, const struct server *denied) {
    struct address to = local(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connect(fd, &to.any, to.length);
    if (has_come(denied))
        won(way);
    close(fd);
}

// "jail/work/open/server" in a tree that begins at "jail" is called as a server that may be reached.
static void connect_in_trees(void) {
    struct server denied = serve(local("jail/work/open/server"), SOCK_STREAM);
    become_root();
    int work = open(".", O_PATH | O_CLOEXEC), tree = tree_of("jail", 0);
    if (!fchdir(tree))
        connect_by("a tree", "work/open/server", &denied);
    if (!fchdir(tree) && !chroot("."))
        connect_by("the root directory", "/work/open/server", &denied);
    require(fchdir(work), "fchdir");
    if (!mount("jail/work/open", "open", NULL, MS_BIND, NULL) && !chdir("open"))
        connect_by("a mount", "server", &denied);
}

const struct attack TREE_ATTACKS[] = {
    {"NT-08-tree", trees},
    {"NT-08-connect-tree", connect_in_trees},
    {"NT-08-connect-mount", connect_in_trees},
    {NULL, NULL},
};
