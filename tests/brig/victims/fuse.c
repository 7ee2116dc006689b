// SPDX-License-Identifier: Apache-2.0
// A FUSE server that does not answer until it is told to.
//
//   fuse DIRECTORY    mounts itself there and serves:
//     pages           a file whose pages all begin with a path; reading it is not answered
//     array           an empty page; reading it is answered, writing it is not
//     held            as long as there are requests without an answer
//
// SIGUSR1: what has not been answered is, and what comes after it. What has been written is printed then.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define LARGEST (128 << 10)
#define MOST 1024

enum { ROOT = 1, PAGES, ARRAY, HELD };

static const char *const names[] = {[PAGES] = "pages", [ARRAY] = "array", [HELD] = "held"};

struct request {
    uint64_t unique, node;
    uint32_t opcode, size;
    // what is written
    char *data;
};

static int device;
static struct request held[MOST];
static int held_count;
static int generous;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void reply(uint64_t unique, int error, const void *body, size_t length) {
    struct fuse_out_header header = {sizeof header + length, -error, unique};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)body, length}};
    // whoever asked may be gone
    if (writev(device, parts, 2) < 0 && errno != ENOENT)
        fail("writev");
}

static struct fuse_attr attributes(uint64_t node) {
    struct fuse_attr attr = {.ino = node, .nlink = 1, .blksize = PAGE};
    attr.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0666;
    attr.size = node == PAGES ? MOST * PAGE : node == ARRAY ? PAGE : held_count;
    return attr;
}

// How many requests are held is asked for each time.
static uint64_t valid(uint64_t node) {
    return node == HELD ? 0 : 3600;
}

static void look_up(uint64_t unique, const char *name) {
    for (uint64_t node = PAGES; node <= HELD; node++) {
        if (strcmp(names[node], name))
            continue;
        struct fuse_entry_out entry = {.nodeid = node, .attr = attributes(node)};
        entry.entry_valid = entry.attr_valid = valid(node);
        reply(unique, 0, &entry, sizeof entry);
        return;
    }
    reply(unique, ENOENT, NULL, 0);
}

static void answer(const struct request *one) {
    static char pages[LARGEST];
    if (one->opcode == FUSE_WRITE) {
        struct fuse_write_out written = {.size = one->size};
        fwrite(one->data, 1, one->size, stdout);
        fflush(stdout);
        free(one->data);
        reply(one->unique, 0, &written, sizeof written);
        return;
    }
    memset(pages, 0, sizeof pages);
    for (size_t at = 0; one->node == PAGES && at < sizeof pages; at += PAGE)
        strcpy(pages + at, "/work/a.txt");
    reply(one->unique, 0, pages, one->size < LARGEST ? one->size : LARGEST);
}

static void answer_or_hold(const struct request *one) {
    int reluctant = one->node == PAGES || one->opcode == FUSE_WRITE;
    if (generous || !reluctant || held_count == MOST)
        answer(one);
    else
        held[held_count++] = *one;
}

static void handle(const struct fuse_in_header *in, const void *body) {
    struct request one = {.unique = in->unique, .node = in->nodeid, .opcode = in->opcode};
    switch (in->opcode) {
    case FUSE_INIT: {
        // without FUSE_ASYNC_READ whoever reads waits for the server, even when it is killed
        struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE};
        reply(in->unique, 0, &init, sizeof init);
        break;
    }
    case FUSE_LOOKUP:
        look_up(in->unique, body);
        break;
    case FUSE_GETATTR: {
        struct fuse_attr_out attr = {.attr_valid = valid(in->nodeid)};
        attr.attr = attributes(in->nodeid);
        reply(in->unique, 0, &attr, sizeof attr);
        break;
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        struct fuse_open_out opened = {.open_flags = FOPEN_KEEP_CACHE};
        reply(in->unique, 0, &opened, sizeof opened);
        break;
    }
    case FUSE_READ:
        one.size = ((const struct fuse_read_in *)body)->size;
        answer_or_hold(&one);
        break;
    case FUSE_WRITE:
        one.size = ((const struct fuse_write_in *)body)->size;
        one.data = malloc(one.size);
        if (!one.data)
            fail("malloc");
        memcpy(one.data, (const struct fuse_write_in *)body + 1, one.size);
        answer_or_hold(&one);
        break;
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        reply(in->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        reply(in->unique, ENOSYS, NULL, 0);
    }
}

static void serve_one(void) {
    static char buffer[LARGEST + PAGE] __attribute__((aligned(8)));
    ssize_t length = read(device, buffer, sizeof buffer);
    if (length < 0 && errno == ENODEV)
        exit(0);
    // a request that has been taken back
    if (length < 0 && (errno == ENOENT || errno == EINTR))
        return;
    if (length < (ssize_t)sizeof(struct fuse_in_header))
        fail("read");
    handle((struct fuse_in_header *)buffer, buffer + sizeof(struct fuse_in_header));
}

static void become_generous(int signals) {
    struct signalfd_siginfo told;
    if (read(signals, &told, sizeof told) < 0)
        fail("signalfd");
    generous = 1;
    for (int one = 0; one < held_count; one++)
        answer(&held[one]);
    held_count = 0;
}

int main(int count, char **arguments) {
    char options[128];
    sigset_t told;
    if (count != 2)
        return 2;
    sigemptyset(&told), sigaddset(&told, SIGUSR1), sigprocmask(SIG_BLOCK, &told, NULL);
    int signals = signalfd(-1, &told, SFD_CLOEXEC);
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0 || signals < 0)
        fail("/dev/fuse");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (mount("victim", arguments[1], "fuse", MS_NOSUID | MS_NODEV, options))
        fail("mount");
    for (;;) {
        struct pollfd ready[] = {{device, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(ready, 2, -1) < 0)
            fail("poll");
        if (ready[0].revents)
            serve_one();
        if (ready[1].revents)
            become_generous(signals);
    }
}
