// SPDX-License-Identifier: Apache-2.0
// What is attacked, and what may be reached. Made beforehand, by somebody who may.

#include "attack.h"
#include <sys/xattr.h>

#define SECRET "SECRET"

static void file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    require(fd, path);
    require(write(fd, text, strlen(text)), path);
    close(fd);
    setxattr(path, "user.had", "1", 1, 0);
}

static void directory(const char *path) {
    require(mkdir(path, 0755), path);
}

void plant(void) {
    directory("work"), directory("elsewhere");
    require(chdir("work"), "work");
    file("fine", "fine");
    file("spare", "fine");
    file("secret.denied", SECRET);
    file("control\n\x1b[2J\".denied", SECRET);
    directory("way"), file("way/target", "fine"), file("way/victim", "fine");
    directory("vault.denied"), file("vault.denied/target", SECRET), file("vault.denied/victim", SECRET);
    directory("parent"), file("parent/x.denied", SECRET), directory("parent/below"), file("parent/below/y.denied", SECRET);
    directory("another"), file("another/x.denied", SECRET);
    require(symlink("fine", "to-fine"), "to-fine");
    require(symlink("secret.denied", "to-secret"), "to-secret");
    require(symlink("vault.denied", "to-vault"), "to-vault");
    require(symlink("way", "to-way"), "to-way");
    directory("unread.box"), file("unread.box/secret", SECRET);
    directory("jail"), directory("jail/private"), directory("jail/work"), directory("jail/work/open");
    directory("open"), directory("private");
    require(symlink("open", "to-open"), "to-open");
    require(symlink("private", "to-private"), "to-private");
    require(symlink("/private", "jail/to-private"), "jail/to-private");
}

int is_secret(int fd) {
    char text[16] = "";
    if (fd < 0)
        return 0;
    ssize_t count = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    return count > 0 && !strncmp(text, SECRET, strlen(SECRET));
}

int holds_secret(const char *path) {
    return is_secret((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
}

struct stat status_of(const char *path) {
    struct stat is = {0};
    require(fstatat(AT_FDCWD, path, &is, 0), path);
    return is;
}
