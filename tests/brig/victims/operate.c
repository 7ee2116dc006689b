// SPDX-License-Identifier: Apache-2.0
// Does what its standard input says, one operation to a line, and prints what the kernel answered:
//
//   read|list|modify|create|delete|ioctl|device|execute PATH
//   connect|bind tcp4|tcp6 PORT
//   syscall NUMBER [ARGUMENT...]
//
// The answer is the error's number, 0 for success, or the names of two answers that differ where an
// operation is several calls ("modify": writing and chmod).

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static int opened(const char *path, int flags) {
    int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int list(const char *path) {
    DIR *directory = opendir(path);
    if (!directory)
        return errno;
    errno = 0;
    readdir(directory);
    int error = errno;
    closedir(directory);
    return error;
}

// Denied in one way and not in the other would be a hole: then both are told.
static int modify(const char *path, int *second) {
    struct stat is;
    if (stat(path, &is))
        return errno;
    int error = S_ISDIR(is.st_mode) ? -1 : opened(path, O_WRONLY);
    int changed = chmod(path, is.st_mode & 07777) ? errno : 0;
    if (!changed && utimensat(AT_FDCWD, path, NULL, 0))
        changed = errno;
    if (!error && truncate(path, is.st_size))
        error = errno;
    *second = changed;
    return error < 0 ? changed : error;
}

static int make_device(const char *path) {
    return mknod(path, S_IFCHR | 0600, makedev(1, 3)) ? errno : 0;
}

static int control(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    // BLKSSZGET: nothing that a character device knows
    int error = ioctl(fd, 0x1268, 0) ? errno : 0;
    close(fd);
    return error == EACCES ? EACCES : 0;
}

static int execute(const char *path) {
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (!child) {
        execl(path, path, (char *)NULL);
        _exit(errno);
    }
    int status;
    if (waitpid(child, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int network(const char *action, const char *family, int port) {
    int six = !strcmp(family, "tcp6");
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    struct sockaddr *address = six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t length = six ? sizeof v6 : sizeof v4;
    int result = !strcmp(action, "bind") ? bind(fd, address, length) : connect(fd, address, length);
    int error = result ? errno : 0;
    close(fd);
    return error;
}

static int call(char *arguments) {
    long values[7] = {0};
    char *word = strtok(arguments, " ");
    for (int index = 0; word && index < 7; index++, word = strtok(NULL, " "))
        values[index] = strtoul(word, NULL, 0);
    long result = syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]);
    return result < 0 ? errno : 0;
}

int main(void) {
    char line[8192];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *rest = strchr(line, ' ');
        if (!rest)
            continue;
        *rest++ = 0;
        int answer, second = -1;
        if (!strcmp(line, "read"))
            answer = opened(rest, O_RDONLY);
        else if (!strcmp(line, "list"))
            answer = list(rest);
        else if (!strcmp(line, "modify"))
            answer = modify(rest, &second);
        else if (!strcmp(line, "create"))
            answer = opened(rest, O_WRONLY | O_CREAT | O_EXCL);
        else if (!strcmp(line, "delete"))
            answer = unlink(rest) && (errno != EISDIR || rmdir(rest)) ? errno : 0;
        else if (!strcmp(line, "ioctl"))
            answer = control(rest);
        else if (!strcmp(line, "device"))
            answer = make_device(rest);
        else if (!strcmp(line, "execute"))
            answer = execute(rest);
        else if (!strcmp(line, "syscall"))
            answer = call(rest);
        else {
            char *port = strrchr(rest, ' ');
            if (!port)
                return 2;
            *port++ = 0;
            answer = network(line, rest, atoi(port));
        }
        if (second >= 0 && !second != !answer)
            printf("%d and %d\n", answer, second);
        else
            printf("%d\n", answer);
    }
    return 0;
}
