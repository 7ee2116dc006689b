// SPDX-License-Identifier: Apache-2.0
// Races about paths: the name, what the name leads to, and where it begins are changed while a call
// is looked at.

#include "attack.h"
#include <sched.h>
#include <sys/mman.h>

static const char FINE[] = "fine\0        ", SECRET_NAME[] = "secret.denied";

static void flip_name(void *buffer) {
    memcpy(buffer, SECRET_NAME, sizeof SECRET_NAME);
    linger();
    memcpy(buffer, FINE, sizeof SECRET_NAME);
    linger();
}

static void open_all_the_time(const char *path) {
    while (race_on())
        if (is_secret((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC)))
            won("read");
}

static void name_by_thread(void) {
    static char name[64] = "fine";
    struct racer racer;
    begin(&racer, flip_name, name);
    open_all_the_time(name);
    end(&racer);
}

static void name_by_process(void) {
    char *name = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memcpy(name, FINE, sizeof FINE);
    pid_t child = begin_process(flip_name, name);
    open_all_the_time(name);
    end_process(child);
}

static struct {
    unsigned long flags, mode, resolve;
} how;

// Not the path but openat2's flags: reading what may be read, and making what may not be made.
static void flip_flags(void *name) {
    flip_name(name);
    how.flags = how.flags ? 0 : O_CLOEXEC;
}

static void structure_by_thread(void) {
    static char name[64] = "fine";
    struct racer racer;
    begin(&racer, flip_flags, name);
    while (race_on())
        if (is_secret((int)syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof how)))
            won("read");
    end(&racer);
}

static void open_while(void (*turn)(void *), const char *one, const char *other, const char *path) {
    struct exchange names = {one, other};
    struct racer racer;
    begin(&racer, turn, &names);
    open_all_the_time(path);
    end(&racer);
}

static void last_link(void) {
    open_while(exchange, "to-fine", "to-secret", "to-fine");
}

static void middle_link(void) {
    open_while(exchange, "to-way", "to-vault", "to-way/target");
}

static void directory_for_link(void) {
    open_while(exchange_at_times, "way", "to-vault", "way/target");
}

static void file_for_link(void) {
    open_while(exchange, "fine", "to-secret", "fine");
}

// The same by absolute paths, which may be a file's own name.
static void last_link_from_root(void) {
    open_while(exchange, "to-fine", "to-secret", "/work/to-fine");
}

static void middle_link_from_root(void) {
    open_while(exchange, "to-way", "to-vault", "/work/to-way/target");
}

static void directory_for_link_from_root(void) {
    open_while(exchange_at_times, "way", "to-vault", "/work/way/target");
}

static void file_for_link_from_root(void) {
    open_while(exchange, "fine", "to-secret", "/work/fine");
}

// Other calls than opening, on "to-way/…" while that leads to one place or the other.
static void change_while_exchanging(void (*change)(long round)) {
    struct exchange names = {"to-way", "to-vault"};
    struct racer racer;
    begin(&racer, exchange, &names);
    for (long round = 0; race_on(); round++)
        change(round);
    end(&racer);
}

static int is_in_vault(const char *name) {
    char path[64];
    struct stat is;
    snprintf(path, sizeof path, "vault.denied/%s", name);
    return !fstatat(AT_FDCWD, path, &is, AT_SYMLINK_NOFOLLOW);
}

static char made[32], through[64];

static void name_of(long round) {
    snprintf(made, sizeof made, "new%ld", round % 1024);
    snprintf(through, sizeof through, "to-way/%s", made);
}

static void make_file(long round) {
    name_of(round);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, through, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    if (is_in_vault(made))
        won("made");
}

static void make_directory(long round) {
    name_of(round);
    syscall(SYS_mkdirat, AT_FDCWD, through, 0700);
    if (is_in_vault(made))
        won("made");
}

// Out of where it leads, and back: the two victims are not of the same size.
static void rename_through(long round) {
    static off_t size;
    static int out;
    struct stat is;
    if (!round)
        size = status_of("vault.denied/victim").st_size;
    const char *names[] = {"to-way/victim", "moving"};
    if (!syscall(SYS_renameat2, AT_FDCWD, names[out], AT_FDCWD, names[!out], 0))
        out = !out;
    if (fstatat(AT_FDCWD, "vault.denied/victim", &is, 0) || is.st_size != size)
        won("renamed");
}

// What has been linked is known by its number.
static void link_out(long round) {
    static const char copy[] = "linked";
    static ino_t secret;
    struct stat is;
    if (!round)
        secret = status_of("vault.denied/target").st_ino;
    if (syscall(SYS_linkat, AT_FDCWD, "to-way/target", AT_FDCWD, copy, 0))
        return;
    if (!fstatat(AT_FDCWD, copy, &is, 0) && is.st_ino == secret)
        won("linked");
    unlink(copy);
}

static void remove_victim(long round) {
    (void)round;
    syscall(SYS_unlinkat, AT_FDCWD, "to-way/victim", 0);
    if (!is_in_vault("victim"))
        won("removed");
}

static void change_mode(long round) {
    syscall(SYS_fchmodat, AT_FDCWD, "to-way/target", round % 2 ? 0604 : 0640);
    if ((status_of("vault.denied/target").st_mode & 07777) != 0644)
        won("changed");
}

static void change_times(long round) {
    const struct timespec times[2] = {{.tv_sec = 1000 + round}, {.tv_sec = 1000 + round}};
    syscall(SYS_utimensat, AT_FDCWD, "to-way/target", times, 0);
    if (status_of("vault.denied/target").st_mtime == 1000 + round)
        won("changed");
}

static void cut(long round) {
    (void)round;
    syscall(SYS_truncate, "to-way/target", 2);
    if (status_of("vault.denied/target").st_size == 2)
        won("cut");
}

#define CHANGING(name, change) static void name(void) { change_while_exchanging(change); }
CHANGING(making_files, make_file)
CHANGING(making_directories, make_directory)
CHANGING(renaming, rename_through)
CHANGING(linking, link_out)
CHANGING(removing, remove_victim)
CHANGING(modes, change_mode)
CHANGING(times, change_times)
CHANGING(cutting, cut)

// Two descriptors that take turns under one number.
struct numbers {
    int one, other, number;
};

static void swap_number(void *argument) {
    const struct numbers *numbers = argument;
    dup2(numbers->other, numbers->number);
    linger();
    dup2(numbers->one, numbers->number);
    linger();
}

static struct numbers two_directories(void) {
    struct numbers numbers = {open("way", O_PATH | O_CLOEXEC), open("vault.denied", O_PATH | O_CLOEXEC), 50};
    require(numbers.one, "way");
    require(numbers.other, "vault.denied");
    require(dup2(numbers.one, numbers.number), "dup2");
    return numbers;
}

static void directory_number(void) {
    struct numbers numbers = two_directories();
    struct racer racer;
    begin(&racer, swap_number, &numbers);
    while (race_on())
        if (is_secret((int)syscall(SYS_openat, numbers.number, "target", O_RDONLY | O_CLOEXEC)))
            won("read");
    end(&racer);
}

static void procfs_number(void) {
    struct numbers numbers = two_directories();
    struct racer racer;
    begin(&racer, swap_number, &numbers);
    open_all_the_time("/proc/self/fd/50/target");
    end(&racer);
}

static void move(void *argument) {
    const struct numbers *numbers = argument;
    (void)!fchdir(numbers->other);
    linger();
    (void)!fchdir(numbers->one);
    linger();
}

static void working_directory(void) {
    struct numbers numbers = two_directories();
    struct racer racer;
    begin(&racer, move, &numbers);
    open_all_the_time("target");
    end(&racer);
}

static void enter(void *argument) {
    const struct numbers *numbers = argument;
    if (fchdir(numbers->other) || chroot("."))
        give_up("chroot");
    linger();
    if (fchdir(numbers->one) || chroot("."))
        give_up("chroot");
    linger();
}

static void root_directory(void) {
    struct numbers numbers = two_directories();
    struct racer racer;
    begin(&racer, enter, &numbers);
    open_all_the_time("/target");
    end(&racer);
}

const struct attack PATH_RACES[] = {
    {"NT-01-thread", name_by_thread},
    {"NT-01-process", name_by_process},
    {"NT-01-openat2", structure_by_thread},
    {"NT-18-last-link", last_link},
    {"NT-18-middle-link", middle_link},
    {"NT-18-directory-for-link", directory_for_link},
    {"NT-18-file-for-link", file_for_link},
    {"NT-18-last-link-from-root", last_link_from_root},
    {"NT-18-middle-link-from-root", middle_link_from_root},
    {"NT-18-directory-for-link-from-root", directory_for_link_from_root},
    {"NT-18-file-for-link-from-root", file_for_link_from_root},
    {"NT-18-create", making_files},
    {"NT-18-mkdir", making_directories},
    {"NT-18-rename", renaming},
    {"NT-18-link", linking},
    {"NT-18-unlink", removing},
    {"NT-18-chmod", modes},
    {"NT-18-utimens", times},
    {"NT-18-truncate", cutting},
    {"NT-08-directory-number", directory_number},
    {"NT-08-procfs-number", procfs_number},
    {"NT-08-working-directory", working_directory},
    {"NT-08-root-directory", root_directory},
    {NULL, NULL},
};
