// SPDX-License-Identifier: Apache-2.0
//! The whole profile language, described.
//!
//! Everything that a profile may contain is in [`PROFILE`]; what is not there is
//! an error. The sentences are what an editor shows beside a key.

use super::shape::{Field, Shape, Table, optional, required};
use super::{constants, names};

/// A whole profile.
pub static PROFILE: Table = Table {
    name: "a profile",
    fields: &[
        optional("name", Shape::Text, "A short name for the profile."),
        optional("description", Shape::Text, "What the profile is for, in a sentence."),
        optional(
            "extends",
            Shape::List(&Shape::Hinted(names::built_ins)),
            "Parents: built-in profiles by name, or files relative to this one. Denies are united, and so are lists of grants where both have one.",
        ),
        optional("vars", Shape::Map(&Shape::Text), "Defaults of variables, used as ${name}."),
        optional("files", Shape::Table(&FILES), "What may be done to which files."),
        optional("network", Shape::Table(&NETWORK), "Which addresses may be used."),
        optional(
            "syscalls",
            Shape::Table(&SYSCALLS),
            "Which system calls may be used, on top of the spec's own seccomp.",
        ),
        optional("process", Shape::Table(&PROCESS), "Privileges and limits."),
        optional(
            "audit",
            Shape::Table(&AUDIT),
            "What happens to what is denied, and what is logged.",
        ),
        optional(
            "test",
            Shape::List(&Shape::Table(&TEST)),
            "What the profile is meant to allow and deny; checked by `brig policy test`.",
        ),
    ],
    exactly_one: &[],
};

const REASON: Field = optional("reason", Shape::Text, "Why; shown wherever the rule decides.");

const PATHS: Shape = Shape::List(&Shape::Text);

static FILES: Table = Table {
    name: "[files]",
    fields: &[
        optional("read", GRANTS, "Open for reading and list. Present: nothing else can be."),
        optional(
            "write",
            GRANTS,
            "Create, change, rename and delete; implies read. Present: nothing else can be.",
        ),
        optional("execute", GRANTS, "Execute; implies read. Present: nothing else can be."),
        optional("deny", DENIES, "Denied, whatever grants it: EACCES."),
        optional("mask", MASKS, "An empty file or directory stands in its place."),
    ],
    exactly_one: &[],
};

const GRANTS: Shape = Shape::List(&Shape::Either(&[Shape::Text, Shape::Table(&GRANT)]));
const DENIES: Shape = Shape::List(&Shape::Either(&[Shape::Text, Shape::Table(&DENY)]));
const MASKS: Shape = Shape::List(&Shape::Either(&[Shape::Text, Shape::Table(&MASK)]));

/// The kinds of access that `access` can name.
pub(super) const ACCESS: &[&str] =
    &["read", "list", "modify", "create", "delete", "ioctl", "device"];

static GRANT: Table = Table {
    name: "a rule for files",
    fields: &[
        required("path", Shape::Text, "An absolute path or pattern; covers everything beneath."),
        optional("except", PATHS, "What this rule does not grant."),
        optional(
            "access",
            Shape::List(&Shape::Choice(ACCESS)),
            "Only these kinds of access, instead of the list's own.",
        ),
        optional(
            "required",
            Shape::Boolean,
            "Whether it is an error if the path does not exist when the container starts.",
        ),
        REASON,
    ],
    exactly_one: &[],
};

static DENY: Table = Table {
    name: "a rule that denies files",
    fields: &[
        required("path", Shape::Text, "An absolute path or pattern; covers everything beneath."),
        optional("except", PATHS, "What this rule does not deny."),
        REASON,
    ],
    exactly_one: &[],
};

static MASK: Table = Table {
    name: "a mask",
    fields: &[required("path", Shape::Text, "An absolute path."), REASON],
    exactly_one: &[],
};

static NETWORK: Table = Table {
    name: "[network]",
    fields: &[
        optional(
            "connect",
            ADDRESSES,
            "Connect to, and send datagrams to. Present: nothing else can be; \"*\" is everything.",
        ),
        optional("bind", ADDRESSES, "Bind to. Present: nothing else can be; \"*\" is everything."),
        optional("deny", ADDRESSES, "Denied, whatever grants it: EACCES."),
    ],
    exactly_one: &[],
};

const ADDRESS: Shape = Shape::Hinted(names::addresses);
const ADDRESSES: Shape = Shape::List(&Shape::Either(&[ADDRESS, Shape::Table(&ADDRESS_RULE)]));

static ADDRESS_RULE: Table = Table {
    name: "a rule for addresses",
    fields: &[
        required(
            "address",
            ADDRESS,
            "`PROTO ADDRESS[:PORT[-PORT]]`, `unix /path` or `unix @name`.",
        ),
        optional("except", Shape::List(&ADDRESS), "What this rule is not about."),
        REASON,
    ],
    exactly_one: &[],
};

static SYSCALLS: Table = Table {
    name: "[syscalls]",
    fields: &[
        optional(
            "allow",
            CALLS,
            "Present: only these, and only those of them that the spec allows.",
        ),
        optional("deny", CALL_DENIES, "Denied, whatever allows it: EPERM."),
        optional("kill", CALLS, "Whoever calls it is killed."),
    ],
    exactly_one: &[],
};

const CALL: Shape = Shape::Hinted(names::syscalls);
const CALLS: Shape = Shape::List(&Shape::Either(&[CALL, Shape::Table(&CALL_RULE)]));
const CALL_DENIES: Shape = Shape::List(&Shape::Either(&[CALL, Shape::Table(&CALL_DENY)]));
const NUMBER: Shape = Shape::Either(&[
    Shape::Integer { least: i64::MIN, greatest: i64::MAX },
    Shape::Hinted(constants::names),
]);

static CALL_RULE: Table = Table {
    name: "a rule for system calls",
    fields: &[
        NAME, EXCEPT, ARG, MASK_BITS, EQUALS, NOT_EQUALS, LESS, AT_MOST, GREATER, AT_LEAST, ARGS,
        REASON,
    ],
    exactly_one: &[],
};

static CALL_DENY: Table = Table {
    name: "a rule that denies system calls",
    fields: &[
        NAME,
        EXCEPT,
        ARG,
        MASK_BITS,
        EQUALS,
        NOT_EQUALS,
        LESS,
        AT_MOST,
        GREATER,
        AT_LEAST,
        ARGS,
        optional(
            "errno",
            Shape::Choice(ERRNOS),
            "The error that the call returns. Default: EPERM.",
        ),
        REASON,
    ],
    exactly_one: &[],
};

/// The errors that a denied system call can return.
pub(super) const ERRNOS: &[&str] =
    &["EPERM", "EACCES", "ENOSYS", "ENOENT", "EAGAIN", "ENOMEM", "EXDEV"];

/// The ways to compare an argument, one of which a condition has.
pub(super) const COMPARISONS: &[&str] =
    &["equals", "not_equals", "less", "at_most", "greater", "at_least"];

static CONDITION: Table = Table {
    name: "a condition",
    fields: &[
        required("arg", Shape::Integer { least: 0, greatest: 5 }, "The argument, counted from 0."),
        MASK_BITS,
        EQUALS,
        NOT_EQUALS,
        LESS,
        AT_MOST,
        GREATER,
        AT_LEAST,
    ],
    exactly_one: COMPARISONS,
};

const CONDITIONS: Shape = Shape::List(&Shape::Table(&CONDITION));
const NAME: Field = required("name", CALL, "A system call, or a set of them with `@`.");
const EXCEPT: Field =
    optional("except", Shape::List(&CALL), "Members of the set that this rule is not about.");
const ARG: Field = optional(
    "arg",
    Shape::Integer { least: 0, greatest: 5 },
    "The argument to compare, counted from 0; with one of the comparisons.",
);
const ARGS: Field =
    optional("args", CONDITIONS, "Several conditions on arguments; all of them must hold.");
const MASK_BITS: Field = optional(
    "mask",
    NUMBER,
    "With `equals` or `not_equals`: only these bits of the argument are compared.",
);
const EQUALS: Field = optional("equals", NUMBER, "The argument is this.");
const NOT_EQUALS: Field = optional("not_equals", NUMBER, "The argument is not this.");
const LESS: Field = optional("less", NUMBER, "The argument is less than this.");
const AT_MOST: Field = optional("at_most", NUMBER, "The argument is this or less.");
const GREATER: Field = optional("greater", NUMBER, "The argument is greater than this.");
const AT_LEAST: Field = optional("at_least", NUMBER, "The argument is this or greater.");

static PROCESS: Table = Table {
    name: "[process]",
    fields: &[
        optional(
            "no_new_privileges",
            Shape::Boolean,
            "Whether setuid and file capabilities give nothing. Default: true.",
        ),
        optional("user_namespaces", Shape::Boolean, "Whether new user namespaces can be made."),
        optional(
            "capabilities",
            CAPABILITIES,
            "Present: only these capabilities are kept, of those that the spec gives.",
        ),
        optional(
            "max_processes",
            Shape::Integer { least: 1, greatest: i64::MAX },
            "The most processes and threads at once.",
        ),
        optional(
            "max_memory",
            Shape::Either(&[Shape::Integer { least: 1, greatest: i64::MAX }, Shape::Text]),
            "The most memory: bytes, or with K, M, G, T.",
        ),
        optional("core_dumps", Shape::Boolean, "Whether a crash may leave a core file."),
        optional(
            "memfd_exec",
            Shape::Boolean,
            "Whether files in memory may be executed where `files.execute` is present.",
        ),
    ],
    exactly_one: &[],
};

const CAPABILITIES: Shape =
    Shape::List(&Shape::Either(&[Shape::Hinted(names::capabilities), Shape::Table(&CAPABILITY)]));

static CAPABILITY: Table = Table {
    name: "a capability",
    fields: &[required("name", Shape::Hinted(names::capabilities), "Its name."), REASON],
    exactly_one: &[],
};

static AUDIT: Table = Table {
    name: "[audit]",
    fields: &[
        optional(
            "mode",
            Shape::Choice(&["enforce", "audit"]),
            "`audit` logs what would be denied and denies nothing.",
        ),
        optional("log", Shape::Choice(&["all", "denied", "none"]), "Which decisions are logged."),
    ],
    exactly_one: &[],
};

/// The operations that a test can name.
pub(super) const OPERATIONS: &[&str] = &[
    "read", "list", "write", "modify", "create", "delete", "rename", "replace", "exchange", "link",
    "execute", "ioctl", "device", "connect", "bind", "send", "syscall", "process",
];

static TEST: Table = Table {
    name: "a [[test]]",
    fields: &[
        required("expect", Shape::Choice(&["allow", "deny"]), "The decision."),
        optional("name", Shape::Text, "What the test shows."),
        optional("read", Shape::Text, "Opening this file for reading."),
        optional("list", Shape::Text, "Listing this directory."),
        optional("write", Shape::Text, "Changing this file; the same as `modify`."),
        optional("modify", Shape::Text, "Changing this file's content or metadata."),
        optional("create", Shape::Text, "Creating a file of this name."),
        optional("delete", Shape::Text, "Deleting this name."),
        optional("rename", Shape::Text, "Renaming: `FROM TO`; `FROM/` is a directory."),
        optional("replace", Shape::Text, "Renaming over what exists: `FROM TO`."),
        optional("exchange", Shape::Text, "Exchanging two names: `FROM TO`."),
        optional("link", Shape::Text, "Making a hard link: `FROM TO`."),
        optional("execute", Shape::Text, "Executing this file."),
        optional("ioctl", Shape::Text, "ioctl on this device."),
        optional("device", Shape::Text, "Making a device node of this name."),
        optional("connect", Shape::Text, "Connecting to this address: `tcp 192.0.2.1:443`."),
        optional("bind", Shape::Text, "Binding to this address."),
        optional("send", Shape::Text, "Sending a datagram to this address."),
        optional("syscall", Shape::Text, "A system call: `NAME [ARGUMENT…]`."),
        optional(
            "process",
            Shape::Text,
            "`new-privileges`, `user-namespace`, `core-dump`, `memfd-exec`, `capability NAME`, `count NUMBER` or `memory BYTES`.",
        ),
    ],
    exactly_one: OPERATIONS,
};
