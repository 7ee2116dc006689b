// SPDX-License-Identifier: Apache-2.0
//! Whatever the bytes are, reading a profile ends with a policy or with errors, can
//! be shown, and what it says can be printed and read again with the same meaning.
//!
//! The input is a profile; what follows a line `=====` is its parent `a.toml`.

use std::collections::BTreeMap;
use std::sync::Arc;

use brig_policy::decide::{Decider, Operation};
use brig_policy::diagnostics::{Paint, human, json};
use brig_policy::explain::explain;
use brig_policy::policy::{Origin, Policy};
use brig_policy::profile::{self, LoadError, Loaded, Loader, Reading, lint, print};

const BETWEEN: &[u8] = b"\n=====\n";

struct Parent<'a>(&'a [u8]);

impl Loader for Parent<'_> {
    fn load(&mut self, _: &str, reference: &str) -> Result<Loaded, LoadError> {
        match reference {
            "a.toml" => Ok(file("a.toml", self.0)),
            _ => Err(LoadError::Unreadable { name: reference.into(), why: "no such file".into() }),
        }
    }
}

fn file(name: &str, bytes: &[u8]) -> Loaded {
    Loaded { identity: name.into(), name: name.into(), bytes: bytes.to_vec() }
}

fn read(root: &[u8], parent: &[u8]) -> Reading {
    profile::read(file("fuzz.toml", root), &mut Parent(parent), &BTreeMap::new())
}

/// The check itself; panics if it fails.
pub fn check(data: &[u8]) {
    let at = data.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    let (root, parent) = match at {
        Some(at) => (&data[..at], &data[at + BETWEEN.len()..]),
        None => (data, &b""[..]),
    };
    let mut reading = read(root, parent);
    lint(&mut reading);
    let shown = human(&reading.report, &reading.sources, Paint::Plain);
    assert_eq!(shown.is_empty(), reading.report.errors() + reading.report.warnings() == 0);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!shown.contains(control), "{shown:?}");
    assert!(json(&reading.report, &reading.sources).is_object());
    assert_eq!(reading.resolved.is_none(), reading.report.errors() > 0, "{shown}");
    let Some(resolved) = &reading.resolved else { return };
    let text = print(&resolved.policy, &resolved.tests);
    let again = read(text.as_bytes(), b"");
    let complaint = human(&again.report, &again.sources, Paint::Plain);
    let again = again.resolved.unwrap_or_else(|| panic!("{text}\n{complaint}"));
    assert_eq!(without_places(&again.policy), without_places(&resolved.policy), "{text}");
    assert_eq!(again.tests.len(), resolved.tests.len());
    assert_eq!(print(&again.policy, &again.tests), text);
    let decider = Decider::new(Arc::new(resolved.policy.clone()));
    let operations = resolved.tests.iter().map(|test| test.operation.clone());
    let fixed =
        ["read /etc/shadow", "connect tcp 10.0.0.1:80", "syscall mount", "process core-dump"];
    for operation in operations.chain(fixed.iter().filter_map(|text| Operation::parse(text).ok())) {
        assert!(!explain(&operation, &decider.decide(&operation)).is_empty());
    }
}

/// The policy with the places of its rules taken out, its lists in order of what
/// they say.
pub fn without_places(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    let nowhere = Origin::new("", 0, 0, "");
    let Policy { files, network, syscalls, process, audit, .. } = &mut policy;
    for list in [&mut files.read, &mut files.write, &mut files.execute].into_iter().flatten() {
        list.iter_mut().for_each(|grant| grant.rule.origin = nowhere.clone());
        list.sort();
    }
    for list in [&mut files.deny, &mut files.mask] {
        list.iter_mut().for_each(|rule| rule.origin = nowhere.clone());
        list.sort();
    }
    let lists = [Some(&mut network.deny), network.connect.as_mut(), network.bind.as_mut()];
    for list in lists.into_iter().flatten() {
        list.iter_mut().for_each(|rule| rule.origin = nowhere.clone());
        list.sort();
    }
    let lists = [Some(&mut syscalls.deny), Some(&mut syscalls.kill), syscalls.allow.as_mut()];
    for list in lists.into_iter().flatten() {
        list.iter_mut().for_each(|rule| rule.origin = nowhere.clone());
        list.sort();
    }
    if let Some(list) = &mut process.capabilities {
        list.iter_mut().for_each(|rule| rule.origin = nowhere.clone());
        list.sort();
    }
    let flags = [
        &mut process.no_new_privileges,
        &mut process.user_namespaces,
        &mut process.core_dumps,
        &mut process.memfd_exec,
    ];
    flags.into_iter().flatten().for_each(|setting| setting.origin = nowhere.clone());
    let numbers = [&mut process.max_processes, &mut process.max_memory];
    numbers.into_iter().flatten().for_each(|setting| setting.origin = nowhere.clone());
    audit.mode.iter_mut().for_each(|setting| setting.origin = nowhere.clone());
    audit.log.iter_mut().for_each(|setting| setting.origin = nowhere.clone());
    policy
}
