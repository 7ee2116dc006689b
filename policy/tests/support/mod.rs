// SPDX-License-Identifier: Apache-2.0
//! Policies in a line each rule, for tests of what policies mean and not of how they are written.
//!
//! `LIST RULE [! EXCEPTION]…`, and `LIST` alone for a list that is there and empty. A grant may end
//! in ` = ACCESS,ACCESS`. `syscalls.deny ioctl 1=0x5412`. `process.max_processes 5`.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod tree;

use brig_policy::decide::{Decision, Operation, decide};
use brig_policy::net::Address;
use brig_policy::path::Pattern;
use brig_policy::policy::{
    Access, AccessSet, AddressRule, Capability, CapabilityRule, Comparison, Condition, Mode,
    Origin, PathGrant, PathRule, Policy, Presence, Setting, SyscallRule,
};
use brig_policy::seccomp::Syscall;

/// The policy that the lines describe.
pub fn policy(text: &str) -> Policy {
    let mut policy = Policy::default();
    for (number, line) in (1u32..).zip(text.lines()) {
        let line = line.trim();
        if !line.is_empty() {
            let (list, rule) = line.split_once(' ').unwrap_or((line, ""));
            add(&mut policy, list, rule, Origin::new("test", number, 1, rule));
        }
    }
    policy
}

fn add(policy: &mut Policy, list: &str, rule: &str, origin: Origin) {
    let files = &mut policy.files;
    let network = &mut policy.network;
    let process = &mut policy.process;
    match list {
        "files.read" => {
            files.read.get_or_insert_default().extend(grant(rule, origin, AccessSet::READ));
        }
        "files.write" => {
            files.write.get_or_insert_default().extend(grant(rule, origin, AccessSet::WRITE));
        }
        "files.execute" => {
            files.execute.get_or_insert_default().extend(grant(rule, origin, AccessSet::EXECUTE));
        }
        "files.deny" => files.deny.push(path(rule, origin)),
        "files.mask" => files.mask.push(path(rule, origin)),
        "network.connect" => network.connect.get_or_insert_default().extend(address(rule, origin)),
        "network.bind" => network.bind.get_or_insert_default().extend(address(rule, origin)),
        "network.deny" => network.deny.extend(address(rule, origin)),
        "syscalls.allow" => {
            policy.syscalls.allow.get_or_insert_default().extend(syscall(rule, origin));
        }
        "syscalls.deny" => policy.syscalls.deny.extend(syscall(rule, origin)),
        "syscalls.kill" => policy.syscalls.kill.extend(syscall(rule, origin)),
        "process.capabilities" => {
            let list = process.capabilities.get_or_insert_default();
            if let Some(capability) = Capability::from_name(rule) {
                list.push(CapabilityRule { capability, reason: None, origin });
            }
        }
        "process.no_new_privileges" => process.no_new_privileges = Some(set(rule, origin)),
        "process.user_namespaces" => process.user_namespaces = Some(set(rule, origin)),
        "process.core_dumps" => process.core_dumps = Some(set(rule, origin)),
        "process.memfd_exec" => process.memfd_exec = Some(set(rule, origin)),
        "process.max_processes" => process.max_processes = Some(set(rule, origin)),
        "process.max_memory" => process.max_memory = Some(set(rule, origin)),
        "audit.mode" => policy.audit.mode = Some(Setting::new(Mode::Audit, origin)),
        _ => panic!("no list is called {list}"),
    }
}

fn set<T: std::str::FromStr>(text: &str, origin: Origin) -> Setting<T> {
    Setting::new(text.parse().ok().unwrap(), origin)
}

fn path(rule: &str, origin: Origin) -> PathRule {
    let mut parts = rule.split(" ! ").map(|text| Pattern::parse(text).unwrap());
    let mut rule = PathRule::new(parts.next().unwrap(), origin);
    rule.except.extend(parts);
    rule
}

fn grant(rule: &str, origin: Origin, implied: AccessSet) -> Option<PathGrant> {
    let (rule, access) = match rule.split_once(" = ") {
        None => (rule, implied),
        Some((rule, names)) => {
            let accesses = names.split(',').map(|name| Access::from_name(name).unwrap());
            (rule, accesses.collect())
        }
    };
    let rule = (!rule.is_empty()).then(|| path(rule, origin))?;
    Some(PathGrant { rule, access, presence: Presence::Optional })
}

fn address(rule: &str, origin: Origin) -> Option<AddressRule> {
    let mut parts = rule.split(" ! ").map(|text| Address::parse(text).unwrap());
    if rule.is_empty() {
        return None;
    }
    let mut rule = AddressRule::new(parts.next()?, origin);
    rule.except.extend(parts);
    Some(rule)
}

fn syscall(rule: &str, origin: Origin) -> Option<SyscallRule> {
    let (names, conditions) = rule.split_once(' ').unwrap_or((rule, ""));
    let calls: Vec<_> = names
        .split(',')
        .filter(|n| !n.is_empty())
        .map(|n| Syscall::from_name(n).unwrap())
        .collect();
    if calls.is_empty() {
        return None;
    }
    let mut rule = SyscallRule::new(calls, origin);
    for condition in conditions.split_whitespace() {
        let (arg, value) = condition.split_once('=').unwrap();
        let value = u64::from_str_radix(value.trim_start_matches("0x"), 16).unwrap();
        let arg = arg.parse().unwrap();
        rule.conditions.push(Condition { arg, comparison: Comparison::Equal, value });
    }
    Some(rule)
}

/// The decision about an operation as people write it.
pub fn decision(policy: &Policy, operation: &str) -> Decision {
    decide(policy, &Operation::parse(operation).unwrap())
}
