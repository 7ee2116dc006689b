// SPDX-License-Identifier: Apache-2.0
// The ground: a directory with one of everything. After each case it is compared with what it was,
// and made anew if it differs. All times of what is in it are long past, so that "now" shows.

#include "conform.h"
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

char top[PATH_MAX];
char ground[PATH_MAX];

enum { MAX_ENTRIES = 128, PAST = 1000000000 };

// What is seen of a file; each field is compared by itself.
enum field { KIND, OWNER, LINKS, DATA, MTIME, ATIME, ATTRIBUTES, FIELDS };
static const char *const FIELD_NAMES[FIELDS] = {"kind",  "owner", "links",     "data",
                                                "mtime", "atime", "attributes"};

struct entry {
    char name[NAME_MAX * 2];
    char fields[FIELDS][160];
    int differs;
};

struct listing {
    int count;
    struct entry entries[MAX_ENTRIES];
};

static struct listing before, after;

const char *absolute(const char *name) {
    static char buffers[8][PATH_MAX + NAME_MAX];
    static int next;
    char *buffer = buffers[next++ % 8];
    snprintf(buffer, sizeof buffers[0], "%s/%s", ground, name);
    return buffer;
}

// What is there. Parents come before what is in them.
static const struct thing {
    const char *name;
    mode_t mode;
    uid_t owner;
    gid_t group;
    const char *target; // of a link; of a file another name of which this is
} THINGS[] = {
    {"..", S_IFDIR | 0755, 0, 0, NULL},
    {".", S_IFDIR | 0755, 0, 0, NULL},
    {"file", S_IFREG | 0644, 0, 0, NULL},
    {"twin", S_IFREG | 0644, 0, 0, "file"},
    {"other", S_IFREG | 0600, 0, 0, NULL},
    {"dir", S_IFDIR | 0755, 0, 0, NULL},
    {"dir/inner", S_IFREG | 0644, 0, 0, NULL},
    {"hollow", S_IFDIR | 0755, 0, 0, NULL},
    {"link", S_IFLNK, 0, 0, "file"},
    {"chain", S_IFLNK, 0, 0, "link"},
    {"dirlink", S_IFLNK, 0, 0, "dir"},
    {"dangling", S_IFLNK, 0, 0, "nowhere"},
    {"loop1", S_IFLNK, 0, 0, "loop2"},
    {"loop2", S_IFLNK, 0, 0, "loop1"},
    {"up", S_IFLNK, 0, 0, "../g/file"},
    {"deep", S_IFLNK, 0, 0, "dir/inner"},
    {"slash", S_IFLNK, 0, 0, "dirlink/"},
    {"beyond", S_IFLNK, 0, 0, "absent/x"},
    {"hidden", S_IFLNK, 0, 0, "secret"},
    {"absolute", S_IFLNK, 0, 0, ground},
    {"fifo", S_IFIFO | 0644, 0, 0, NULL},
    {"null", S_IFCHR | 0666, 0, 0, NULL},
    {"sock", S_IFSOCK | 0755, 0, 0, NULL},
    {"secret", S_IFREG | 0600, 0, 0, NULL},
    {"readable", S_IFREG | 0444, USER, USER, NULL},
    {"mine", S_IFREG | 0640, USER, USER, NULL},
    {"shared", S_IFREG | 0664, ANOTHER, GROUP, NULL},
    {"suid", S_IFREG | 06755, USER, GROUP, NULL},
    {"closed", S_IFDIR | 0700, 0, 0, NULL},
    {"closed/file", S_IFREG | 0666, USER, USER, NULL},
    {"through", S_IFDIR | 0711, 0, 0, NULL},
    {"through/file", S_IFREG | 0666, 0, 0, NULL},
    {"sticky", S_IFDIR | 01777, 0, 0, NULL},
    {"sticky/theirs", S_IFREG | 0666, 0, 0, NULL},
    {"sticky/mine", S_IFREG | 0644, USER, USER, NULL},
    {"setgid", S_IFDIR | 02777, 0, GROUP, NULL},
    {"home", S_IFDIR | 0755, USER, USER, NULL},
    {"home/theirs", S_IFREG | 0600, 0, 0, NULL},
};
enum { COUNT = sizeof THINGS / sizeof *THINGS };

static int erase(const char *path, const struct stat *is, int flag, struct FTW *level) {
    (void)is, (void)level;
    return flag == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_all(const char *path) {
    if (unlink(path) && errno == EISDIR && nftw(path, erase, 16, FTW_DEPTH | FTW_PHYS))
        give_up(path);
}

static void age(const char *path) {
    const struct timespec past[2] = {{.tv_sec = 11}, {.tv_sec = 22}};
    require(utimensat(AT_FDCWD, path, past, AT_SYMLINK_NOFOLLOW), path);
}

static void set_metadata(const char *path, const struct thing *thing) {
    if (thing->owner || thing->group || S_ISDIR(thing->mode))
        require(lchown(path, thing->owner, thing->group), path);
    if (!S_ISLNK(thing->mode))
        require(chmod(path, thing->mode & 07777), path);
}

static void make_regular(const struct thing *thing) {
    int fd = open(thing->name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    require(fd, thing->name);
    require(write(fd, thing->name, strlen(thing->name)), thing->name);
    close(fd);
    // not every filesystem has attributes
    if (!strcmp(thing->name, "file") && setxattr(thing->name, "user.had", "1", 1, 0) && errno != EOPNOTSUPP)
        give_up(thing->name);
}

static void make(const struct thing *thing) {
    switch (thing->mode & S_IFMT) {
    case S_IFREG:
        if (thing->target)
            require(link(thing->target, thing->name), thing->name);
        else
            make_regular(thing);
        break;
    case S_IFDIR: require(mkdir(thing->name, 0700), thing->name); break;
    case S_IFLNK:
        require(symlink(thing->target == ground ? absolute("file") : thing->target, thing->name), thing->name);
        break;
    default: require(mknod(thing->name, thing->mode, (1 << 8) | 3), thing->name);
    }
    set_metadata(thing->name, thing);
    age(thing->name);
}

// A chain of links as long as may be followed, and one link more; never changed.
static void build_chain(void) {
    if (mkdir("../c", 0755) && errno != EEXIST)
        give_up("c");
    for (int link = 0; link <= 40; link++) {
        char name[32], target[32];
        snprintf(name, sizeof name, "../c/%d", link);
        snprintf(target, sizeof target, "%d", link - 1);
        if (symlink(link ? target : "../g", name) && errno != EEXIST)
            give_up(name);
    }
}

static void see_attributes(const char *path, char *text, size_t size) {
    char names[512];
    ssize_t length = llistxattr(path, names, sizeof names);
    for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
        char value[64] = "";
        ssize_t count = lgetxattr(path, name, value, sizeof value - 1);
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s=%.*s;", name, (int)(count < 0 ? 0 : count), value);
    }
}

static void see_data(const char *path, const struct stat *is, char *text, size_t size) {
    if (S_ISLNK(is->st_mode)) {
        char target[PATH_MAX] = "";
        if (readlink(path, target, sizeof target - 1) > 0)
            snprintf(text, size, "%.120s", target);
    } else if (S_ISREG(is->st_mode) && is->st_mtime != 22 && is->st_size > 0) {
        char data[32] = "";
        int fd = open(path, O_RDONLY | O_NOATIME);
        ssize_t length = read(fd, data, sizeof data - 1);
        close(fd);
        snprintf(text, size, "%ld:%.*s", (long)is->st_size, (int)(length < 0 ? 0 : length), data);
    } else if (S_ISREG(is->st_mode)) {
        snprintf(text, size, "%ld", (long)is->st_size);
    }
}

static void see_time(struct timespec time, char *text, size_t size) {
    if (time.tv_sec > PAST)
        snprintf(text, size, "now");
    else
        snprintf(text, size, "%ld.%ld", (long)time.tv_sec, time.tv_nsec);
}

static struct listing *seen;

static int see(const char *path, const struct stat *is, int flag, struct FTW *level) {
    (void)flag, (void)level;
    if (!strncmp(path + strlen(top), "/c", 2))
        return 0; // the chain of links
    if (seen->count == MAX_ENTRIES)
        give_up("more than is made room for");
    struct entry *entry = &seen->entries[seen->count++];
    memset(entry, 0, sizeof *entry);
    const char *name = path + strlen(top);
    snprintf(entry->name, sizeof entry->name, "%.500s", *name ? name + 1 : "top");
    snprintf(entry->fields[KIND], 160, "%o:%lx", is->st_mode, (long)is->st_rdev);
    snprintf(entry->fields[OWNER], 160, "%u:%u", is->st_uid, is->st_gid);
    snprintf(entry->fields[LINKS], 160, "%ld", (long)is->st_nlink);
    see_time(is->st_mtim, entry->fields[MTIME], 160);
    // of a directory or a link it is this program's own doing
    if (S_ISREG(is->st_mode))
        see_time(is->st_atim, entry->fields[ATIME], 160);
    see_data(path, is, entry->fields[DATA], 160);
    see_attributes(path, entry->fields[ATTRIBUTES], 160);
    return 0;
}

static int by_name(const void *one, const void *other) {
    return strcmp(((const struct entry *)one)->name, ((const struct entry *)other)->name);
}

static void look(struct listing *listing) {
    listing->count = 0;
    seen = listing;
    if (nftw(top, see, 16, FTW_PHYS))
        give_up("looking at the ground");
    qsort(listing->entries, listing->count, sizeof *listing->entries, by_name);
}

void print_quoted(FILE *to, const char *name) {
    for (; *name; name++)
        fprintf(to, *name < ' ' || *name > '~' ? "\\x%02x" : "%c", (unsigned char)*name);
}

static void print_entry(FILE *to, const char *sign, const struct entry *entry) {
    fprintf(to, " %s", sign);
    size_t length = strlen(entry->name);
    if (length > 60)
        fprintf(to, "(%zu bytes)", length);
    else
        print_quoted(to, entry->name);
}

// How an entry differs from what it was; prints it if it may.
static int difference(const struct entry *was, const struct entry *is, FILE *to) {
    int differences = 0;
    for (int field = 0; field < FIELDS; field++) {
        if (!strcmp(was->fields[field], is->fields[field]))
            continue;
        if (!differences++)
            print_entry(to, "~", is);
        fprintf(to, ",%s=", FIELD_NAMES[field]);
        print_quoted(to, is->fields[field]);
    }
    return differences;
}

static void print_added(FILE *to, const struct entry *entry) {
    print_entry(to, "+", entry);
    for (int field = 0; field < FIELDS; field++)
        if (entry->fields[field][0]) {
            fputc(',', to);
            print_quoted(to, entry->fields[field]);
        }
}

// Looks at the ground, marks and prints what is not as it was.
static int compare(FILE *to) {
    look(&after);
    int one = 0, other = 0, differences = 0;
    while (one < before.count || other < after.count) {
        struct entry *was = &before.entries[one], *is = &after.entries[other];
        int order = one == before.count ? 1 : other == after.count ? -1 : by_name(was, is);
        if (order < 0)
            print_entry(to, "-", was);
        else if (order > 0)
            print_added(to, is);
        if (order >= 0)
            is->differs = order || difference(was, is, to);
        differences += order || is->differs;
        one += order <= 0;
        other += order >= 0;
    }
    return differences;
}

static const struct thing *thing_of(const char *name) {
    name = !strcmp(name, "top") ? ".." : !strcmp(name, "g") ? "." : strncmp(name, "g/", 2) ? "" : name + 2;
    for (int index = 0; index < COUNT; index++)
        if (!strcmp(THINGS[index].name, name))
            return &THINGS[index];
    return NULL;
}

// Removes what differs, but for directories that have a place here.
static void remove_different(void) {
    for (int index = 0; index < after.count; index++) {
        const struct entry *entry = &after.entries[index];
        const struct thing *thing = thing_of(entry->name);
        int directory = S_ISDIR(strtoul(entry->fields[KIND], NULL, 8));
        if (entry->differs && !(directory && thing && S_ISDIR(thing->mode)))
            remove_all(entry->name);
    }
}

static void make_missing(void) {
    struct stat is;
    // two names of one file
    if (lstat("file", &is) || lstat("twin", &is))
        unlink("file"), unlink("twin");
    for (const struct thing *thing = THINGS; thing < THINGS + COUNT; thing++)
        if (lstat(thing->name, &is))
            make(thing);
        else if (S_ISDIR(is.st_mode))
            removexattr(thing->name, "user.test"), set_metadata(thing->name, thing);
    for (const struct thing *thing = THINGS; thing < THINGS + COUNT; thing++)
        if (S_ISDIR(thing->mode))
            age(thing->name);
}

static void repair(void) {
    umask(022);
    require(chdir(top), top);
    remove_different();
    if (mkdir("g", 0755) && errno != EEXIST)
        give_up("g");
    require(chdir("g"), "g");
    make_missing();
}

void print_changes(void) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    if (!compare(stdout))
        return;
    repair();
    if (compare(nowhere))
        give_up("the ground could not be repaired");
}

void build_ground(void) {
    snprintf(ground, sizeof ground, "%.4000s/g", top);
    require(chdir(top), top);
    remove_all("g");
    repair();
    build_chain();
    require(chdir(".."), "..");
    age(top);
    require(chdir("g"), "g");
    look(&before);
}
