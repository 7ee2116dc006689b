// SPDX-License-Identifier: Apache-2.0
//! Properties of decisions and diffs, on generated policies and every operation of a small world.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use brig_policy::decide::{Decider, FileKind, FileOperation, Operation, Verdict};
use brig_policy::diff::{Change, diff};
use brig_policy::policy::{AccessSet, Policy};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use support::policy;

/// Patterns that meet, miss and contain each other in many ways.
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/b",
    "/a/b",
    "/a/b/c",
    "/a/*",
    "/*/b",
    "/**/c",
    "/a/**",
    "/a/[bc]",
    "/{a,b}/c",
    "/a?",
    "/**/a*",
    "/a/**/c",
    "/[!a]",
    "/b/*c",
    "/a/{b,c}/**/a",
    "/a**c",
    "/.a",
    "/*",
];
const FILE_LISTS: &[&str] =
    &["files.read", "files.write", "files.execute", "files.deny", "files.mask", "files.deny"];
const ADDRESSES: &[&str] = &[
    "*",
    "tcp *",
    "ip *",
    "tcp 10.0.0.0/8",
    "tcp 10.0.0.0/8:80",
    "tcp 10.0.0.1:80-90",
    "udp @private",
    "tcp @loopback",
    "tcp [::/0]:80",
    "tcp [fd00::/8]",
    "tcp *:81-65535",
    "unix *",
    "unix /a",
    "unix /a/*",
    "unix @a*",
    "unix @*",
    "unix @a",
    "ip @link-local",
    "udp 0.0.0.0/0:0",
    "tcp 10.0.0.0/9",
    "unix @[ab]?",
];
const NETWORK_LISTS: &[&str] = &["network.connect", "network.bind", "network.deny"];
const SYSCALLS: &[&str] = &[
    "read",
    "read,write",
    "ioctl",
    "ioctl 1=5",
    "ioctl 0=1 1=5",
    "ioctl 1=100000005",
    "mount",
    "write",
];
const SYSCALL_LISTS: &[&str] = &["syscalls.allow", "syscalls.deny", "syscalls.kill"];

fn rules(
    lists: &'static [&'static str],
    rules: &'static [&'static str],
) -> impl Strategy<Value = String> {
    (select(lists), select(rules), subsequence(rules, 0..=2), 0..4u8).prop_map(
        |(list, rule, except, odds)| match odds {
            0 if !list.starts_with("sys") => {
                format!("{list} {rule} ! {}", except.join(" ! ")).trim_end_matches(" ! ").to_owned()
            }
            1 if rule.len() == 2
                && !list.ends_with("deny")
                && !list.ends_with("kill")
                && !list.ends_with("mask") =>
            {
                list.to_owned()
            }
            _ => format!("{list} {rule}"),
        },
    )
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    let any = prop_oneof![
        4 => rules(FILE_LISTS, PATHS),
        3 => rules(NETWORK_LISTS, ADDRESSES),
        2 => rules(SYSCALL_LISTS, SYSCALLS),
        1 => select(&["process.user_namespaces false", "process.max_processes 3", "process.capabilities bpf"][..])
            .prop_map(str::to_owned),
    ];
    proptest::collection::vec(any, 0..8)
}

/// Every operation of a small world.
fn operations() -> Vec<Operation> {
    let names = ["a", "b", "c", ".a", "x", "ac"];
    let mut paths = vec!["/".to_owned()];
    for one in names {
        paths.push(format!("/{one}"));
        for two in names {
            paths.push(format!("/{one}/{two}"));
            paths.extend(["a", "b", "c"].map(|three| format!("/{one}/{two}/{three}")));
        }
    }
    let mut texts = Vec::new();
    for path in &paths {
        for verb in ["read", "list", "modify", "create", "delete", "ioctl", "device", "execute"] {
            texts.push(format!("{verb} {path}"));
        }
        texts.extend(["connect", "bind"].map(|verb| format!("{verb} unix {path}")));
    }
    for (one, two) in [("/a", "/b"), ("/a/b", "/a/c"), ("/b/c", "/a/b/x"), ("/x", "/.a")] {
        for verb in ["rename", "replace", "exchange", "link"] {
            texts.push(format!("{verb} {one} {two}"));
            texts.push(format!("{verb} {two} {one}"));
        }
        texts.push(format!("rename {one}/ {two}"));
        texts.push(format!("exchange {one}/ {two}"));
        texts.extend(
            ["rename", "exchange", "link"].map(|verb| format!("{verb} socket {one} {two}")),
        );
        texts.push(format!("rename socket {two} {one}"));
    }
    for host in [
        "10.0.0.1",
        "10.0.0.2",
        "10.200.0.0",
        "127.0.0.1",
        "0.0.0.0",
        "9.9.9.9",
        "[fd00::1]",
        "[::]",
        "[2a00::]",
        "[::ffff:10.0.0.1]",
        "169.254.0.1",
    ] {
        for port in [0, 79, 80, 81, 85, 90, 91, 65535] {
            for verb in ["connect tcp", "bind tcp", "connect udp", "bind udp", "send udp"] {
                texts.push(format!("{verb} {host}:{port}"));
            }
        }
        texts.push(format!("connect ip {host}"));
    }
    for end in ["unix", "unix @", "unix @a", "unix @ab", "unix @b", "unix @bb", r"unix @a\x00"] {
        texts.extend(["connect", "bind"].map(|verb| format!("{verb} {end}")));
    }
    for call in [
        "read",
        "write",
        "mount",
        "ioctl",
        "ioctl 1 5",
        "ioctl 0 5",
        "ioctl 1 0x100000005",
        "getpid",
        "unshare 0x10000000",
        "clone3",
    ] {
        texts.push(format!("syscall {call}"));
    }
    texts.extend(
        [
            "process count 3",
            "process count 4",
            "process memfd-exec",
            "process capability bpf",
            "process capability sys_admin",
        ]
        .map(str::to_owned),
    );
    texts.iter().map(|text| Operation::parse(text).unwrap()).collect()
}

fn decider(policy: &Policy) -> Decider {
    Decider::new(Arc::new(policy.clone()))
}

/// The rules of a policy in another order, each still from its own line.
fn reversed(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    let files = &mut policy.files;
    for list in [&mut files.read, &mut files.write, &mut files.execute].into_iter().flatten() {
        list.reverse();
    }
    files.deny.reverse();
    files.mask.reverse();
    let network = &mut policy.network;
    for list in [&mut network.connect, &mut network.bind].into_iter().flatten() {
        list.reverse();
    }
    network.deny.reverse();
    policy.syscalls.deny.reverse();
    policy.syscalls.kill.reverse();
    policy.syscalls.allow.iter_mut().for_each(|list| list.reverse());
    policy
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_matters_neither_to_verdicts_nor_to_the_rules_that_are_cited(lines in lines()) {
        let policy = policy(&lines.join("\n"));
        let (one, other) = (decider(&policy), decider(&reversed(&policy)));
        for operation in operations() {
            prop_assert_eq!(one.decide(&operation), other.decide(&operation), "{}", operation);
        }
        prop_assert!(diff(&policy, &reversed(&policy)).unwrap().is_empty());
    }

    #[test]
    fn a_verdict_is_that_of_the_decision(
        lines in lines(),
        required in lines(),
        audits in select(&["", "audit.mode audit"][..]),
    ) {
        let text = format!("{audits}\n{}", lines.join("\n"));
        let policy = policy(&text).require(&support::policy(&required.join("\n")));
        let decider = decider(&policy);
        for operation in operations() {
            let decision = decider.decide(&operation);
            prop_assert_eq!(decider.verdict(&operation), decision.verdict, "{}", operation);
            if let Operation::File(FileOperation::Access(access, path)) = &operation {
                let allows = decider.allows(AccessSet::of(&[*access]), path);
                prop_assert_eq!(allows, decision.verdict == Verdict::Allow, "{}", operation);
            }
        }
    }

    #[test]
    fn adding_a_deny_never_permits_more(
        lines in lines(),
        deny in prop_oneof![
            rules(&["files.deny", "files.mask"], PATHS),
            rules(&["network.deny"], ADDRESSES),
            rules(&["syscalls.deny", "syscalls.kill"], SYSCALLS),
        ],
    ) {
        let before = policy(&lines.join("\n"));
        let after = policy(&format!("{}\n{deny}", lines.join("\n")));
        let (one, other) = (decider(&before), decider(&after));
        for operation in operations() {
            // What the goal may no longer do is not gained there: then a directory may be moved, and
            // a socket of no use.
            let is_move = matches!(
                &operation,
                Operation::File(
                    FileOperation::Rename { kind: FileKind::Directory | FileKind::Socket, .. }
                        | FileOperation::Link { kind: FileKind::Socket, .. }
                )
            );
            if other.decide(&operation).allows() && !is_move {
                prop_assert!(one.decide(&operation).allows(), "{}", operation);
            }
        }
        let differences = diff(&before, &after).unwrap().differences;
        prop_assert!(differences.iter().all(|difference| difference.change != Change::Allows));
    }

    #[test]
    fn a_diff_is_empty_if_and_only_if_decisions_agree(one in lines(), other in lines(), shared in lines()) {
        let first = policy(&[&shared[..], &one[..]].concat().join("\n"));
        let second = policy(&[&other[..one.len().min(other.len()) / 3], &shared[..]].concat().join("\n"));
        let (decider_one, decider_other) = (decider(&first), decider(&second));
        let found = diff(&first, &second).unwrap();
        let back = diff(&second, &first).unwrap();
        prop_assert_eq!(found.is_empty(), back.is_empty());
        for difference in &found.differences {
            let operation = Operation::parse(&difference.example).unwrap();
            let sides = [decider_one.decide(&operation), decider_other.decide(&operation)];
            prop_assert_ne!(&sides[0].verdict, &sides[1].verdict, "{}", operation);
            prop_assert_eq!(&sides[0].verdict, &difference.first.verdict, "{}", operation);
            prop_assert_eq!(&sides[1].verdict, &difference.second.verdict, "{}", operation);
            let change = match sides.map(|side| side.verdict == Verdict::Allow) {
                [false, true] => Change::Allows,
                [true, false] => Change::Denies,
                _ => Change::Answers,
            };
            prop_assert_eq!(difference.change, change);
        }
        if found.is_empty() {
            for operation in operations() {
                let sides = [decider_one.decide(&operation), decider_other.decide(&operation)];
                prop_assert_eq!(&sides[0].verdict, &sides[1].verdict, "{}", operation);
            }
        } else {
            // What is compared for the diff is all there is: no kind of operation is forgotten.
            for operation in operations() {
                let sides = [decider_one.decide(&operation), decider_other.decide(&operation)];
                let Operation::File(FileOperation::Access(access, _)) = &operation else {
                    continue;
                };
                if sides[0].verdict != sides[1].verdict {
                    prop_assert!(
                        found.differences.iter().any(|d| d.operations.contains(access.name())),
                        "{}", operation
                    );
                }
            }
        }
    }

    #[test]
    fn diffs_of_a_policy_with_itself_and_with_itself_as_required_are_empty(lines in lines()) {
        let policy = policy(&lines.join("\n"));
        prop_assert!(diff(&policy, &policy).unwrap().is_empty());
        let twice = policy.clone().require(&policy);
        prop_assert!(diff(&policy, &twice).unwrap().is_empty());
    }
}
