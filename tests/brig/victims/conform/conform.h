// SPDX-License-Identifier: Apache-2.0
// What the parts of conform share. A case is one call in one situation; it runs in a process of its
// own, in a directory ("the ground") that always has the same things in it. What it says, and what
// it has changed of the ground, is one line of output.

#ifndef CONFORM_H
#define CONFORM_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

// newer than the headers of some C libraries
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_removexattrat 466
#endif

// What a case does; it says what it has seen.
typedef void body(const void *argument);

// main.c
void attempt(body *what, const void *argument, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_result(long result);     // a number, or the error's name
void say_descriptor(long result); // what a descriptor is; closes it
_Noreturn void give_up(const char *what);
void require(long result, const char *what);

// ground.c: the directory that everything is in, and the ground below it
extern char top[PATH_MAX];
extern char ground[PATH_MAX];
enum { USER = 1000, GROUP = 500, ANOTHER = 1001 };
void build_ground(void);
void print_changes(void);
void print_quoted(FILE *to, const char *text);
const char *absolute(const char *name); // below the ground; overwritten by the eighth call after

// paths.c
enum base {
    CWD,      // AT_FDCWD, in the ground
    HERE,     // a descriptor of the ground, elsewhere
    HANDLE,   // the same with O_PATH
    INNER,    // a descriptor of a directory in the ground
    A_FILE,   // of a file
    A_LINK,   // of a symbolic link, with O_PATH
    A_HANDLE, // of a file, with O_PATH
    CLOSED,   // a number that is not open
    NEGATIVE, // -1
    GONE,     // of a directory that has been removed
};
struct place {
    const char *name;
    enum base base;
    const char *path;
};
struct call {
    const char *name;
    long (*make)(const struct call *call, int at, const char *path);
    unsigned traits;
    long number;
    unsigned long a, b, c;
};
enum {
    AT = 1,          // takes a directory's descriptor
    OPENS = 2,       // its result is a descriptor
    METADATA = 4,    // would change the root directory's
    IDENTITIES = 8,  // tried by all identities
    ADDRESS = 16,    // its path is part of an address
    BLOCKS = 32      // waits for a fifo's other end
};
extern const struct call calls[];
int descriptor_of(enum base base);
// Whether a result may be another one the next time: where ".." must not lead out, the kernel wants to
// be asked again after a rename or mount anywhere, and where it begins a walk anew, which those make it
// do, too, it counts the links twice.
int again(long result);
struct open_how;
long openat2_again(int at, const char *path, struct open_how *how);
void try_call(const struct call *call, const struct place *place);

// tasks.c: threads
long in_thread(long (*work)(void *), void *argument);
_Noreturn void after_execve(const char *path);
void await_sleep(pid_t task);

// each part's cases
void paths_cases(void);
void opens_cases(void);
void creating_cases(void);
void pairs_cases(void);
void elsewhere_cases(void);
void attributes_cases(void);
void values_cases(void);
void noticed_cases(void);
void short_cases(void);
void nested_cases(void);
void descriptors_cases(void);
void identities_cases(void);
void magic_cases(void);
void tasks_cases(void);
void interrupted_cases(void);
void internet_cases(void);
void datagrams_cases(void);
void local_cases(void);

#endif
