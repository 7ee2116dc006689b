// SPDX-License-Identifier: Apache-2.0
// The supervisor that races beat: it reads what a call names, resolves it as the kernel will, and if
// that may be, lets the call go on. Whoever changes the name in between has won.
//
//   naive PROGRAM [ARGUMENT...]
//
// Denied are files below a name that ends in ".denied", opening those below one that ends in ".box",
// UNIX sockets but those in a directory "open", the addresses 127.0.0.2, 127.0.0.3 (TCP) and 127.0.0.1:7777, and binding to the unspecified address.
// With NAIVE_EMULATES in the environment it makes directories, opens FIFOs and connects UNIX sockets
// itself, which is as naive: it looks at neither signals nor the caller's end, and waits with it.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#else
#define NATIVE AUDIT_ARCH_RISCV64
#endif

// What a call's arguments are.
enum form {
    PATH,     // path
    AT,       // directory, path
    NAME,     // the same, of a name and not of what it leads to
    OPENED,   // directory, path, flags
    TARGET,   // anything, directory, path
    TWO,      // directory, path, directory, path
    ADDRESS,  // socket, address, length
    BOUND,    // the same
    SENT,     // socket, data, length, flags, address, length
    MESSAGE,  // socket, message
    MESSAGES, // socket, messages, count
};

static const struct checked {
    int number;
    enum form form;
} CHECKED[] = {
    {SYS_openat, OPENED},     {SYS_openat2, AT},     {SYS_mkdirat, NAME},  {SYS_mknodat, NAME},
    {SYS_unlinkat, NAME},      {SYS_fchmodat, AT},    {SYS_fchownat, AT},   {SYS_utimensat, AT},
    {SYS_symlinkat, TARGET},  {SYS_truncate, PATH},  {SYS_setxattr, PATH}, {SYS_renameat2, TWO},
    {SYS_linkat, TWO},        {SYS_connect, ADDRESS}, {SYS_bind, BOUND},   {SYS_sendto, SENT},
    {SYS_sendmsg, MESSAGE},   {SYS_sendmmsg, MESSAGES},
#ifdef SYS_open
    {SYS_open, PATH},         {SYS_creat, PATH},     {SYS_chmod, PATH},
#endif
};
enum { COUNT = sizeof CHECKED / sizeof *CHECKED };

_Noreturn static void give_up(const char *what) {
    fprintf(stderr, "naive: %s: %s\n", what, strerror(errno));
    exit(125);
}

static int install(void) {
    struct sock_filter program[COUNT + 6];
    int length = 0;
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 0, COUNT + 1);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int index = 0; index < COUNT; index++)
        program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)CHECKED[index].number,
                                                         (unsigned char)(COUNT - index), 0);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog all = {.len = (unsigned short)length, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        give_up("no_new_privs");
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &all);
}

// Copies what the caller has at an address; how much there was.
static ssize_t copy(pid_t caller, unsigned long address, void *into, size_t size) {
    struct iovec to = {into, size}, from = {(void *)address, size};
    ssize_t count = process_vm_readv(caller, &to, 1, &from, 1, 0);
    // up to the end of what is mapped
    if (count < 0 && size > 1)
        return copy(caller, address, into, size / 2);
    return count;
}

static int below(const char *path, const char *name) {
    for (const char *at = path; (at = strstr(at, name)); at++)
        if (!at[strlen(name)] || at[strlen(name)] == '/')
            return 1;
    return 0;
}

// Where a path leads, as the caller's; for what is not there yet, where its parent does.
static void resolve(pid_t caller, int at, const char *path, int flags, char *resolved) {
    char base[64], last[PATH_MAX + 1] = "", parent[PATH_MAX];
    if (*path == '/')
        snprintf(base, sizeof base, "/proc/%d/root", caller);
    else if (at == AT_FDCWD)
        snprintf(base, sizeof base, "/proc/%d/cwd", caller);
    else
        snprintf(base, sizeof base, "/proc/%d/fd/%d", caller, at);
    int from = open(base, O_PATH | O_CLOEXEC);
    while (*path == '/')
        path++;
    int fd = openat(from, *path ? path : ".", O_PATH | O_CLOEXEC | flags);
    if (fd < 0) {
        strcpy(parent, path);
        char *slash = strrchr(parent, '/');
        snprintf(last, sizeof last, "/%s", slash ? slash + 1 : parent);
        if (slash)
            *slash = 0;
        fd = openat(from, slash ? parent : ".", O_PATH | O_CLOEXEC);
    }
    snprintf(base, sizeof base, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(base, resolved, PATH_MAX - 1);
    resolved[length > 0 ? length : 0] = 0;
    strncat(resolved, last, PATH_MAX - 1 - strlen(resolved));
    close(fd), close(from);
}

static int path_is_below(pid_t caller, int at, unsigned long address, int flags, const char *name, const char *other) {
    char path[PATH_MAX] = "", resolved[PATH_MAX] = "";
    if (copy(caller, address, path, sizeof path - 1) < 0)
        return 0;
    resolve(caller, at, path, flags, resolved);
    return below(resolved, name) || below(resolved, other);
}

static int path_is_denied(pid_t caller, int at, unsigned long address, int flags) {
    return path_is_below(caller, at, address, flags, ".denied", ".denied");
}

static int duplicate(pid_t caller, int number) {
    int pidfd = (int)syscall(SYS_pidfd_open, caller, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
    close(pidfd);
    return fd;
}

// Whether the caller's socket is a stream.
static int is_stream(pid_t caller, int number) {
    int type = 0;
    socklen_t length = sizeof type;
    int fd = duplicate(caller, number);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    close(fd);
    return type == SOCK_STREAM;
}

static int internet_is_denied(pid_t caller, int number, unsigned address, int port) {
    return address == 0x7f000002 || (address == 0x7f000001 && port == 7777) ||
           (address == 0x7f000003 && is_stream(caller, number));
}

static int unix_is_denied(pid_t caller, const struct sockaddr_un *address) {
    char resolved[PATH_MAX] = "";
    if (!*address->sun_path)
        return 1;
    resolve(caller, AT_FDCWD, address->sun_path, 0, resolved);
    return !strstr(resolved, "/open/");
}

static int address_is_denied(pid_t caller, int number, unsigned long from, unsigned length, enum form form) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
        char bytes[256];
    } address = {.bytes = {0}};
    if (!from || length > 128 || copy(caller, from, &address, length) < (ssize_t)sizeof(sa_family_t))
        return 0;
    unsigned v4 = ntohl(address.v4.sin_addr.s_addr), mapped = ntohl(address.v6.sin6_addr.s6_addr32[3]);
    if (address.any.sa_family == AF_INET && form == BOUND)
        return v4 == INADDR_ANY;
    if (form == BOUND)
        return 0;
    switch (address.any.sa_family) {
    case AF_INET: return internet_is_denied(caller, number, v4, ntohs(address.v4.sin_port));
    case AF_INET6: return internet_is_denied(caller, number, mapped, ntohs(address.v6.sin6_port));
    case AF_UNIX: return unix_is_denied(caller, &address.local);
    default: return 0;
    }
}

static int message_is_denied(pid_t caller, int number, unsigned long from) {
    struct msghdr message = {0};
    if (copy(caller, from, &message, sizeof message) != sizeof message || message.msg_iovlen > IOV_MAX)
        return 0;
    return address_is_denied(caller, number, (unsigned long)message.msg_name, message.msg_namelen, MESSAGE);
}

static int messages_are_denied(pid_t caller, int number, unsigned long from, unsigned long count) {
    for (unsigned long index = 0; index < count && index < 1024; index++)
        if (message_is_denied(caller, number, from + index * sizeof(struct mmsghdr)))
            return 1;
    return 0;
}

static int is_denied(const struct seccomp_notif *call) {
    const unsigned long long *args = call->data.args;
    pid_t caller = (pid_t)call->pid;
    int index = 0;
    while (CHECKED[index].number != call->data.nr)
        index++;
    switch (CHECKED[index].form) {
    case PATH: return path_is_denied(caller, AT_FDCWD, args[0], 0);
    case NAME: return path_is_denied(caller, (int)args[0], args[1], O_NOFOLLOW);
    case OPENED:
        // naming is allowed everywhere
        return !(args[2] & O_PATH) && path_is_below(caller, (int)args[0], args[1], 0, ".denied", ".box");
    case AT: return path_is_denied(caller, (int)args[0], args[1], 0);
    case TARGET: return path_is_denied(caller, (int)args[1], args[2], O_NOFOLLOW);
    case TWO:
        return path_is_denied(caller, (int)args[0], args[1], O_NOFOLLOW) ||
               path_is_denied(caller, (int)args[2], args[3], O_NOFOLLOW);
    case ADDRESS:
    case BOUND: return address_is_denied(caller, (int)args[0], args[1], (unsigned)args[2], CHECKED[index].form);
    case SENT: return address_is_denied(caller, (int)args[0], args[4], (unsigned)args[5], SENT);
    case MESSAGE: return message_is_denied(caller, (int)args[0], args[1]);
    case MESSAGES: return messages_are_denied(caller, (int)args[0], args[1], args[2]);
    }
    return 1;
}

// Where a path of the caller's leads, read once more.
static void resolve_again(const struct seccomp_notif *call, int flags, char *resolved) {
    char path[PATH_MAX] = "";
    copy((pid_t)call->pid, call->data.args[1], path, sizeof path - 1);
    resolve((pid_t)call->pid, (int)call->data.args[0], path, flags, resolved);
}

static int make_directory(const struct seccomp_notif *call, struct seccomp_notif_resp *answer) {
    char resolved[PATH_MAX] = "";
    // at times long enough for its caller to end, and for another to have the number
    usleep((unsigned)rand() % 512);
    resolve_again(call, O_NOFOLLOW, resolved);
    answer->error = mkdir(resolved, (mode_t)call->data.args[2]) ? -errno : 0;
    return 1;
}

static int open_fifo(int listener, const struct seccomp_notif *call, struct seccomp_notif_resp *answer) {
    char resolved[PATH_MAX] = "";
    struct stat is;
    resolve_again(call, 0, resolved);
    if (stat(resolved, &is) || !S_ISFIFO(is.st_mode))
        return 0;
    int fd = open(resolved, (int)call->data.args[2]);
    answer->error = fd < 0 ? -errno : 0;
    if (fd < 0)
        return 1;
    struct seccomp_notif_addfd added = {.id = call->id, .srcfd = (unsigned)fd};
    added.newfd_flags = (unsigned)call->data.args[2] & O_CLOEXEC;
    answer->val = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &added);
    close(fd);
    return 1;
}

static int connect_unix(const struct seccomp_notif *call, struct seccomp_notif_resp *answer) {
    char resolved[PATH_MAX] = "";
    struct sockaddr_un to = {0};
    copy((pid_t)call->pid, call->data.args[1], &to, sizeof to - 1);
    if (to.sun_family != AF_UNIX)
        return 0;
    resolve((pid_t)call->pid, AT_FDCWD, to.sun_path, 0, resolved);
    strncpy(to.sun_path, resolved, sizeof to.sun_path - 1);
    int fd = duplicate((pid_t)call->pid, (int)call->data.args[0]);
    answer->error = connect(fd, (struct sockaddr *)&to, sizeof to) ? -errno : 0;
    close(fd);
    return 1;
}

// Does what the caller wants, if that is something that it does itself.
static int emulate(int listener, const struct seccomp_notif *call, struct seccomp_notif_resp *answer) {
    switch (call->data.nr) {
    case SYS_mkdirat: return make_directory(call, answer);
    case SYS_openat: return open_fifo(listener, call, answer);
    case SYS_connect: return connect_unix(call, answer);
    default: return 0;
    }
}

static void nothing(int signal) {
    (void)signal;
}

static void serve(int listener, const char *emulates) {
    // so that what it waits for ends with the child
    const struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGCHLD, &action, NULL);
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    while (poll(&ready, 1, -1) >= 0 || errno == EINTR) {
        if (ready.revents & POLLHUP)
            return; // nobody is left
        struct seccomp_notif call = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
            continue;
        struct seccomp_notif_resp answer = {.id = call.id};
        if (is_denied(&call))
            answer.error = -EACCES;
        else if (!emulates || !emulate(listener, &call, &answer))
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        // the caller may be gone
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
}

int main(int count, char **arguments) {
    if (count < 2)
        return 125;
    // the child's number of the listener: no call of the child's can tell it
    enum { NONE = -1, TAKEN = -2 };
    volatile int *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *shared = NONE;
    pid_t child = fork();
    if (child < 0)
        give_up("fork");
    if (!child) {
        int listener = install();
        if (listener < 0)
            give_up("seccomp");
        *shared = listener;
        // execve closes it
        while (*shared == listener)
            sched_yield();
        execvp(arguments[1], arguments + 1);
        give_up(arguments[1]);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0), status;
    while (*shared == NONE && !waitpid(child, &status, WNOHANG))
        sched_yield();
    int listener = (int)syscall(SYS_pidfd_getfd, pidfd, *shared, 0);
    if (listener < 0)
        give_up("pidfd_getfd");
    *shared = TAKEN;
    serve(listener, getenv("NAIVE_EMULATES"));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
