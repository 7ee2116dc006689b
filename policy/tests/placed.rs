// SPDX-License-Identifier: Apache-2.0
//! Decisions about the real paths of a container.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use brig_policy::decide::{Decider, Decision, Operation};
use brig_policy::path::AbsPath;
use brig_policy::plan::files::{self, Bound, Existence, Placements};
use brig_policy::policy::{Access, Mode};
use support::policy;
use support::tree::Memory;

const TREE: &str = "/srv/data/x.key /srv/data/sub/y /srv/public/x.key /etc/a /etc/b /run/
    /run/app/ /link -> /srv/data /var/run -> /run /twice -> /link";

/// What is recorded, after a way through what the state directory holds.
fn placements(rules: &str) -> Placements {
    let settled = files::settle(&policy(rules), &mut Memory::new(TREE), Bound::default()).unwrap();
    let text = serde_json::to_string(&settled.placements).unwrap();
    let read: Placements = serde_json::from_str(&text).unwrap();
    assert_eq!(read, settled.placements);
    read
}

fn decisions<const N: usize>(rules: &str, operations: [&str; N]) -> [Decision; N] {
    let decider = Decider::placed(Arc::new(policy(rules)), &placements(rules));
    operations.map(|operation| decider.decide(&Operation::parse(operation).unwrap()))
}

#[track_caller]
fn check(rules: &str, allowed: &[&str], denied: &[&str]) {
    let decider = Decider::placed(Arc::new(policy(rules)), &placements(rules));
    for (operations, expected) in [(allowed, true), (denied, false)] {
        for operation in operations {
            let decision = decider.decide(&Operation::parse(operation).unwrap());
            assert_eq!(decision.allows(), expected, "{rules}: {operation}: {decision:?}");
        }
    }
}

#[test]
fn a_rule_through_a_link_is_about_what_the_link_leads_to() {
    check(
        "files.read /link/*.key\nfiles.write /twice/sub",
        &["read /srv/data/x.key", "modify /srv/data/sub/y"],
        &["read /link/x.key", "read /srv/data/y", "modify /srv/data/x.key"],
    );
    check("files.deny /link/*.key", &["read /link/x.key"], &["read /srv/data/x.key"]);
}

#[test]
fn a_socket_is_where_its_directory_leads() {
    check(
        "network.connect unix /var/run/app/*.sock\nnetwork.bind unix /var/run/later",
        &["connect unix /run/app/a.sock", "bind unix /run/later"],
        &["connect unix /var/run/app/a.sock", "bind unix /run/other", "connect unix /run/later"],
    );
    check(
        "network.deny unix /var/run ! unix /var/run/app",
        &["connect unix /run/app/a.sock", "connect unix /var/run/x"],
        &["connect unix /run/x"],
    );
}

#[test]
fn a_grant_of_what_did_not_exist_grants_nothing_and_a_deny_holds_at_its_name() {
    check("files.read /nowhere\nfiles.read /etc", &["read /etc/a"], &["read /nowhere/x"]);
    check("files.deny /link/later", &["read /srv/data/x"], &["read /srv/data/later"]);
    let recorded = placements("files.read /nowhere\nfiles.deny /link/later");
    let place = |path: &str| recorded.get(&AbsPath::new(path.as_bytes()).unwrap()).cloned();
    assert_eq!(place("/nowhere").unwrap().existence, Existence::Missing);
    assert_eq!(place("/link/later").unwrap().path.to_string(), "/srv/data/later");
    assert_eq!(place("/elsewhere"), None);
}

#[test]
fn braces_are_separate_paths() {
    check(
        "files.deny /{link,etc}/{a,x.key}",
        &["read /srv/data/y", "read /etc/b", "read /link/x.key"],
        &["read /srv/data/x.key", "read /etc/a"],
    );
    check("files.read /{nowhere,link}", &["read /srv/data/y"], &["read /nowhere", "read /link"]);
}

#[test]
fn exceptions_go_through_links_too() {
    check(
        "files.deny /srv ! /link/*.key ! /srv/public",
        &["read /srv/data/x.key", "read /srv/public/a"],
        &["read /srv/data/y", "read /srv/data/sub/x.key"],
    );
}

#[test]
fn what_stands_in_a_masked_place_may_be_opened() {
    check("files.mask /etc/a\nfiles.read /etc", &["read /etc/a"], &["read /srv"]);
}

#[test]
fn a_decision_cites_the_rule_as_it_was_written() {
    let rules = "files.read /link\nfiles.deny /link/*.key";
    let [denied, allowed] = decisions(rules, ["read /srv/data/x.key", "read /srv/data/y"]);
    let cited = |decision: &Decision| {
        let rule = decision.rule().unwrap();
        (rule.list.name(), rule.origin.line, rule.origin.text.to_string())
    };
    assert_eq!(cited(&denied), ("files.deny", 2, "/link/*.key".to_owned()));
    assert_eq!(denied.next_best.as_ref().unwrap().origin.line, 1);
    assert_eq!(cited(&allowed), ("files.read", 1, "/link".to_owned()));
}

#[test]
fn what_is_only_audited_is_placed_too() {
    let rules = "audit.mode audit\nfiles.deny /link/*.key\nfiles.read /etc/a/none\nfiles.read /srv";
    let [decision, _] = decisions(rules, ["read /srv/data/x.key", "read /etc/a/none"]);
    assert!(!decision.allows() && decision.mode == Mode::Audit);
}

#[test]
fn what_the_kernel_is_told_is_what_decisions_say() {
    let rules = "files.read /link\nfiles.read /etc/{a,c}\nfiles.deny /twice/sub ! /link/sub/y";
    let decider = Decider::placed(Arc::new(policy(rules)), &placements(rules));
    let tree = Memory::new(TREE);
    let settled = files::settle(&policy(rules), &mut tree.clone(), Bound::default()).unwrap();
    for (path, kind) in tree.paths() {
        let kernel = support::tree::kernel_allows(&settled, &path, kind).contains(Access::Read);
        let allowed = decider.decide(&Operation::access(Access::Read, path.clone())).allows();
        assert!(!kernel || allowed, "{path}");
    }
}
