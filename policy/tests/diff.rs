// SPDX-License-Identifier: Apache-2.0
//! What policies allow that others do not.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

use brig_policy::decide::{Basis, Operation, decide};
use brig_policy::diff::{Change, diff};
use support::policy;

/// `CHANGE KINDS: EXAMPLE (LINE -> LINE)`, one to a line, of each difference.
fn check(first: &str, second: &str, expected: &str) {
    let (first, second) = (policy(first), policy(second));
    let mut found = String::new();
    for difference in diff(&first, &second).unwrap().differences {
        let kinds: Vec<&str> = difference.operations.iter().map(|kind| &**kind).collect();
        let basis = |basis: &Basis| match basis {
            Basis::Rule(rule) => rule.origin.line.to_string(),
            Basis::NotGranted(list) => list.to_string(),
            Basis::Unrestricted => "nothing".into(),
            other => format!("{other:?}"),
        };
        let (change, example) =
            (format!("{:?}", difference.change).to_lowercase(), &difference.example);
        let sides = [&difference.first, &difference.second].map(|side| basis(&side.basis));
        writeln!(found, "{change} {}: {example} ({} -> {})", kinds.join(","), sides[0], sides[1])
            .unwrap();
        if difference.change != Change::Logs {
            let operation = Operation::parse(example).unwrap();
            let [one, other] = [&first, &second].map(|policy| decide(policy, &operation));
            assert_ne!((one.verdict, one.mode), (other.verdict, other.mode), "{example}");
        }
    }
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(found.trim()), lines(expected.trim()));
}

fn same(first: &str, second: &str) {
    check(first, second, "");
    check(second, first, "");
}

#[test]
fn a_profile_that_is_reordered_or_written_otherwise_is_the_same() {
    same("", "");
    same("files.read /a\nfiles.read /b", "files.read /b\nfiles.read /a\nfiles.read /a/c");
    same("files.deny /a\nfiles.deny /a/b", "files.deny /a");
    same("files.read /x/{a,b}", "files.read /x/b\nfiles.read /x/a");
    same("files.read /x/*", "files.read /x/**");
    same("files.read /x/[ab]", "files.read /x/a\nfiles.read /x/b");
    same("files.read /x/**/k", "files.read /x/k\nfiles.read /x/*/**/k");
    same("files.read /x ! /x", "files.read");
    same("files.read /x\nfiles.deny /y", "files.read /x\nfiles.deny /y\nfiles.deny /z ! /z");
    same("network.connect tcp *:1-2", "network.connect tcp *:2\nnetwork.connect tcp *:1");
    same(
        "network.deny tcp 10.0.0.0/8",
        "network.deny tcp 10.0.0.0/9\nnetwork.deny tcp 10.128.0.0/9",
    );
    same("network.deny ip *\nnetwork.deny unix *", "network.deny *");
    same("network.bind unix @a*\nnetwork.bind unix @*", "network.bind unix @*");
    same("syscalls.deny mount,umount2", "syscalls.deny mount\nsyscalls.deny umount2");
    same("syscalls.deny mount\nsyscalls.kill mount", "syscalls.kill mount");
    same("syscalls.deny ioctl\nsyscalls.deny ioctl 1=5", "syscalls.deny ioctl");
}

#[test]
fn what_files_gain_and_lose_comes_with_the_rules_and_an_example() {
    check(
        "files.read /a\nfiles.deny /a/b",
        "files.read /a\nfiles.deny /a/c",
        "allows list,read: read /a/b (2 -> 1)
         allows create,delete,device,execute,ioctl,modify: modify /a/b (2 -> nothing)
         denies list,read: read /a/c (1 -> 2)
         denies create,delete,device,execute,ioctl,modify: modify /a/c (nothing -> 2)",
    );
    check(
        "files.read",
        "files.read /srv/*.key ! /srv/x*",
        "allows list,read: read /srv/.key (files.read -> 1)",
    );
    check(
        "files.execute /bin",
        "",
        "allows execute: execute / (files.execute -> nothing)
         allows memfd-exec: process memfd-exec (files.execute -> nothing)",
    );
    check(
        "files.deny /a",
        "files.mask /a",
        "answers create,delete,device,execute,ioctl,list,modify,read: read /a (1 -> 1)",
    );
}

#[test]
fn addresses_differ_where_only_one_policy_has_a_rule() {
    check(
        "network.connect tcp 10.0.0.0/8:80",
        "network.connect tcp 10.0.0.0/8:80-81",
        "allows connect: connect tcp 10.0.0.0:81 (network.connect -> 1)",
    );
    check(
        "network.deny tcp 10.0.0.0/8\nnetwork.deny tcp *:25",
        "network.deny tcp 10.0.0.0/8 ! tcp 10.0.0.53:53\nnetwork.deny tcp *:25",
        "allows bind,connect: connect tcp 10.0.0.53:53 (1 -> nothing)",
    );
    check("network.connect", "", "allows connect: connect unix / (network.connect -> nothing)");
    check(
        "network.connect udp @loopback\nnetwork.deny tcp *:1-79",
        "network.connect udp @loopback\nnetwork.connect tcp *:1-80\nnetwork.deny tcp *:1-79",
        "allows connect: connect tcp 0.0.0.0:80 (network.connect -> 2)",
    );
}

#[test]
fn sockets_differ_by_path_and_by_name() {
    check(
        "network.bind unix /run",
        "network.bind unix /run\nnetwork.bind unix /var/*.s",
        "allows bind: bind unix /var/.s (network.bind -> 2)",
    );
    check(
        "network.bind unix /run\nfiles.write",
        "network.bind unix /run\nnetwork.bind unix /var/*.s\nfiles.write",
        "",
    );
    check(
        "network.deny unix @app-*",
        "network.deny unix @app-[0-9]*",
        "allows bind,connect: connect unix @app- (1 -> nothing)",
    );
}

#[test]
fn system_calls_differ_where_their_arguments_do() {
    check(
        "syscalls.deny ioctl 1=5412",
        "syscalls.deny ioctl 1=5412\nsyscalls.deny ioctl 1=541c 0=3",
        "denies ioctl: syscall ioctl 0x3 0x541c (nothing -> 2)",
    );
    check(
        "syscalls.allow read,write",
        "syscalls.allow read",
        "denies write: syscall write (1 -> syscalls.allow)",
    );
    check("syscalls.deny mount", "syscalls.kill mount", "answers mount: syscall mount (1 -> 1)");
    check("syscalls.allow", "", "allows any other: syscall _llseek (syscalls.allow -> nothing)");
}

#[test]
fn processes_differ_at_their_limits() {
    check(
        "process.max_processes 5",
        "process.max_processes 9\nprocess.user_namespaces false",
        "denies clone,unshare: syscall clone 0x10000000 (nothing -> 2)
         denies clone3: syscall clone3 (nothing -> 2)
         allows count: process count 6 (1 -> 1)
         denies user-namespace: process user-namespace (nothing -> 2)",
    );
}

#[test]
fn only_logging_is_a_difference() {
    check(
        "audit.mode audit",
        "",
        "logs : {(audit, denied)} -> {(enforce, denied)} (nothing -> nothing)",
    );
}

#[test]
fn what_is_required_counts() {
    let required = policy("files.read /a");
    let own = policy("files.read /").require(&required);
    assert!(diff(&own, &required).unwrap().is_empty());
    assert!(!diff(&own, &policy("files.read /")).unwrap().is_empty());
}

#[test]
fn patterns_that_are_too_entangled_are_an_error_and_not_a_long_wait() {
    let hostile = |last: &str| format!("files.read /**/*a{}{last}", "?".repeat(24));
    let one = policy(&hostile("*"));
    let other = policy(&format!("{}\n{}", hostile("[a-m]*"), hostile("[!a-m]*")));
    assert!(diff(&one, &other).is_err());
}
