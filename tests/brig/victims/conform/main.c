// SPDX-License-Identifier: Apache-2.0
// Makes every call that a supervisor may answer for a workload, in every situation that makes a
// difference, and prints what happened:
//
//   conform DIRECTORY [PREFIX]
//
// DIRECTORY is made use of and left as it was; with PREFIX only the cases whose names begin with it
// are run. Two runs print the same. One process with a supervisor and one without should, too.

#include "conform.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

// What a case has said, in memory that it shares with the process that prints.
static struct said {
    size_t length;
    char text[4096];
} *said;

static const char *wanted = "";

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t left = sizeof said->text - said->length;
    int length = vsnprintf(said->text + said->length, left, format, arguments);
    if (length > 0)
        said->length += (size_t)length < left ? (size_t)length : left - 1;
    va_end(arguments);
}

void say_result(long result) {
    if (result < 0)
        say(" %s", strerrorname_np(errno));
    else
        say(" %ld", result);
}

static void say_kind(int fd) {
    struct stat is;
    if (fstat(fd, &is))
        return say_result(-1);
    say(" mode=%o size=%ld", is.st_mode, S_ISDIR(is.st_mode) ? 0L : (long)is.st_size);
    char link[PATH_MAX] = "", name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (!S_ISREG(is.st_mode) || !is.st_nlink || readlink(name, link, sizeof link - 1) <= 0)
        return;
    struct stat network;
    int pid, end = 0;
    // no pid is the same twice, and no namespace
    if (!stat("/proc/self/ns/net", &network) && network.st_dev == is.st_dev && network.st_ino == is.st_ino)
        say(" path=own network");
    else if (sscanf(link, "/proc/%d/%n", &pid, &end) == 1 && end)
        say(" path=/proc/%s/%s", pid == getpid() ? "self" : "another", link + end);
    else
        say(" path=%s", link);
}

void say_descriptor(long result) {
    if (result < 0)
        return say_result(result);
    int fd = (int)result;
    say(" flags=%o cloexec=%d", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
    off_t offset = lseek(fd, 0, SEEK_CUR);
    if (offset > 0)
        say(" offset=%ld", (long)offset);
    say_kind(fd);
    close(fd);
    int lowest = dup(0);
    if (lowest != fd)
        say(" number %d although %d was free", fd, lowest);
    close(lowest);
}

void give_up(const char *what) {
    printf("conform: %s: %s\n", what, strerror(errno));
    exit(1);
}

void require(long result, const char *what) {
    if (result < 0)
        give_up(what);
}

static void run(body *what, const void *argument) {
    umask(022);
    // nothing here may take that long
    alarm(20);
    require(chdir(ground), ground);
    what(argument);
    // without flushing: what is buffered is the parent's
    _exit(0);
}

void attempt(body *what, const void *argument, const char *name, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(text, sizeof text, name, arguments);
    va_end(arguments);
    if (strncmp(text, wanted, strlen(wanted)))
        return;
    said->length = 0;
    said->text[0] = 0;
    pid_t child = fork();
    require(child, "fork");
    if (!child)
        run(what, argument);
    int status;
    require(waitpid(child, &status, 0), "waitpid");
    print_quoted(stdout, text);
    printf(" ->");
    print_quoted(stdout, said->text);
    if (WIFSIGNALED(status))
        printf(" killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    print_changes();
    putchar('\n');
}

int main(int count, char **arguments) {
    if (count == 4 && !strcmp(arguments[2], "after execve"))
        after_execve(arguments[3]);
    // it changes owners, modes and mounts wherever it is: only ever in a container of its own
    if (getpid() != 1) {
        fputs("conform: not the first process of a container\n", stderr);
        return 2;
    }
    if (count < 2 || !realpath(arguments[1], top))
        return 2;
    wanted = count > 2 ? arguments[2] : "";
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED)
        give_up("mmap");
    static char output[1 << 16];
    setvbuf(stdout, output, _IOFBF, sizeof output);
    umask(022);
    require(close_range(3, ~0U, 0), "close_range");
    build_ground();
    paths_cases();
    opens_cases();
    creating_cases();
    pairs_cases();
    elsewhere_cases();
    attributes_cases();
    values_cases();
    noticed_cases();
    short_cases();
    nested_cases();
    descriptors_cases();
    identities_cases();
    magic_cases();
    tasks_cases();
    interrupted_cases();
    internet_cases();
    datagrams_cases();
    local_cases();
    puts("end");
    return 0;
}
