// SPDX-License-Identifier: Apache-2.0
// Does with sockets what the lines of its standard input say, and prints one line for each: the
// error's number, or what was asked for.
//
//   up                              the loopback interface
//   ids UID GID                     for good
//   socket S KIND                   tcp4 tcp6 udp4 udp6 stream dgram packet route
//   connect|bind S ADDRESS          in|in6 HOST PORT, path P, abstract N, unnamed, unspec
//   listen S BACKLOG
//   accept S T
//   name S, peer S                  getsockname(2), SO_PEERCRED
//   umask MASK, chdir PATH, passcred S
//   sendto S FLAGS TEXT [ADDRESS]
//   sendmsg S FLAGS TEXT CONTROL [ADDRESS]
//   sendmmsg S COUNT [ADDRESS]      how many, and what was written of each
//   receive S                       the text, and how many descriptors
//   close S, open S PATH
//   drain S COUNT, drained          a thread reads; how much it has read
//   large S SIZE FLAGS              a message of that many bytes
//   broken S                        sends to nobody
//   beside COUNT S ADDRESS          how many connections are made while a thread waits for its own
//   interrupt HOW S T ADDRESS       connects until a signal comes; T accepts if it is begun again
//   killed COUNT ADDRESS            children that wait are killed
//   flip S COUNT ADDRESS ADDRESS    connects while a thread changes the address; how often it got
//                                   to the second
//   connect32 S ADDRESS, sendmsg32 S ADDRESS
//   swap COUNT                      binds a path while a thread changes where it leads

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int sockets[256];

struct address {
    struct sockaddr_storage bytes;
    socklen_t length;
};

static char *word(void) {
    char *next = strtok(NULL, " \n");
    return next ? next : "";
}

static int number(void) { return (int)strtol(word(), NULL, 0); }

static int *slot(void) { return &sockets[(unsigned char)word()[0]]; }

static struct sockaddr *raw(struct address *address) { return (struct sockaddr *)&address->bytes; }

static struct address address(void) {
    struct address out = {0};
    struct sockaddr_un *un = (struct sockaddr_un *)&out.bytes;
    struct sockaddr_in *in = (struct sockaddr_in *)&out.bytes;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out.bytes;
    char *kind = word();
    if (!strcmp(kind, "in")) {
        in->sin_family = AF_INET;
        inet_pton(AF_INET, word(), &in->sin_addr);
        in->sin_port = htons(number());
        out.length = sizeof *in;
    } else if (!strcmp(kind, "in6")) {
        in6->sin6_family = AF_INET6;
        inet_pton(AF_INET6, word(), &in6->sin6_addr);
        in6->sin6_port = htons(number());
        out.length = sizeof *in6;
    } else if (!strcmp(kind, "path")) {
        un->sun_family = AF_UNIX;
        char *path = word();
        strcpy(un->sun_path, path);
        out.length = offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
    } else if (!strcmp(kind, "abstract")) {
        un->sun_family = AF_UNIX;
        char *name = word();
        strcpy(un->sun_path + 1, name);
        out.length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    } else if (!strcmp(kind, "unnamed")) {
        un->sun_family = AF_UNIX;
        out.length = sizeof un->sun_family;
    } else if (!strcmp(kind, "unspec")) {
        out.length = sizeof *in;
    }
    return out;
}

static void told(int result) { printf("%d\n", result < 0 ? errno : 0); }

static int made(const char *kind) {
    static const struct {
        const char *name;
        int family, type;
    } kinds[] = {
        {"tcp4", AF_INET, SOCK_STREAM}, {"tcp6", AF_INET6, SOCK_STREAM},
        {"udp4", AF_INET, SOCK_DGRAM},  {"udp6", AF_INET6, SOCK_DGRAM},
        {"stream", AF_UNIX, SOCK_STREAM}, {"dgram", AF_UNIX, SOCK_DGRAM},
        {"packet", AF_UNIX, SOCK_SEQPACKET}, {"route", AF_NETLINK, SOCK_RAW},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].name))
            return socket(kinds[i].family, kinds[i].type | SOCK_CLOEXEC, 0);
    errno = EINVAL;
    return -1;
}

static int up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int result = ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
    return result;
}

static int become(int uid, int gid) {
    if (setgroups(0, NULL) || setresgid(gid, gid, gid))
        return -1;
    return setresuid(uid, uid, uid);
}

static void name(int fd) {
    struct address own = {.length = sizeof own.bytes};
    char text[INET6_ADDRSTRLEN];
    if (getsockname(fd, raw(&own), &own.length)) {
        told(-1);
    } else if (own.bytes.ss_family == AF_UNIX) {
        char *path = ((struct sockaddr_un *)&own.bytes)->sun_path;
        int length = own.length - offsetof(struct sockaddr_un, sun_path);
        int abstract = length > 0 && !path[0];
        printf("%d %s%.*s\n", length, abstract ? "@" : "", length - abstract, path + abstract);
    } else if (own.bytes.ss_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&own.bytes;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        printf("%s %d\n", text, ntohs(in6->sin6_port));
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&own.bytes;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        printf("%s %d\n", text, ntohs(in->sin_port));
    }
}

static void peer(int fd) {
    struct ucred who;
    socklen_t length = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length))
        told(-1);
    else
        printf("uid %u gid %u\n", who.uid, who.gid);
}

static void item(struct msghdr *message, int level, int type, const void *data, size_t size) {
    struct cmsghdr *header = (struct cmsghdr *)((char *)message->msg_control + message->msg_controllen);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), data, size);
    message->msg_controllen += CMSG_SPACE(size);
}

static void control(struct msghdr *message, const char *what) {
    static _Alignas(8) char space[512];
    message->msg_control = space;
    struct in_pktinfo info = {.ipi_ifindex = 1};
    struct in6_pktinfo info6 = {.ipi6_ifindex = 1};
    struct ucred who = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
    unsigned char route[24] = {0, 2, 0, 1};
    int ttl = 9, fds[2] = {0, 1};
    if (!strcmp(what, "pktinfo"))
        item(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    if (!strcmp(what, "pktinfo6"))
        item(message, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof info6);
    if (!strcmp(what, "route"))
        item(message, IPPROTO_IPV6, IPV6_RTHDR, route, sizeof route);
    if (!strcmp(what, "ttl"))
        item(message, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
    if (!strcmp(what, "descriptors"))
        item(message, SOL_SOCKET, SCM_RIGHTS, fds, sizeof fds);
    if (!strcmp(what, "credentials"))
        item(message, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof who);
    who.uid++;
    if (!strcmp(what, "other-user"))
        item(message, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof who);
    who.uid--;
    who.pid = getppid() + 1000;
    if (!strcmp(what, "other-process"))
        item(message, SOL_SOCKET, SCM_CREDENTIALS, &who, sizeof who);
    if (!message->msg_controllen)
        message->msg_control = NULL;
}

static void set_name(struct msghdr *message, struct address *to) {
    message->msg_name = to->length ? raw(to) : NULL;
    message->msg_namelen = to->length;
}

static void send_one(int fd) {
    int flags = number();
    char *text = word();
    struct iovec data[2] = {{text, 1}, {text + 1, strlen(text) - 1}};
    struct msghdr message = {.msg_iov = data, .msg_iovlen = 2};
    control(&message, word());
    struct address to = address();
    set_name(&message, &to);
    ssize_t sent = sendmsg(fd, &message, flags);
    sent < 0 ? told(-1) : (void)printf("sent %zd\n", sent);
}

static void send_plain(int fd) {
    int flags = number();
    char *text = word();
    struct address to = address();
    ssize_t sent = sendto(fd, text, strlen(text), flags, to.length ? raw(&to) : NULL, to.length);
    sent < 0 ? told(-1) : (void)printf("sent %zd\n", sent);
}

static void send_many(int fd) {
    enum { MOST = 16 };
    int count = number();
    struct address to = address();
    struct mmsghdr messages[MOST];
    struct iovec data[MOST];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < MOST; i++) {
        data[i] = (struct iovec){"0123456789abcdef", i + 1};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &data[i], .msg_iovlen = 1};
        set_name(&messages[i].msg_hdr, &to);
    }
    // the last of them cannot be sent
    messages[count - 1].msg_hdr.msg_iovlen = 5000;
    int sent = sendmmsg(fd, messages, count, 0);
    if (sent < 0) {
        told(-1);
        return;
    }
    printf("sent %d:", sent);
    for (int i = 0; i < count; i++)
        printf(" %u", messages[i].msg_len);
    printf("\n");
}

static void receive(int fd) {
    char text[256] = "", space[512];
    struct iovec data = {text, sizeof text - 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct pollfd ready = {fd, POLLIN, 0};
    if (poll(&ready, 1, 5000) != 1) {
        printf("nothing\n");
        return;
    }
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0) {
        told(-1);
        return;
    }
    printf("%s", text);
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_type == SCM_RIGHTS)
            printf(" and %zu descriptors", (at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (at->cmsg_type == SCM_CREDENTIALS)
            printf(" from %u", ((struct ucred *)CMSG_DATA(at))->uid);
    }
    printf("\n");
}

static void *connecting(void *given) {
    struct address *to = given;
    int fd = socket(to->bytes.ss_family, SOCK_STREAM, 0);
    connect(fd, raw(to), to->length);
    return NULL;
}

static void beside(void) {
    int count = number(), done = 0;
    int *listener = slot();
    struct address to = address();
    // the same listener, whose queue is full: the threads wait
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, connecting, &to);
    }
    usleep(100000);
    struct address other = {.length = sizeof(sa_family_t)};
    other.bytes.ss_family = AF_UNIX;
    *listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(*listener, raw(&other), other.length);
    other.length = sizeof other.bytes;
    getsockname(*listener, raw(&other), &other.length);
    listen(*listener, 4096);
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        done += !connect(fd, raw(&other), other.length);
        close(fd);
    }
    printf("%d\n", done);
}

static struct {
    int fd;
    long count;
    pthread_t thread;
} drainage;

static void *draining(void *unused) {
    static char bytes[65536];
    long left = drainage.count;
    ssize_t got;
    // as slowly as it takes for the sender to wait
    for (drainage.count = 0; left > 0 && (got = read(drainage.fd, bytes, sizeof bytes)) > 0; left -= got)
        drainage.count += got;
    return unused;
}

static void drain(void) {
    drainage.fd = *slot();
    drainage.count = number();
    told(pthread_create(&drainage.thread, NULL, draining, NULL));
}

static void drained(void) {
    pthread_join(drainage.thread, NULL);
    printf("%ld\n", drainage.count);
}

// in two buffers, the second of which is the larger
static void large(int fd) {
    size_t size = number();
    int flags = number();
    char *bytes = calloc(1, size);
    struct iovec data[2] = {{bytes, 1000}, {bytes + 1000, size - 1000}};
    struct msghdr message = {.msg_iov = data, .msg_iovlen = 2};
    ssize_t sent = sendmsg(fd, &message, flags);
    if (sent < 0)
        told(-1);
    else if (flags)
        printf("%s\n", sent > 0 && (size_t)sent < size ? "some" : "all");
    else
        printf("%zd\n", sent);
    free(bytes);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int signal) {
    (void)signal;
    pipes++;
}

static void broken(int fd) {
    struct iovec data = {"x", 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    signal(SIGPIPE, on_pipe);
    int failed = sendmsg(fd, &message, 0) < 0 && errno == EPIPE;
    printf("%s%s\n", failed ? "EPIPE" : "sent", pipes == 1 ? " and the signal" : "");
}

static void nothing(int signal) { (void)signal; }

static void *accepting(void *given) {
    usleep(300000);
    for (int i = 0; i < 8; i++)
        accept(*(int *)given, NULL, NULL);
    return NULL;
}

static void interrupt(void) {
    int restarts = !strcmp(word(), "restart");
    int fd = *slot(), *listener = slot();
    struct address to = address();
    struct sigaction action = {.sa_handler = nothing, .sa_flags = restarts ? SA_RESTART : 0};
    sigaction(SIGALRM, &action, NULL);
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_t thread;
    // the signal is this thread's
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    if (restarts)
        pthread_create(&thread, NULL, accepting, listener);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    struct itimerval soon = {.it_value = {.tv_usec = 100000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    told(connect(fd, raw(&to), to.length));
}

static void killed(void) {
    int count = number();
    struct address to = address();
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (!child) {
            connecting(&to);
            _exit(0);
        }
        usleep(20000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    printf("0\n");
}

static struct address flipped, first, second;
static volatile int flipping = 1;

static void *flip_address(void *unused) {
    while (flipping) {
        flipped = first;
        __asm__ volatile("" ::: "memory");
        flipped = second;
        __asm__ volatile("" ::: "memory");
    }
    return unused;
}

static void flip(void) {
    char *kind = word();
    int count = number(), reached = 0, refused = 0, done = 0;
    flipped = first = address();
    second = address();
    pthread_t thread;
    pthread_create(&thread, NULL, flip_address, NULL);
    // on a busy machine it takes longer until both have been seen
    for (; done < count || ((!refused || refused == done) && done < 100 * count); done++) {
        int fd = made(kind);
        if (connect(fd, raw(&flipped), first.length))
            refused += errno == EACCES;
        struct address peer = {.length = sizeof peer.bytes};
        if (!getpeername(fd, raw(&peer), &peer.length))
            reached += !memcmp(raw(&peer), raw(&second), sizeof(struct sockaddr_in));
        close(fd);
    }
    flipping = 0;
    pthread_join(thread, NULL);
    printf("%d %s\n", reached, refused && refused < done ? "both" : "one");
}

// connect(2) and sendmsg(2) as a 32-bit process makes them: what they point to lies in the lower
// half of memory, with pointers of four bytes.
static char *low(void) {
    static char *memory;
    if (!memory)
        memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    return memory;
}

static long old_call(long number, long first, const void *second, long third) {
#ifdef __x86_64__
    long result;
    // the upper half of a register means nothing to it
    long pointer = (long)second | 0x5500000000;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(first), "c"(pointer), "d"(third)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
#else
    (void)number, (void)first, (void)second, (void)third;
    return -ENOSYS;
#endif
}

static void connect_short(int fd) {
    struct address to = address();
    memcpy(low(), raw(&to), to.length);
    printf("%ld\n", -old_call(362, fd, low(), to.length));
}

static void send_short(int fd) {
    struct address to = address();
    memcpy(low() + 256, raw(&to), to.length);
    unsigned base = (unsigned)(uintptr_t)low();
    unsigned buffer[] = {base + 512, 5};
    unsigned header[] = {base + 256, to.length, base + 128, 1, 0, 0, 0};
    strcpy(low() + 512, "short");
    memcpy(low() + 128, buffer, sizeof buffer);
    memcpy(low(), header, sizeof header);
    // what the kernel itself adds to the flags of such a process
    const long cmsg_compat = 0x80000000;
    printf("%ld\n", old_call(370, fd, low(), cmsg_compat));
}

static void *swap_links(void *unused) {
    static const char *const targets[] = {"in", "out", "in/sub"};
    for (unsigned i = 0; flipping; i++) {
        symlink(targets[i % 3], "/srv/next");
        rename("/srv/next", "/srv/link");
    }
    return unused;
}

static int is_reached(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int reached = !connect(fd, (struct sockaddr *)&to, sizeof to);
    close(fd);
    return reached;
}

static void swap(void) {
    int count = number(), bound = 0, outside = 0, below = 0;
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/srv/link/a.sock"};
    pthread_t thread;
    flipping = 1;
    symlink("in", "/srv/link");
    pthread_create(&thread, NULL, swap_links, NULL);
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        bound += !bind(fd, (struct sockaddr *)&name, sizeof name);
        listen(fd, 4);
        outside += !access("/srv/out/a.sock", F_OK);
        below += is_reached("/srv/in/sub/a.sock");
        close(fd);
        unlink("/srv/in/a.sock");
        unlink("/srv/out/a.sock");
        unlink("/srv/in/sub/a.sock");
    }
    flipping = 0;
    pthread_join(thread, NULL);
    printf("outside %d below %d%s\n", outside, below, bound && bound < count ? "" : " never bound");
}

/* Connects to what has lost the name by which it was found. */
static void lost(int fd) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char *path = word();
    int found = open(path, O_PATH | O_CLOEXEC);
    unlink(path);
    snprintf(to.sun_path, sizeof to.sun_path, "/proc/self/fd/%d", found);
    told(connect(fd, (struct sockaddr *)&to, sizeof to));
    close(found);
}

static void run(const char *what) {
    if (!strcmp(what, "up"))
        told(up());
    else if (!strcmp(what, "ids")) {
        int uid = number();
        told(become(uid, number()));
    } else if (!strcmp(what, "socket")) {
        int *fd = slot();
        told(*fd = made(word()));
    } else if (!strcmp(what, "connect")) {
        int fd = *slot();
        struct address to = address();
        told(connect(fd, raw(&to), to.length));
    } else if (!strcmp(what, "bind")) {
        int fd = *slot();
        struct address to = address();
        told(bind(fd, raw(&to), to.length));
    } else if (!strcmp(what, "listen")) {
        int fd = *slot();
        told(listen(fd, number()));
    } else if (!strcmp(what, "accept")) {
        int fd = *slot();
        told(*slot() = accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    } else if (!strcmp(what, "passcred")) {
        int one = 1;
        told(setsockopt(*slot(), SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    } else if (!strcmp(what, "name"))
        name(*slot());
    else if (!strcmp(what, "peer"))
        peer(*slot());
    else if (!strcmp(what, "sendto"))
        send_plain(*slot());
    else if (!strcmp(what, "sendmsg"))
        send_one(*slot());
    else if (!strcmp(what, "sendmmsg"))
        send_many(*slot());
    else if (!strcmp(what, "receive"))
        receive(*slot());
    else if (!strcmp(what, "close"))
        told(close(*slot()));
    else if (!strcmp(what, "umask"))
        told((umask(number()), 0));
    else if (!strcmp(what, "chdir"))
        told(chdir(word()));
    else if (!strcmp(what, "rename")) {
        char *from = word();
        told(rename(from, word()));
    } else if (!strcmp(what, "exchange")) {
        char *from = word();
        told(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, word(), 2));
    } else if (!strcmp(what, "link")) {
        char *from = word();
        told(link(from, word()));
    } else if (!strcmp(what, "lost"))
        lost(*slot());
    else if (!strcmp(what, "open")) {
        int *fd = slot();
        told(*fd = open(word(), O_RDONLY | O_CLOEXEC));
    } else if (!strcmp(what, "drain"))
        drain();
    else if (!strcmp(what, "drained"))
        drained();
    else if (!strcmp(what, "large"))
        large(*slot());
    else if (!strcmp(what, "broken"))
        broken(*slot());
    else if (!strcmp(what, "beside"))
        beside();
    else if (!strcmp(what, "interrupt"))
        interrupt();
    else if (!strcmp(what, "killed"))
        killed();
    else if (!strcmp(what, "flip"))
        flip();
    else if (!strcmp(what, "connect32"))
        connect_short(*slot());
    else if (!strcmp(what, "sendmsg32"))
        send_short(*slot());
    else if (!strcmp(what, "swap"))
        swap();
    else
        printf("what is %s?\n", what);
    fflush(stdout);
}

int main(void) {
    char line[512];
    for (int i = 0; i < 256; i++)
        sockets[i] = -1;
    while (fgets(line, sizeof line, stdin)) {
        char *what = strtok(line, " \n");
        if (what)
            run(what);
    }
    return 0;
}
