// SPDX-License-Identifier: Apache-2.0
// Races about opening for more than reading, which has an effect of its own: it cuts or makes a file.

#include "attack.h"

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
OPENING(cut_below_from_root, directory_for_link, "/work/way/target", CUTTING)
OPENING(existing, file_for_link, "fine", MAKING)
OPENING(existing_from_root, file_for_link, "/work/fine", MAKING)
OPENING(existing_below, directory_for_link, "way/target", MAKING)

const struct attack OPEN_RACES[] = {
    {"NT-18-cut", cut},
    {"NT-18-cut-from-root", cut_from_root},
    {"NT-18-cut-below-from-root", cut_below_from_root},
    {"NT-18-existing", existing},
    {"NT-18-existing-from-root", existing_from_root},
    {"NT-18-existing-below", existing_below},
    {NULL, NULL},
};
