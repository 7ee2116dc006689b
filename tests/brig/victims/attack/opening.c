// SPDX-License-Identifier: Apache-2.0
// Races about opening for more than reading, which has an effect of its own (it cuts or makes a file),
// and about directories on the way that get another name.

#include "attack.h"
#include <sched.h>
#include <semaphore.h>

// One way in after the other; wins when the denied file has been cut, or is what has been opened.
static void open_while(void (*turn)(void *), struct exchange names, const char *path, const char *denied, const int *flags) {
    const struct stat secret = status_of(denied);
    struct stat is;
    struct racer racer;
    begin(&racer, turn, &names);
    for (long round = 0; race_on(); round++) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags[round % 3] | O_CLOEXEC, 0600);
        if (fd >= 0 && !fstat(fd, &is) && is.st_ino == secret.st_ino)
            won("opened");
        close(fd);
        if (status_of(denied).st_size != secret.st_size)
            won("cut");
    }
    end(&racer);
}

static void file_for_link(const char *path, const int *flags) {
    open_while(exchange, (struct exchange){"fine", "to-secret"}, path, "secret.denied", flags);
}

static void directory_for_link(const char *path, const int *flags) {
    open_while(exchange_at_times, (struct exchange){"way", "to-vault"}, path, "vault.denied/target", flags);
}

static const int CUTTING[] = {O_WRONLY | O_TRUNC, O_WRONLY | O_CREAT | O_TRUNC, O_RDONLY | O_TRUNC};
static const int MAKING[] = {O_RDONLY | O_CREAT, O_WRONLY | O_CREAT, O_RDWR | O_CREAT | O_APPEND};

#define OPENING(name, way, path, flags) static void name(void) { way(path, flags); }
OPENING(cut, file_for_link, "fine", CUTTING)
OPENING(cut_from_root, file_for_link, "/work/fine", CUTTING)
OPENING(cut_below, directory_for_link, "way/target", CUTTING)
OPENING(cut_below_from_root, directory_for_link, "/work/way/target", CUTTING)
OPENING(existing, file_for_link, "fine", MAKING)
OPENING(existing_from_root, file_for_link, "/work/fine", MAKING)
OPENING(existing_below, directory_for_link, "way/target", MAKING)
OPENING(existing_below_from_root, directory_for_link, "/work/way/target", MAKING)

// A box takes what is put into it and nothing in it may be read; what is once in there cannot get out,
// since it would gain by that. So each time a new directory is put into it while threads that are in the
// directory open a file, and then the secret is put into the directory, which has another name by then:
// neither the secret nor anything that may be read ever was at "moving/inside".
// Groups make whoever becomes a thread take longer. With so many it takes as long as a move.
enum { OPENERS = 3, GROUPS = 500 };

static struct {
    int work;
    sem_t begun;
} moving;

static void open_in_moved(void *argument) {
    static const gid_t groups[GROUPS];
    static _Thread_local int apart;
    (void)argument;
    if (!apart)
        require(unshare(CLONE_FS) | syscall(SYS_setgroups, GROUPS, groups), "unshare"), apart = 1;
    require(fchdir(moving.work), "fchdir");
    if (chdir("moving"))
        return;
    sem_post(&moving.begun);
    if (holds_secret("inside"))
        won("read");
}

static void move_into_box(long round) {
    while (!sem_trywait(&moving.begun))
        ;
    require(mkdir("moving", 0700), "mkdir");
    // each that begins is a round
    for (int begun = 0; begun < OPENERS && (!begun || race_on()); begun++)
        sem_wait(&moving.begun);
    for (long turn = round % 16; turn; turn--)
        linger();
    require(rename("moving", "unread.box/moving"), "rename the directory");
    require(rename("unread.box/secret", "unread.box/moving/inside"), "rename the secret");
    linger();
    require(rename("unread.box/moving/inside", "unread.box/secret"), "rename it back");
    require(rmdir("unread.box/moving"), "rmdir");
}

static void moved_directory(void) {
    struct racer racers[OPENERS];
    // not the way by which it came here: what may be written is another mount
    require(chdir("/work"), "/work");
    moving.work = open(".", O_PATH | O_CLOEXEC);
    require(moving.work, ".");
    sem_init(&moving.begun, 0, 0);
    for (int one = 0; one < OPENERS; one++)
        begin(&racers[one], open_in_moved, NULL);
    for (long round = 0; race_on(); round++)
        move_into_box(round);
    for (int one = 0; one < OPENERS; one++)
        end(&racers[one]);
}

const struct attack OPEN_RACES[] = {
    {"NT-18-cut", cut},
    {"NT-18-cut-from-root", cut_from_root},
    {"NT-18-cut-below", cut_below},
    {"NT-18-cut-below-from-root", cut_below_from_root},
    {"NT-18-existing", existing},
    {"NT-18-existing-from-root", existing_from_root},
    {"NT-18-existing-below", existing_below},
    {"NT-18-existing-below-from-root", existing_below_from_root},
    {"NT-18-moved-directory", moved_directory},
    {NULL, NULL},
};
