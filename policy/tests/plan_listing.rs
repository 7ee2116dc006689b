// SPDX-License-Identifier: Apache-2.0
//! Plans as people see them, for hosts as they are and as they were.

#![allow(clippy::unwrap_used)]

mod reading;
mod support;

use std::collections::BTreeMap;

use brig_policy::plan::files::{Assumed, Bound};
use brig_policy::plan::{self, Counts, Plan, render};
use brig_policy::policy::Policy;
use brig_policy::profile;
use brig_policy::seccomp::Arch;
use brig_policy::target::{Landlock, Limits, Target};
use support::policy;

fn target(kernel: (u32, u32), abi: u32) -> Target {
    Target {
        kernel,
        arch: Arch::from_name("x86_64").unwrap(),
        landlock: (abi > 0).then_some(Landlock { abi, errata: 0 }),
        limits: Limits { processes: true, memory: true },
    }
}

fn compiled(policy: &Policy, target: &Target) -> Plan {
    plan::compile(policy, target, &mut Assumed, Bound::default()).unwrap()
}

fn listing(rules: &str, target: &Target) -> String {
    let plan = compiled(&policy(rules), target);
    let counts = Counts { landlock_rules: plan.settled.placed.grants.len(), ..Counts::default() };
    render(&plan, &counts)
}

fn shipped(name: &str) -> Plan {
    let root = profile::built_in(name).unwrap();
    let read = profile::read(root, &mut reading::Memory::default(), &BTreeMap::new());
    compiled(&read.resolved.unwrap().policy, &target((6, 18), 7))
}

#[test]
fn the_default_profile_mediates_nothing_and_needs_no_domain() {
    for name in ["base", "default", "none"] {
        let plan = shipped(name);
        assert!(plan.mediated.is_empty(), "{name}: {:?}", plan.mediated);
        assert!(!plan.needs_landlock(), "{name}");
        assert!(plan.missing.is_empty(), "{name}");
    }
}

#[test]
fn the_plans_of_shipped_profiles() {
    for name in ["base", "default", "untrusted", "none"] {
        insta::assert_snapshot!(name, render(&shipped(name), &Counts::default()));
    }
}

#[test]
fn rules_of_every_mechanism() {
    let rules = "files.read /
        files.write /srv/data
        files.write /var/lib/app/*.db
        files.execute /usr/bin/python3
        files.execute /opt/**/bin
        files.deny /etc/shadow
        files.deny /srv/**/*.key ! /srv/public
        files.mask /proc/kcore
        network.connect tcp *:443
        network.bind tcp *:8080
        syscalls.deny ptrace,bpf
        process.capabilities chown
        process.max_processes 64
        process.core_dumps false";
    insta::assert_snapshot!(listing(rules, &target((6, 18), 7)));
}

#[test]
fn an_older_kernel_says_what_it_lacks() {
    let rules = "files.write /tmp\nnetwork.connect tcp *:443\nnetwork.bind";
    insta::assert_snapshot!("linux_6_1", listing(rules, &target((6, 1), 2)));
    insta::assert_snapshot!("no_landlock", listing(rules, &target((6, 18), 0)));
}

#[test]
fn what_audits_is_left_to_the_supervisor() {
    insta::assert_snapshot!(listing("audit.mode audit\nfiles.read /usr", &target((6, 18), 7)));
}

fn mediated(rules: &str) -> Vec<String> {
    let plan = compiled(&policy(rules), &target((6, 18), 7));
    let (needed, noted): (Vec<_>, Vec<_>) =
        plan.mediated.iter().partition(|call| !call.rules.is_empty());
    let names = |calls: Vec<&brig_policy::plan::MediatedCall>| -> Vec<String> {
        calls.into_iter().map(|call| call.syscall.name().to_owned()).collect()
    };
    // who the callers are has to be known where something is done for them
    let acts = needed.iter().any(|call| call.syscall.name() != "listen");
    let all = ["chroot", "pivot_root", "setgroups", "setgroups32"];
    assert_eq!(names(noted), if acts { &all[..] } else { &[] });
    names(needed)
}

#[test]
fn nothing_is_mediated_that_the_kernel_decides() {
    for rules in [
        "files.read /usr\nfiles.write /tmp\nfiles.execute /usr/bin/*\nfiles.deny /etc/shadow",
        "network.connect\nnetwork.bind",
        "network.connect tcp *:443\nnetwork.connect tcp *:80\nnetwork.bind",
        "network.connect *\nnetwork.bind *",
        "network.connect unix *\nnetwork.bind unix *",
        "syscalls.deny mount\nsyscalls.allow read",
        "files.mask /etc/*.key",
    ] {
        assert!(mediated(rules).is_empty(), "{rules}: {:?}", mediated(rules));
    }
}

#[test]
fn what_is_mediated_is_what_the_rules_need() {
    assert_eq!(mediated("network.connect tcp *:443\nnetwork.bind tcp *:80"), ["listen"]);
    assert_eq!(mediated("network.connect tcp 10.0.0.1\nnetwork.bind"), ["connect"]);
    let datagrams = mediated("network.connect udp *:53\nnetwork.bind");
    assert_eq!(datagrams, ["connect", "sendmmsg", "sendmsg", "sendto"]);
    let pattern = mediated("files.read /\nfiles.deny /a/*.key");
    assert!(pattern.contains(&"openat".to_owned()) && pattern.contains(&"chmod".to_owned()));
    let reads = mediated("files.read /a/*.txt");
    assert!(reads.contains(&"openat".to_owned()) && !reads.contains(&"chmod".to_owned()));
    for call in ["rename", "renameat2", "linkat", "link", "unlinkat", "mkdir", "symlink", "bind"] {
        assert!(reads.contains(&call.to_owned()), "names decide what may be read: {call}");
    }
}

const NAMING: [&str; 5] = ["link", "linkat", "rename", "renameat", "renameat2"];

fn names(rules: &str) -> Vec<String> {
    mediated(rules).into_iter().filter(|call| NAMING.contains(&call.as_str())).collect()
}

#[test]
fn what_gives_names_is_mediated_where_rules_are_about_the_paths_of_sockets() {
    for rules in [
        "network.connect unix /run/*.sock",
        "network.bind unix /run/app",
        "network.deny unix /run/docker.sock",
        "network.deny unix * ! unix /run/app",
        "network.connect unix *\nnetwork.deny unix /run/docker.sock",
        "audit.mode audit\nnetwork.deny unix /run/docker.sock",
    ] {
        assert_eq!(names(rules), NAMING, "{rules}");
        assert!(!mediated(rules).contains(&"openat".to_owned()), "{rules}");
    }
    for rules in [
        "network.connect unix @app-*",
        "network.deny unix @app-*",
        "network.connect tcp 10.0.0.1",
        "network.deny unix *",
        "network.connect tcp *:443\nnetwork.bind\nnetwork.deny unix /run/app",
    ] {
        assert!(names(rules).is_empty(), "{rules}");
    }
}

#[test]
fn what_gives_names_is_mediated_where_they_decide_whose_metadata_may_be_changed() {
    for rules in [
        "files.write /srv = create,delete\nfiles.write /srv/log = modify",
        "files.write /srv ! /srv/in\nfiles.write /srv/in = create,delete",
    ] {
        assert_eq!(names(rules), NAMING, "{rules}");
    }
    for rules in [
        "files.write /srv = create,delete",
        "files.write /tmp\nfiles.write /spool = create,delete",
        "files.write /srv\nfiles.deny /srv/log",
    ] {
        assert!(names(rules).is_empty(), "{rules}");
    }
}

fn warnings(text: &str, target: &Target) -> String {
    let mut reading = reading::read(text, &[], &[]);
    profile::lint(&mut reading);
    profile::lint_for(&mut reading, target);
    reading::shown(&reading)
}

#[test]
fn a_deny_by_a_pattern_and_a_rule_that_the_host_lacks_get_a_warning() {
    let text =
        "name = \"web\"\n[files]\nwrite = [\"/tmp\"]\ndeny = [\"/etc/*.key\", \"/etc/{a,b}\"]\n";
    insta::assert_snapshot!(warnings(text, &target((6, 1), 2)));
    let literal = "name = \"web\"\n[files]\ndeny = [\"/etc/{a,b}\"]\n";
    assert_eq!(warnings(literal, &target((6, 18), 7)), "");
}

#[test]
fn a_decision_says_what_enforces_it() {
    let policy =
        policy("files.read /usr\nfiles.write\nnetwork.connect tcp *:443\nfiles.deny /usr/*.key");
    let plan = compiled(&policy, &target((6, 18), 7));
    let by = |operation: &str| {
        let names: Vec<String> = plan
            .enforcing(&support::decision(&policy, operation))
            .iter()
            .map(ToString::to_string)
            .collect();
        names.join(" ")
    };
    assert_eq!(by("read /usr/x"), "landlock");
    assert_eq!(by("read /etc/x"), "landlock");
    assert_eq!(by("modify /etc/x"), "landlock mount");
    assert_eq!(by("read /usr/a.key"), "supervisor");
    assert_eq!(by("connect tcp 1.2.3.4:443"), "landlock seccomp");
    assert_eq!(by("execute /etc/x"), "");
}
