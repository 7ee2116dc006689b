// SPDX-License-Identifier: Apache-2.0
// Asks its supervisor for more than is polite, and prints what came of it.
//
//   storm THREADS ROUNDS    all open and connect at once: how many were answered as they must be
//   latency ROUNDS          the median and the longest time of an open, in microseconds
//   blocked KIND COUNT      COUNT threads wait by KIND (fifo, connect, stream, datagram, array);
//                           how long the longest open takes while they come and when they are there,
//                           and how many do not wait; then they wait until /work/go is there
//   killed ROUNDS SECONDS   children that are killed in the middle of a call: how many
//   full                    what a call gets where the caller has no descriptor left
//   signals ROUNDS          two threads wait and their process gets a signal: how many calls it
//                           interrupted, and how many ended with anything else than EINTR
//   starved COUNT           COUNT threads open FIFOs that nobody writes to, while the supervisor has few
//                           descriptors: how many opens gave what is denied, how many failed for
//                           another reason than that or EMFILE, how many succeeded, and how many FIFOs
//                           could not be opened; then they wait until /work/go is there
//   queued COUNT            COUNT threads open a FIFO that nobody writes to: "calling" once all do, and
//                           how many have been answered once all have
//   alike ROUNDS            opens, one after the other, by as many children: each must succeed

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE (200 << 10)

static char large[LARGE];

static void fail(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static socklen_t path_address(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static int local(int type) {
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    return fd;
}

static void begin(pthread_t *thread, void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    if ((errno = pthread_create(thread, &attributes, run, argument))) fail("pthread_create");
}

// An open that the supervisor answers; -1 where it fails.
static int64_t timed_open(void) {
    int64_t begun = now();
    int fd = open("/work/a.txt", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int64_t took = now() - begun;
    close(fd);
    return took;
}

static int ascending(const void *one, const void *other) {
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static void latency(int rounds) {
    int64_t *times = calloc(rounds, sizeof *times);
    for (int round = 0; round < rounds; round++)
        if ((times[round] = timed_open()) < 0) fail("open");
    qsort(times, rounds, sizeof *times, ascending);
    printf("%lld %lld\n", (long long)times[rounds / 2], (long long)times[rounds - 1]);
}

static pthread_barrier_t start;
static atomic_int opened, refused;

static void *storm_one(void *rounds) {
    struct sockaddr_un nobody;
    socklen_t length = path_address(&nobody, "/srv/nobody.sock");
    pthread_barrier_wait(&start);
    for (intptr_t round = 0; round < (intptr_t)rounds; round++) {
        opened += timed_open() >= 0;
        int fd = local(SOCK_STREAM);
        refused += connect(fd, (struct sockaddr *)&nobody, length) < 0 && errno == ENOENT;
        close(fd);
    }
    return NULL;
}

static void storm(int threads, intptr_t rounds) {
    pthread_t *all = calloc(threads, sizeof *all);
    pthread_barrier_init(&start, NULL, threads);
    for (int one = 0; one < threads; one++) begin(&all[one], storm_one, (void *)rounds);
    for (int one = 0; one < threads; one++) pthread_join(all[one], NULL);
    printf("%d %d\n", opened, refused);
}

static struct sockaddr_un full_address;
static socklen_t full_length;
static atomic_int failed;

static void *block_fifo(void *number) {
    char path[64];
    snprintf(path, sizeof path, "/work/fifo%ld", (long)(intptr_t)number);
    if (open(path, O_RDONLY | O_CLOEXEC) < 0) failed++;
    return NULL;
}

static void *block_connect(void *number) {
    (void)number;
    int fd = local(SOCK_STREAM);
    if (connect(fd, (struct sockaddr *)&full_address, full_length) < 0) failed++;
    return NULL;
}

static void block_send(int fd, size_t size) {
    struct iovec data = {large, size};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    while (sendmsg(fd, &message, 0) >= 0) {}
    failed++;
}

static void *block_stream(void *number) {
    (void)number;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) fail("socketpair");
    block_send(pair[0], sizeof large);
    return NULL;
}

static void *block_datagram(void *number) {
    (void)number;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0) fail("socketpair");
    int room = 1 << 20;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    block_send(pair[0], 180 << 10);
    return NULL;
}

static struct mmsghdr messages[1024];

static void prepare_array(void) {
    static struct iovec data = {large, 1};
    for (int one = 0; one < 1024; one++)
        messages[one].msg_hdr = (struct msghdr){.msg_iov = &data, .msg_iovlen = 1};
}

static void *block_array(void *number) {
    (void)number;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) fail("socketpair");
    while (sendmmsg(pair[0], messages, 1024, 0) >= 0) {}
    failed++;
    return NULL;
}

static void make_fifos(int count) {
    for (int one = 0; one < count; one++) {
        char path[64];
        snprintf(path, sizeof path, "/work/fifo%d", one);
        if (mkfifo(path, 0600) < 0 && errno != EEXIST) fail("mkfifo");
    }
}

static void fill_backlog(void) {
    full_length = path_address(&full_address, "/srv/full.sock");
    int listener = local(SOCK_STREAM);
    unlink("/srv/full.sock");
    if (bind(listener, (struct sockaddr *)&full_address, full_length) < 0) fail("bind");
    if (listen(listener, 0) < 0) fail("listen");
    // those that waited before may still be going
    while (connect(local(SOCK_STREAM), (struct sockaddr *)&full_address, full_length) < 0)
        if (errno != EAGAIN)
            fail("connect");
}

static int64_t longest_open(int milliseconds) {
    int64_t longest = 0, until = now() + milliseconds * 1000LL;
    while (now() < until) {
        int64_t took = timed_open();
        if (took < 0) fail("open");
        if (took > longest) longest = took;
        usleep(5000);
    }
    return longest;
}

static void wait_until_told(void) {
    while (access("/work/go", F_OK) < 0) usleep(10000);
    if (timed_open() < 0) fail("open");
    puts("done");
    fflush(stdout);
    _exit(0);
}

static void blocked(const char *kind, int count) {
    void *(*run)(void *) = block_fifo;
    if (!strcmp(kind, "fifo")) make_fifos(count);
    if (!strcmp(kind, "connect")) fill_backlog(), run = block_connect;
    if (!strcmp(kind, "stream")) run = block_stream;
    if (!strcmp(kind, "datagram")) run = block_datagram;
    if (!strcmp(kind, "array")) prepare_array(), run = block_array;
    pthread_t thread;
    for (intptr_t one = 0; one < count; one++) begin(&thread, run, (void *)one);
    int64_t coming = longest_open(2000), there = longest_open(2000);
    printf("%lld %lld %d\n", (long long)coming, (long long)there, failed);
    fflush(stdout);
    wait_until_told();
}

static void one_call(unsigned kind) {
    struct sockaddr_un address;
    socklen_t length = path_address(&address, "/srv/full.sock");
    int fd;
    switch (kind % 7) {
    case 0: open("/work/a.txt", O_RDONLY); break;
    case 1: open("/work/new.txt", O_CREAT | O_WRONLY, 0600); break;
    case 2: open("/work/fifo0", O_RDONLY); break;
    case 3: connect(local(SOCK_STREAM), (struct sockaddr *)&address, length); break;
    case 4:
        length = path_address(&address, "/srv/bound.sock");
        bind(local(SOCK_STREAM), (struct sockaddr *)&address, length);
        break;
    case 5: block_stream(NULL); break;
    case 6:
        fd = local(SOCK_DGRAM);
        sendto(fd, large, 100, 0, (struct sockaddr *)&address, length);
        break;
    }
}

static int wait_for(pid_t child) {
    int status;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    return status;
}

static int one_call_and_end(void *kind) {
    one_call((unsigned)(uintptr_t)kind);
    return 0;
}

// Children share the memory of their parent, which makes them cheap, and nothing else.
static pid_t child_that_calls(unsigned kind) {
    static char stack[64 << 10] __attribute__((aligned(16)));
    pid_t child = clone(one_call_and_end, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)(uintptr_t)kind);
    if (child < 0) fail("clone");
    return child;
}

static void killed(int rounds, int seconds) {
    fill_backlog();
    make_fifos(1);
    int64_t until = now() + seconds * 1000000LL;
    int round = 0;
    for (; round < rounds && now() < until; round++) {
        pid_t child = child_that_calls(round);
        // every delay up to what a call takes, one after the other
        for (int64_t end = now() + round / 7 % 400; now() < end;) {}
        kill(child, SIGKILL);
        wait_for(child);
        unlink("/srv/bound.sock");
    }
    printf("%d\n", round);
}

static void starved(int count) {
    int given = 0, strange = 0, opened = 0;
    make_fifos(count);
    pthread_t thread;
    for (intptr_t one = 0; one < count; one++) begin(&thread, block_fifo, (void *)one);
    usleep(1000000);
    for (int round = 0; round < 2000; round++) {
        int secret = open("/work/a.key", O_RDONLY | O_CLOEXEC);
        given += secret >= 0;
        strange += secret < 0 && errno != EACCES && errno != ENFILE;
        int fd = open("/work/a.txt", O_RDONLY | O_CLOEXEC);
        opened += fd >= 0;
        strange += fd < 0 && errno != ENFILE;
        close(fd);
    }
    printf("%d %d %d %d\n", given, strange, opened, failed);
    fflush(stdout);
    wait_until_told();
}

enum { THREADS = 8192, STACK = 16 << 10 };

static struct {
    atomic_int calling, answered;
} *queue;

static void *queue_one(void *unused) {
    queue->calling++;
    close(open("/work/fifo0", O_RDONLY | O_CLOEXEC));
    queue->answered++;
    return unused;
}

static void queue_some(int count) {
    pthread_t *threads = calloc(count, sizeof *threads);
    char *stacks = mmap(NULL, (size_t)count * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) fail("mmap");
    for (int one = 0; one < count; one++) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stacks + (size_t)one * STACK, STACK);
        if ((errno = pthread_create(&threads[one], &attributes, queue_one, NULL))) fail("pthread_create");
    }
    for (int one = 0; one < count; one++) pthread_join(threads[one], NULL);
    _exit(0);
}

static void queued(int count) {
    make_fifos(1);
    queue = mmap(NULL, sizeof *queue, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (queue == MAP_FAILED) fail("mmap");
    // one process has not that many
    for (int left = count; left > 0; left -= THREADS) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) queue_some(left < THREADS ? left : THREADS);
    }
    while (queue->calling < count)
        if (waitpid(-1, NULL, WNOHANG) > 0) fail("a process ended");
        else usleep(10000);
    puts("calling");
    fflush(stdout);
    while (wait(NULL) > 0) {}
    printf("%d\n", queue->answered);
}

static void alike(int rounds) {
    int answered = 0;
    for (int round = 0; round < rounds; round++) {
        pid_t child = fork();
        if (child < 0) fail("fork");
        if (child == 0) _exit(timed_open() < 0);
        answered += wait_for(child) == 0;
    }
    printf("%d\n", answered);
}

static void nothing(int signal) { (void)signal; }

static atomic_int interrupted, strange, ended;

static void *interruptible(void *number) {
    char path[64];
    snprintf(path, sizeof path, "/work/fifo%ld", (long)(intptr_t)number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) *(errno == EINTR ? &interrupted : &strange) += 1;
    else close(fd);
    ended++;
    return NULL;
}

static void signals(int rounds) {
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, NULL);
    make_fifos(2);
    for (int round = 0; round < rounds; round++) {
        pthread_t threads[2];
        sigset_t mask;
        sigemptyset(&mask), sigaddset(&mask, SIGUSR1);
        pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
        ended = 0;
        for (intptr_t one = 0; one < 2; one++) begin(&threads[one], interruptible, (void *)one);
        pthread_sigmask(SIG_BLOCK, &mask, NULL);
        usleep(60000);
        kill(getpid(), SIGUSR1);
        usleep(150000);
        // whoever still waits gets what it waits for
        while (ended < 2) {
            close(open("/work/fifo0", O_WRONLY | O_NONBLOCK));
            close(open("/work/fifo1", O_WRONLY | O_NONBLOCK));
        }
        for (int one = 0; one < 2; one++) pthread_join(threads[one], NULL);
    }
    printf("%d %d\n", interrupted, strange);
}

static void full(void) {
    struct rlimit limit = {64, 64};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail("setrlimit");
    int fd = local(SOCK_STREAM);
    while (dup(fd) >= 0) {}
    int emfile = 0;
    emfile += open("/work/a.txt", O_RDONLY) < 0 && errno == EMFILE;
    emfile += open("/work/fresh.txt", O_CREAT | O_RDWR, 0600) < 0 && errno == EMFILE;
    emfile += open("/work", O_RDONLY | O_DIRECTORY) < 0 && errno == EMFILE;
    int denied = open("/work/a.key", O_RDONLY) < 0 && errno == EACCES;
    struct sockaddr_un nobody;
    socklen_t length = path_address(&nobody, "/srv/nobody.sock");
    int answered = connect(fd, (struct sockaddr *)&nobody, length) < 0 && errno == ENOENT;
    close(fd);
    printf("%d %d %d %d\n", emfile, denied, answered, open("/work/a.txt", O_RDONLY) == fd);
}

int main(int count, char **arguments) {
    (void)count;
    const char *what = arguments[1];
    if (!strcmp(what, "storm")) storm(atoi(arguments[2]), atoi(arguments[3]));
    if (!strcmp(what, "latency")) latency(atoi(arguments[2]));
    if (!strcmp(what, "blocked")) blocked(arguments[2], atoi(arguments[3]));
    if (!strcmp(what, "killed")) killed(atoi(arguments[2]), atoi(arguments[3]));
    if (!strcmp(what, "starved")) starved(atoi(arguments[2]));
    if (!strcmp(what, "queued")) queued(atoi(arguments[2]));
    if (!strcmp(what, "alike")) alike(atoi(arguments[2]));
    if (!strcmp(what, "full")) full();
    if (!strcmp(what, "signals")) signals(atoi(arguments[2]));
    return 0;
}
