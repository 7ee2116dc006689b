// SPDX-License-Identifier: Apache-2.0
//! A mediated call does what the kernel would have done: same result, same error, same effect.
//!
//! One program makes thousands of calls, each in one situation, and prints what it sees. It runs
//! once where nothing is mediated and once where everything that it touches is; line by line there
//! is no difference but those listed in [`KNOWN_OF_SOCKETS`], and those are there.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use crate::harness::{Test, victims};
use crate::test;

/// Denies nothing that the program touches, and leaves no file of it to the kernel.
const FILES: &str = r#"
name = "mediated-files"
[files]
deny = ["/work/**/*.denied"]
"#;

/// The same for sockets.
const SOCKETS: &str = r#"
name = "mediated-sockets"
[network]
connect = ["ip *", "unix *"]
bind    = ["ip *", "unix *"]
deny    = ["ip 203.0.113.0/24", "unix /work/**/*.denied", "unix @denied"]
"#;

/// A difference that is known and meant: how the case's name begins, and why.
struct Difference {
    case: &'static str,
    why: &'static str,
}

/// Differences between a mediated call and the kernel's. Each must show in at least one case whose
/// name begins so; whatever is not listed fails.
const KNOWN_OF_SOCKETS: &[Difference] = &[Difference {
    case: "unix credentials of ",
    why: "the pid that a server sees is the supervisor's: nobody can connect as another process",
}];

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
    t.bundle.args(["/conform", "/work"]);
    t.bundle.write();
    let run = t.brig().args(["--profile", profile, "run", "--bundle"]).arg(&t.bundle.dir);
    let outcome = run.arg(t.id("c")).run().ok();
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

/// What differs, as a text for people.
fn differences<'a>(bare: &'a Lines, other: &'a Lines) -> Vec<(&'a str, String)> {
    assert!(bare.keys().eq(other.keys()), "the cases are not the same");
    let pairs = bare.iter().zip(other.values());
    let different = pairs.filter(|((_, one), other)| one != other);
    let text = |one: &str, other: &str| format!("\n  bare:    {one}\n  instead: {other}");
    different.map(|((name, one), other)| (name.as_str(), text(one, other))).collect()
}

/// Holds what differs against what is known to.
fn judge(found: &[(&str, String)], known: &[Difference]) -> Result<(), String> {
    let listed = |name: &str| known.iter().any(|one| name.starts_with(one.case));
    let mut complaints: Vec<String> = found
        .iter()
        .filter(|(name, _)| !listed(name))
        .map(|(name, text)| format!("{name}{text}"))
        .collect();
    for one in known {
        if !found.iter().any(|(name, _)| name.starts_with(one.case)) {
            complaints.push(format!("no longer so, remove it: {} ({})", one.case, one.why));
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
#[ignore = "calls do not do all that they should yet"]
fn a_call_about_files_does_what_the_kernel_would_have_done() {
    check_mediated(FILES, &[]);
}

#[test]
#[ignore = "needs a supervisor that connects"]
fn a_call_about_sockets_does_what_the_kernel_would_have_done() {
    check_mediated(SOCKETS, KNOWN_OF_SOCKETS);
}

#[test]
fn a_difference_that_is_not_listed_and_one_that_is_gone_are_both_told() {
    const LISTED: &[Difference] = &[Difference { case: "a ", why: "because" }];
    let lines = |pairs: &[(&str, &str)]| -> Lines {
        pairs.iter().map(|(name, seen)| ((*name).to_owned(), (*seen).to_owned())).collect()
    };
    let bare = lines(&[("a 1", " 0"), ("a 2", " 0"), ("b", " 0")]);
    let check = |other: &Lines| judge(&differences(&bare, other), LISTED);
    assert_eq!(check(&lines(&[("a 1", " 0"), ("a 2", " EPERM"), ("b", " 0")])), Ok(()));
    let unlisted = check(&lines(&[("a 1", " 1"), ("a 2", " 0"), ("b", " EPERM")])).unwrap_err();
    assert!(unlisted.contains("1 differences") && unlisted.contains("b\n"), "{unlisted}");
    let gone = check(&bare).unwrap_err();
    assert!(gone.contains("no longer so, remove it: a  (because)"), "{gone}");
}
