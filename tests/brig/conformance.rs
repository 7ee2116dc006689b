// SPDX-License-Identifier: Apache-2.0
//! A mediated call does what the kernel would have done: same result, same error, same effect.
//!
//! One program makes thousands of calls, each in one situation, and prints what it sees. It runs
//! once where nothing is mediated and once where everything that it touches is; line by line there
//! is no difference but those listed in [`KNOWN_OF_FILES`] and [`KNOWN_OF_SOCKETS`], and those are
//! there.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Test, victims};
use crate::test;

/// Denies nothing that the program touches, and leaves no file of it to the kernel.
const FILES: &str = r#"
name = "mediated-files"
[files]
deny = ["/work/**/*.denied"]
[process]
user_namespaces = true
"#;

/// The same where somebody wants to know of everything, so that no name is decided about before it is
/// looked up.
const LOGGED: &str = r#"
name = "mediated-logged"
[files]
deny = ["/work/**/*.denied"]
[audit]
log = "all"
[process]
user_namespaces = true
"#;

/// The same of every file that there is.
const EVERYWHERE: &str = r#"
name = "mediated-everywhere"
[files]
deny = ["/**/*.denied"]
[process]
user_namespaces = true
"#;

/// The same for sockets.
const SOCKETS: &str = r#"
name = "mediated-sockets"
[process]
user_namespaces = true
[network]
connect = ["ip *", "unix *"]
bind    = ["ip *", "unix *"]
deny    = ["ip 203.0.113.0/24", "unix /work/**/*.denied", "unix @denied"]
"#;

/// A difference that is known and meant: how the case's name begins, in what it shows, and why.
#[derive(Clone, Copy)]
struct Difference {
    case: &'static str,
    shows: Shows,
    why: &'static str,
}

/// In what a difference shows.
#[derive(Clone, Copy)]
enum Shows {
    /// Anywhere in what the case prints.
    Anywhere,
    /// In this flag alone, of which F_GETFL tells only one of both times.
    InFlag(u32),
}

const O_NOFOLLOW: u32 = 0o400_000;
const O_LARGEFILE: u32 = 0o100_000;

const NOFOLLOW: Difference = Difference {
    case: "openat O_NOFOLLOW, ",
    shows: Shows::InFlag(O_NOFOLLOW),
    why: "what is there is opened through the descriptor that holds it, which is a link to it",
};

const BY_DESCRIPTOR: Difference = Difference {
    case: "unix sockets by /proc/self/fd",
    shows: Shows::Anywhere,
    why: "binding a path takes the kernel to resolve it, whose /proc/self is then the supervisor's",
};

/// Differences between a mediated call and the kernel's. Each must show in at least one case whose
/// name begins so; whatever is not listed fails.
const KNOWN_OF_FILES: &[Difference] = &[
    NOFOLLOW,
    Difference { case: "openat O_CREAT|O_NOFOLLOW, ", ..NOFOLLOW },
    Difference {
        case: "full table, absent",
        shows: Shows::Anywhere,
        why: "that the caller has no room for a descriptor shows when the file is there to be handed over",
    },
    Difference {
        case: "a parent's entries",
        shows: Shows::Anywhere,
        why: "magic links of other processes than the caller are refused",
    },
    BY_DESCRIPTOR,
    Difference {
        case: "capabilities in a user namespace of its own",
        shows: Shows::Anywhere,
        why: "they are in force there, where the supervisor is not",
    },
];

/// Those besides of 32-bit processes.
const KNOWN_SHORT: &[Difference] = if cfg!(target_arch = "x86_64") { LARGE } else { &[] };

const LARGE: &[Difference] = &[
    Difference {
        case: "short open ",
        shows: Shows::InFlag(O_LARGEFILE),
        why: "a 64-bit process, as the supervisor is, opens everything with this flag",
    },
    Difference {
        case: "short open of what is large ",
        shows: Shows::Anywhere,
        why: "the same: what a 32-bit process should not be able to open it can",
    },
];

/// Those besides where nothing is the kernel's.
const KNOWN_EVERYWHERE: &[Difference] =
    &[Difference { case: "create O_NOFOLLOW /proc/self/comm", ..NOFOLLOW }];

/// Those besides where everything is looked up first.
const KNOWN_LOGGED: &[Difference] =
    &[Difference { case: "flags O_DIRECTORY|O_NOFOLLOW, dir", ..NOFOLLOW }];

/// The same of sockets.
const KNOWN_OF_SOCKETS: &[Difference] = &[
    Difference {
        case: "unix credentials of ",
        shows: Shows::Anywhere,
        why: "the pid that a server sees is the supervisor's: nobody can connect as another process",
    },
    Difference {
        case: "unix credentials that 0 says are ",
        shows: Shows::Anywhere,
        why: "the same of the pid that a message carries",
    },
    Difference {
        case: "sendmsg with control data to ",
        shows: Shows::Anywhere,
        why: "control data of a protocol that brig does not know could name another destination",
    },
    Difference {
        case: "sendmsg from a chosen address",
        shows: Shows::Anywhere,
        why: "IP_PKTINFO chooses another way than was decided about",
    },
    BY_DESCRIPTOR,
];

/// Thousands of processes, one after the other, on a machine that may have other things to do.
const LONGEST: Duration = Duration::from_secs(180);

/// What the program prints, by the case's name.
type Lines = BTreeMap<String, String>;

fn conform(t: &mut Test, profile: &str) -> Lines {
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    fs::copy(victims::conform(), t.bundle.file("/conform")).unwrap();
    t.bundle.capabilities(&[
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SYS_CHROOT",
    ]);
    t.bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    if cfg!(target_arch = "x86_64") {
        let both = json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
        t.bundle.config["linux"]["seccomp"]["architectures"] = both;
    }
    t.bundle.args(["/conform", "/work"]);
    t.bundle.write();
    let run = t.brig().args(["--profile", profile, "run", "--bundle"]).arg(&t.bundle.dir);
    let outcome = run.arg(t.id("c")).limit(LONGEST).run().ok();
    let mut lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.pop(), Some("end"), "{}", outcome.stdout);
    let split = |line: &str| {
        let (name, seen) = line.split_once(" ->").unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), seen.to_owned())
    };
    let count = lines.len();
    let lines: Lines = lines.into_iter().map(split).collect();
    assert_eq!(lines.len(), count, "two cases have one name");
    lines
}

fn bundle(t: &mut Test) {
    let options = ["mode=755", "size=64m"];
    t.bundle.mount(json!({
        "destination": "/work", "type": "tmpfs", "source": "tmpfs", "options": options,
    }));
}

/// A case that is not the same.
struct Found<'a> {
    name: &'a str,
    bare: &'a str,
    instead: &'a str,
}

impl Found<'_> {
    fn is(&self, known: &Difference) -> bool {
        let shows = match known.shows {
            Shows::Anywhere => true,
            Shows::InFlag(flag) => {
                without_flag(self.bare, flag) == without_flag(self.instead, flag)
            }
        };
        shows && self.name.starts_with(known.case)
    }

    /// For people.
    fn text(&self) -> String {
        let Self { name, bare, instead } = self;
        format!("{name}\n  bare:    {bare}\n  instead: {instead}")
    }
}

/// What a case would print if a flag were not among those of its descriptors.
fn without_flag(line: &str, flag: u32) -> String {
    let word = |word: &str| match word.strip_prefix("flags=") {
        Some(flags) => format!("flags={:o}", u32::from_str_radix(flags, 8).unwrap() & !flag),
        None => word.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn differences<'a>(bare: &'a Lines, other: &'a Lines) -> Vec<Found<'a>> {
    assert!(bare.keys().eq(other.keys()), "the cases are not the same");
    let pairs = bare.iter().zip(other.values());
    let different = pairs.filter(|((_, one), other)| one != other);
    different.map(|((name, bare), instead)| Found { name, bare, instead }).collect()
}

/// Holds what differs against what is known to.
fn judge(found: &[Found<'_>], known: &[Difference]) -> Result<(), String> {
    let unlisted = found.iter().filter(|one| !known.iter().any(|known| one.is(known)));
    let mut complaints: Vec<String> = unlisted.map(Found::text).collect();
    for known in known {
        if !found.iter().any(|one| one.is(known)) {
            complaints.push(format!("no longer so, remove it: {} ({})", known.case, known.why));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(format!("{} differences:\n{}", complaints.len(), complaints.join("\n")))
}

#[test]
fn two_runs_of_the_conformance_cases_say_the_same() {
    let mut t = test!();
    bundle(&mut t);
    let first = conform(&mut t, "none");
    assert!(first.len() >= 10_000, "only {} cases", first.len());
    let second = conform(&mut t, "none");
    judge(&differences(&first, &second), &[]).unwrap_or_else(|text| panic!("{text}"));
}

fn check_mediated(profile: &str, known: &[Difference]) {
    let mut t = test!();
    bundle(&mut t);
    let profile = t.profile("mediated.toml", profile);
    let bare = conform(&mut t, "none");
    let mediated = conform(&mut t, profile.to_str().unwrap());
    judge(&differences(&bare, &mediated), known).unwrap_or_else(|text| panic!("{text}"));
}

#[test]
fn a_call_about_files_does_what_the_kernel_would_have_done() {
    check_mediated(FILES, &[KNOWN_OF_FILES, KNOWN_SHORT].concat());
}

#[test]
fn a_call_that_is_logged_does_what_the_kernel_would_have_done() {
    check_mediated(LOGGED, &[KNOWN_OF_FILES, KNOWN_SHORT, KNOWN_LOGGED].concat());
}

#[test]
fn a_call_about_any_file_does_what_the_kernel_would_have_done() {
    check_mediated(EVERYWHERE, &[KNOWN_OF_FILES, KNOWN_SHORT, KNOWN_EVERYWHERE].concat());
}

#[test]
fn a_call_about_sockets_does_what_the_kernel_would_have_done() {
    check_mediated(SOCKETS, KNOWN_OF_SOCKETS);
}

#[test]
fn a_difference_that_is_not_listed_and_one_that_is_gone_are_both_told() {
    const LISTED: &[Difference] =
        &[Difference { case: "a ", shows: Shows::Anywhere, why: "because" }];
    let bare = lines(&[("a 1", " 0"), ("a 2", " 0"), ("b", " 0")]);
    let check = |other: &Lines| judge(&differences(&bare, other), LISTED);
    assert_eq!(check(&lines(&[("a 1", " 0"), ("a 2", " EPERM"), ("b", " 0")])), Ok(()));
    let unlisted = check(&lines(&[("a 1", " 1"), ("a 2", " 0"), ("b", " EPERM")])).unwrap_err();
    assert!(unlisted.contains("1 differences") && unlisted.contains("b\n"), "{unlisted}");
    let gone = check(&bare).unwrap_err();
    assert!(gone.contains("no longer so, remove it: a  (because)"), "{gone}");
}

#[test]
fn a_flag_that_is_known_to_be_missing_hides_nothing_else() {
    const LISTED: &[Difference] = &[Difference { case: "a", ..NOFOLLOW }];
    let bare = lines(&[("a 1", " flags=500000 size=4"), ("a 2", " flags=500000 size=4")]);
    let check = |two| {
        judge(&differences(&bare, &lines(&[("a 1", " flags=100000 size=4"), ("a 2", two)])), LISTED)
    };
    assert_eq!(check(" flags=100000 size=4"), Ok(()));
    for other in [" flags=100000 size=5", " flags=0 size=4", " EACCES"] {
        assert!(check(other).unwrap_err().contains("a 2\n"), "{other}");
    }
}

fn lines(pairs: &[(&str, &str)]) -> Lines {
    pairs.iter().map(|(name, seen)| ((*name).to_owned(), (*seen).to_owned())).collect()
}
