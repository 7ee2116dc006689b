// SPDX-License-Identifier: Apache-2.0
//! Names that mean something: what a name stands for, and which names there are.

use std::collections::BTreeSet;

use super::sets::{LATER, SETS};
use crate::policy::Capability;
use crate::seccomp::Syscall;

/// Every system call that brig knows, as a set.
pub(super) const KNOWN: &str = "@known";

/// The built-in profiles.
pub(super) fn built_ins() -> Vec<&'static str> {
    super::built_in::NAMES.to_vec()
}

/// What an editor offers for an address.
pub(super) fn addresses() -> Vec<&'static str> {
    vec![
        "*",
        "tcp *",
        "udp *",
        "ip *",
        "unix *",
        "tcp @loopback",
        "tcp @private",
        "tcp @link-local",
        "tcp @metadata",
        "tcp @multicast",
        "tcp @public",
    ]
}

/// The names of capabilities.
pub(super) fn capabilities() -> Vec<&'static str> {
    Capability::all().map(Capability::name).collect()
}

/// The names of sets of system calls.
pub(super) fn syscall_sets() -> impl Iterator<Item = &'static str> {
    SETS.iter().map(|set| set.name).chain([KNOWN])
}

/// The names of sets and of system calls.
pub(super) fn syscalls() -> Vec<&'static str> {
    syscall_sets().chain(Syscall::all().map(Syscall::name)).collect()
}

/// The members of a set that some kernel has, sorted; none if there is no such set.
#[must_use]
pub fn syscall_set(name: &str) -> Option<Vec<Syscall>> {
    if name == KNOWN {
        return Some(Syscall::all().collect());
    }
    SETS.iter().find(|set| set.name == name)?;
    let mut members = BTreeSet::new();
    let mut waiting = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name) {
            continue;
        }
        let tables = SETS.iter().chain(LATER).filter(|set| set.name == name);
        for member in tables.flat_map(|set| set.members) {
            if member.starts_with('@') {
                waiting.push(member);
            } else {
                members.extend(Syscall::from_name(member));
            }
        }
    }
    Some(members.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_a_set_is_a_set_or_a_system_call() {
        let mut unknown: Vec<&str> = Vec::new();
        for member in SETS.iter().chain(LATER).flat_map(|set| set.members) {
            if member.starts_with('@') {
                assert!(SETS.iter().any(|set| set.name == *member), "{member}");
            } else if Syscall::from_name(member).is_none() {
                unknown.push(member);
            }
        }
        unknown.sort_unstable();
        unknown.dedup();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn a_set_has_the_members_of_the_sets_in_it_and_newer_siblings() {
        let names = |set| -> Vec<&str> {
            syscall_set(set).unwrap().into_iter().map(Syscall::name).collect()
        };
        assert_eq!(names("@keyring"), ["add_key", "keyctl", "request_key"]);
        assert!(names("@mount").contains(&"open_tree_attr"));
        assert!(names("@system-service").contains(&"openat"), "by way of @file-system");
        assert!(names("@privileged").contains(&"swapon"));
        assert_eq!(names("@known").len(), Syscall::all().len());
        assert_eq!(syscall_set("@keyrign"), None);
    }
}
