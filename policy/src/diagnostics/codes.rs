// SPDX-License-Identifier: Apache-2.0
//! The stable codes of everything that brig says about a profile or its own configuration.
//!
//! A code's meaning never changes and a number is never used twice. The table
//! below is the only list: `profiles/CODES.md` is printed from it, and a test
//! provokes each of them.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The profile means nothing until this is mended.
    Error,
    /// The profile means what it says, but hardly what its author wants.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $severity:ident $number:literal $title:literal $text:literal;)*) => {
        /// A stable code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The code as it is shown, for example `E0102`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $number,)* }
            }

            /// What is wrong, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// What it means and what to do, for `profiles/CODES.md`.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$variant => $text,)* }
            }

            /// Whether it stops the profile from being used.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Code::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    Unreadable Error "E0001" "the file cannot be read"
        "The file does not exist, or the caller may not read it.";
    NotText Error "E0002" "the file is not UTF-8 text"
        "A profile is TOML, and TOML is UTF-8. A byte of a path that is not UTF-8 is written as an escape: `\\xNN` in a single-quoted string.";
    TooLarge Error "E0003" "the file is too large"
        "A profile file may have 16 MiB.";
    NotTrusted Error "E0004" "somebody else can write the file"
        "A profile must belong to root or to the caller, and neither its group nor others may write it: whoever can write a profile decides what a container may do. `chmod go-w FILE`, or copy it.";
    NotAFile Error "E0005" "not a regular file"
        "Only a regular file is read as a profile: not a directory, a FIFO, a socket or a device.";
    TooMany Error "E0006" "too many rules, files or tests"
        "A policy may have 500,000 rules and a profile may be made of 256 files, so that time and memory are bounded whatever a profile says.";
    Syntax Error "E0100" "the text is not TOML"
        "The text breaks the grammar of TOML 1.1, or is nested more than 80 levels deep.";
    DuplicateKey Error "E0101" "a key is given twice"
        "TOML allows each key once in a table. Put both values into one list.";
    UnknownKey Error "E0102" "unknown key"
        "No such key exists there. A misspelt key would otherwise be a rule that is silently not applied.";
    WrongType Error "E0103" "a value of the wrong type"
        "The key takes a value of another type; the label says which.";
    MissingKey Error "E0104" "a key is missing"
        "A table of this kind must have the key.";
    UnknownChoice Error "E0105" "not one of the possible values"
        "The key takes one of a few words; the label lists them.";
    OutOfRange Error "E0106" "a number out of range"
        "The number is smaller or larger than what the key takes.";
    Combination Error "E0107" "keys that do not go together"
        "Exactly one of the keys that the label lists must be given.";
    UnknownProfile Error "E0201" "no built-in profile has this name"
        "In `extends`, a name without a slash that does not end in `.toml` is a built-in profile. To name a file of that name, write `./name` or `name.toml`.";
    MissingParent Error "E0202" "a parent profile cannot be read"
        "A file that `extends` names cannot be read, or may not be trusted. Its name is taken relative to the file that names it.";
    Cycle Error "E0203" "profiles extend each other in a circle"
        "A profile cannot extend itself, directly or through its parents.";
    TooDeep Error "E0204" "parents are nested too deep"
        "A profile may have 16 generations of parents.";
    Conflict Error "E0205" "two parents disagree"
        "Two parents give a setting different values and neither extends the other. Order never matters in a profile, so neither can win: give the value in the child.";
    UnsetVariable Error "E0210" "a variable has no value"
        "Give the variable a default in `[vars]`, or a value with `--set name=value`.";
    BadVariable Error "E0211" "a malformed use of a variable"
        "A variable is used as `${name}`; a name has letters, digits, `_` and `-`. A `$` that begins no variable is written `$$`.";
    UnusedOverride Error "E0212" "a value for a variable that does not exist"
        "`--set` names a variable that no file of the profile declares or uses: the value would have no effect.";
    NotAbsolute Error "E0301" "a path that is not absolute"
        "Paths are those that the container sees, from its root: they begin with `/`.";
    DotComponent Error "E0302" "`.`, `..` or an empty component in a path"
        "Paths are not normalised: `/a/../b` might not be `/b` where `/a` is a symbolic link. Write the path that is meant.";
    BadPattern Error "E0303" "a malformed path pattern"
        "In a pattern, `*` and `?` stay within a component, `**` is a whole component, `[…]` is one of several bytes, `{a,b}` one of several texts; `\\` takes a special meaning away.";
    BadAddress Error "E0401" "a malformed address"
        "An address is `PROTO ADDRESS[:PORT[-PORT]]` or `unix /path` or `unix @name`.";
    UnknownProtocol Error "E0402" "unknown protocol"
        "The protocols are `tcp`, `udp`, `ip` (any) and `unix`.";
    UnknownAddressSet Error "E0403" "unknown named set of addresses"
        "The named sets are `@loopback`, `@private`, `@link-local`, `@metadata`, `@multicast` and `@public`.";
    BadPort Error "E0404" "a malformed port"
        "A port is a number from 0 to 65535, or a range of two of them, the smaller first.";
    UnknownSyscall Error "E0501" "no kernel has this system call"
        "The name is in no system call table of a Linux kernel. A misspelt deny would otherwise deny nothing.";
    UnknownSyscallSet Error "E0502" "unknown set of system calls"
        "The sets are systemd's, as systemd.exec(5) lists them.";
    UnknownConstant Error "E0503" "unknown name of a constant"
        "Values of arguments are numbers, or names that brig knows. Write the number for any other.";
    BadSyscallRule Error "E0504" "a system call rule that cannot be applied"
        "A comparison of arguments belongs to one system call, not to a set, and needs `arg` and a comparison; `except` belongs to a set.";
    UnknownCapability Error "E0601" "unknown capability"
        "The name is none of capabilities(7)'s. Both `net_admin` and `CAP_NET_ADMIN` are understood.";
    BadSize Error "E0602" "a malformed size"
        "A size is a number of bytes, or a number with `K`, `M`, `G` or `T` (powers of 1024).";
    BadTest Error "E0701" "a test that cannot be evaluated"
        "The operation of the `[[test]]` is malformed.";
    BadDestination Error "E0801" "a file for decisions that go elsewhere, or none"
        "In the operator's `config.toml`, `file` of `[log]` goes with `decisions = \"file\"` and with nothing else; it is an absolute path.";
    BadReference Error "E0802" "not a profile's name"
        "In the operator's `config.toml`, a profile is named by a plain name (a file `NAME.toml` in `profiles/`, or else a built-in profile), or by a path, which has a slash; a relative one begins beside `config.toml`.";
    Duplicate Warning "W0001" "a rule is given twice"
        "Another rule says exactly the same. Remove one.";
    GrantUnderDeny Warning "W0002" "a grant that is wholly denied"
        "A deny covers everything that the grant names, and a deny always wins: the grant can never matter.";
    DenyWithoutGrant Warning "W0003" "a deny of what nothing grants"
        "The lists of grants are present and none of them overlaps the deny, so that it can never matter.";
    WriteAndExecute Warning "W0004" "a path that is both writable and executable"
        "Whoever can make the program write a file there can make it run that file.";
    IdleExcept Warning "W0005" "an exception that excepts nothing"
        "Nothing that the rule names is also named by the `except`.";
    TestContradicts Warning "W0006" "a test that the profile does not pass"
        "The `[[test]]` expects another decision than the profile's. `brig policy test` fails.";
    ShadowedByKill Warning "W0007" "a deny that is also a kill"
        "The system call is in both `deny` and `kill`; the stricter holds, so that the deny can never matter.";
    UnusedVariable Warning "W0008" "a variable that nothing uses"
        "The variable has a default in `[vars]`, and no file of the profile uses it.";
    DenyCouldBeMask Warning "W0009" "a deny that costs mediation and could be a mask"
        "Landlock grants directories whole, so a deny by a pattern leaves all that the pattern's directory holds to the supervisor, which then sees every opening of a file. A `mask` by the same pattern is a mount: an empty file or directory stands in the place of what is there when the container starts.";
    Unenforceable Warning "W0010" "a rule that this host cannot enforce"
        "The kernel lacks what the rule needs. No container is started with it, unless the operator's configuration says `enforcement = \"best-effort\"`. `brig doctor` says what is missing; `brig policy plan` what each rule needs.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_in_order_and_begin_with_the_letter_of_their_severity() {
        let mut sorted: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
        for code in Code::ALL {
            let letter = match code.severity() {
                Severity::Error => 'E',
                Severity::Warning => 'W',
            };
            assert!(code.as_str().starts_with(letter) && code.as_str().len() == 5);
        }
    }
}
