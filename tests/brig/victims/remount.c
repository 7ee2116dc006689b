// SPDX-License-Identifier: Apache-2.0
// Tries in every way to change the mode of a file on a read-only mount:
//
//   remount FILE

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467
#endif
#define BIND_REMOUNT (32 | 4096) /* MS_REMOUNT | MS_BIND */

static const char *file;

static void told(const char *way, int at) {
    const char *path = at == AT_FDCWD ? file : file + 1;
    printf("%s: %s\n", way, fchmodat(at, path, 0600, 0) ? "denied" : "changed");
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    file = arguments[1];
    struct mount_attr writable = {.attr_clr = MOUNT_ATTR_RDONLY};
    told("as it is", AT_FDCWD);

    int tree = syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &writable, sizeof writable);
    syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &writable, sizeof writable);
    told("mount_setattr", AT_FDCWD);
    told("mount_setattr of a clone", tree);

    tree = syscall(SYS_open_tree_attr, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, &writable,
                   sizeof writable);
    told("open_tree_attr", tree);

    syscall(SYS_mount, "none", "/", NULL, BIND_REMOUNT, NULL);
    told("mount", AT_FDCWD);
    return 0;
}
