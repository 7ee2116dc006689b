// SPDX-License-Identifier: Apache-2.0
// Makes calls about memory that the server of fuse.c has to deliver, at /fuse.
//
//   opens FIRST COUNT   COUNT threads open the paths in that many pages from FIRST on
//   writes              sendmmsg(2), whose counts go into a page that is being written back
//   killed PAGE         a process that opens the path in a page is killed: the microseconds until it
//                       is gone
//   device CALL END     starts the server itself and connects its device to an address in a page, or
//                       sends it with data from a page (connect, sendmsg); prints the error's number,
//                       and stays; or else (killed) kills the server and prints "over" when nobody waits
//                       for it any more
//
// The first two print how many calls got EFAULT, how long the shortest and the longest took, and how
// many opens in /work another process made meanwhile and how long the longest took, in microseconds.
// Then they wait until all is over.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define ALL (1024 * PAGE)

// What the callers tell the process beside them.
struct told {
    atomic_int faults, ended;
    atomic_long shortest, longest;
};

static struct told *told;
static char *memory;

static void fail(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static void map(const char *path, size_t length, int protection) {
    int fd = open(path, (protection & PROT_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        fail(path);
    memory = mmap(NULL, length, protection, MAP_SHARED, fd, 0);
    // each page by itself
    if (memory == MAP_FAILED || madvise(memory, length, MADV_RANDOM))
        fail("mmap");
    close(fd);
}

static void await_held(void) {
    struct stat held;
    do {
        usleep(1000);
        if (stat("/fuse/held", &held))
            fail("/fuse/held");
    } while (held.st_size == 0);
}

static void tell(int64_t begun, int result) {
    long took = now() - begun;
    told->faults += result < 0 && errno == EFAULT;
    for (long known = told->longest; took > known;)
        if (atomic_compare_exchange_weak(&told->longest, &known, took))
            break;
    for (long known = told->shortest; took < known;)
        if (atomic_compare_exchange_weak(&told->shortest, &known, took))
            break;
    told->ended++;
}

static void *open_one(void *page) {
    int64_t begun = now();
    tell(begun, openat(AT_FDCWD, memory + (intptr_t)page * PAGE, O_RDONLY | O_CLOEXEC));
    return NULL;
}

static void open_all(intptr_t first, int count) {
    pthread_t threads[512];
    map("/fuse/pages", ALL, PROT_READ);
    for (int one = 0; one < count; one++)
        if (pthread_create(&threads[one], NULL, open_one, (void *)(first + one)))
            fail("pthread_create");
    for (int one = 0; one < count; one++)
        pthread_join(threads[one], NULL);
}

static void *write_back(void *nothing) {
    msync(memory, PAGE, MS_SYNC);
    return nothing;
}

// The page can be read, but whoever writes to it waits until it has been written back.
static void send_one(void) {
    int pair[2];
    pthread_t thread;
    struct iovec data = {"x", 1};
    map("/fuse/array", PAGE, PROT_READ | PROT_WRITE);
    struct mmsghdr *array = (struct mmsghdr *)memory;
    array->msg_hdr = (struct msghdr){.msg_iov = &data, .msg_iovlen = 1};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        fail("socketpair");
    if (pthread_create(&thread, NULL, write_back, NULL))
        fail("pthread_create");
    await_held();
    int64_t begun = now();
    tell(begun, sendmmsg(pair[0], array, 1, 0));
    pthread_join(thread, NULL);
}

// Opens in /work until as many calls as this have ended, and prints.
static void watch(int count) {
    long opens = 0, longest = 0;
    while (told->ended < count) {
        int64_t begun = now();
        int fd = open("/work/a.txt", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fail("open");
        long took = now() - begun;
        close(fd);
        longest = took > longest ? took : longest;
        opens++;
        usleep(1000);
    }
    printf("%d %ld %ld %ld %ld\n", told->faults, told->shortest, told->longest, opens, longest);
    fflush(stdout);
}

static pid_t forked(void) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    return child;
}

static void wait_for(pid_t child) {
    if (waitpid(child, NULL, 0) != child)
        fail("waitpid");
}

static void killed(intptr_t page) {
    pid_t child = forked();
    if (child == 0) {
        open_all(page, 1);
        _exit(0);
    }
    await_held();
    int64_t begun = now();
    kill(child, SIGKILL);
    wait_for(child);
    printf("%ld\n", (long)(now() - begun));
}

static int send_device(int device) {
    int pair[2];
    char space[CMSG_SPACE(sizeof device)] = {0};
    struct iovec data = {memory, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space,
                             .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof device);
    memcpy(CMSG_DATA(header), &device, sizeof device);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
        fail("socketpair");
    return sendmsg(pair[0], &message, 0);
}

// With the last descriptor of its device a server's mount ends, and whoever waits for an answer of it is
// told; if somebody holds one, that is never.
static void await_end(pid_t server, int device) {
    struct stat held;
    close(device);
    kill(server, SIGKILL);
    wait_for(server);
    while (!stat("/fuse/held", &held) || errno != ENOTCONN)
        usleep(1000);
    puts("over");
}

// The server's own device is what the call is about: whoever holds it keeps the server's mount alive.
static void call_about_device(const char *call, const char *end) {
    pid_t server = forked();
    if (server == 0) {
        execl("/server", "/server", "/fuse", NULL);
        _exit(1);
    }
    while (access("/fuse/held", F_OK))
        usleep(1000);
    int process = syscall(SYS_pidfd_open, server, 0), device = -1;
    char path[64], target[64] = "";
    for (int number = 3; strcmp(target, "/dev/fuse") && number < 16; number++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", server, number);
        memset(target, 0, sizeof target);
        if (readlink(path, target, sizeof target - 1) > 0 && !strcmp(target, "/dev/fuse"))
            device = syscall(SYS_pidfd_getfd, process, number, 0);
    }
    if (device < 0)
        fail("pidfd_getfd");
    map("/fuse/pages", ALL, PROT_READ);
    int result = strcmp(call, "connect") ? send_device(device)
                                         : connect(device, (struct sockaddr *)memory, sizeof(struct sockaddr));
    printf("%d\n", result < 0 ? errno : 0);
    fflush(stdout);
    if (!strcmp(end, "killed"))
        await_end(server, device);
    else
        pause();
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    if (!strcmp(what, "killed")) {
        killed(atoi(arguments[2]));
        return 0;
    }
    if (!strcmp(what, "device")) {
        call_about_device(arguments[2], arguments[3]);
        return 0;
    }
    int opens = !strcmp(what, "opens");
    int callers = opens ? atoi(arguments[3]) : 1;
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        fail("mmap");
    told->shortest = INT32_MAX;
    // in a process of its own: memory that is waited for keeps its process from mapping any
    pid_t child = forked();
    if (child == 0) {
        if (opens)
            open_all(atoi(arguments[2]), callers);
        else
            send_one();
        _exit(0);
    }
    watch(callers);
    wait_for(child);
    return 0;
}
