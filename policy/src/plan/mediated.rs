// SPDX-License-Identifier: Apache-2.0
//! The mediated set: which system calls the supervisor answers, and because of which rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{Access, AccessSet, Origin};
use crate::seccomp::{Condition, Mediated, Syscall};

/// A mediated system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediatedCall {
    /// The call.
    pub syscall: Syscall,
    /// Conditions on its registers under which it is; none: always.
    pub conditions: Vec<Condition>,
    /// Why nothing cheaper does, each with the rules because of which that is so.
    pub why: Vec<Reason>,
    /// The rules that need it.
    pub rules: Vec<Origin>,
}

/// Why a call is mediated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// As part of a sentence.
    pub text: String,
    /// The rules.
    pub rules: Vec<Origin>,
}

/// The mediated set, while it is being found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(BTreeMap<Syscall, MediatedCall>);

impl Calls {
    /// Adds a call. A call that is added with different conditions is mediated always.
    pub(crate) fn add(
        &mut self,
        name: &str,
        conditions: &[Condition],
        why: &str,
        rules: &[Origin],
    ) {
        let Some(syscall) = Syscall::from_name(name) else { return };
        let call = self.0.entry(syscall).or_insert_with(|| MediatedCall {
            syscall,
            conditions: conditions.to_vec(),
            why: Vec::new(),
            rules: Vec::new(),
        });
        if call.conditions != conditions {
            call.conditions.clear();
        }
        match call.why.iter_mut().find(|one| one.text == why) {
            Some(reason) => reason.rules.extend_from_slice(rules),
            None => call.why.push(Reason { text: why.to_owned(), rules: rules.to_vec() }),
        }
        call.rules.extend_from_slice(rules);
        call.rules.sort();
        call.rules.dedup();
    }

    /// Adds the calls by which files are accessed so.
    pub(crate) fn add_files(&mut self, accesses: AccessSet, why: &str, rules: &[Origin]) {
        for access in accesses.iter() {
            for name in calls_of(access).iter().flat_map(|family| family.iter()) {
                self.add(name, &[], why, rules);
            }
        }
    }

    /// Adds the calls that change metadata.
    pub(crate) fn add_metadata(&mut self, why: &str, rules: &[Origin]) {
        for name in METADATA {
            self.add(name, &[], why, rules);
        }
    }

    /// Adds the calls that give names to what is there.
    pub(crate) fn add_names(&mut self, why: &str, rules: &[Origin]) {
        for name in RENAME.iter().chain(LINK) {
            self.add(name, &[], why, rules);
        }
    }

    /// Whether the supervisor gives names.
    pub(crate) fn give_names(&self) -> bool {
        self.0.keys().any(|call| RENAME.contains(&call.name()))
    }

    /// Whether the supervisor makes any of them for the workload where the workload's own Landlock
    /// domain could forbid it: Landlock knows nothing of metadata and of listening.
    pub(crate) fn act(&self) -> bool {
        self.0.keys().any(|call| call.name() != "listen" && !METADATA.contains(&call.name()))
    }

    /// Where the supervisor acts for callers it has to know who they are and where they see their
    /// root: it takes note of what changes that, and lets it go on.
    pub(crate) fn follow(&mut self) {
        // whoever listens, it is allowed or not
        if self.0.keys().all(|call| call.name() == "listen") {
            return;
        }
        for name in FOLLOWED {
            self.add(name, &[], "the supervisor takes note of it and lets it go on", &[]);
        }
    }

    /// All of them, by the calls' order.
    pub(crate) fn into_calls(self) -> Vec<MediatedCall> {
        self.0.into_values().collect()
    }
}

impl MediatedCall {
    /// For the program: labelled by the rules.
    #[must_use]
    pub fn mediated(&self) -> Mediated {
        let rules: Vec<String> = self.rules.iter().map(ToString::to_string).collect();
        Mediated {
            syscall: self.syscall,
            conditions: self.conditions.clone(),
            label: rules.join(", "),
        }
    }
}

const FOLLOWED: &[&str] = &["setgroups", "setgroups32", "chroot", "pivot_root"];
const OPEN: &[&str] = &["open", "openat", "openat2"];
const WRITE: &[&str] = &["creat", "truncate", "truncate64"];
const METADATA: &[&str] = &[
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "chown32",
    "lchown",
    "lchown32",
    "fchown",
    "fchown32",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "utimensat_time64",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "removexattrat",
    "file_setattr",
];
const MAKE: &[&str] = &[
    "creat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "bind",
];
const LINK: &[&str] = &["link", "linkat"];
const RENAME: &[&str] = &["rename", "renameat", "renameat2"];
const REMOVE: &[&str] = &["unlink", "unlinkat", "rmdir"];
const NODES: &[&str] = &["mknod", "mknodat"];

/// The calls by which a file is accessed so, by family.
fn calls_of(access: Access) -> &'static [&'static [&'static str]] {
    match access {
        Access::Read | Access::List | Access::Ioctl => &[OPEN],
        Access::Modify => &[OPEN, WRITE, METADATA],
        Access::Create => &[OPEN, MAKE, RENAME],
        Access::Delete => &[REMOVE, RENAME],
        Access::Device => &[NODES],
        // an allow list of programs is expanded when the container starts
        Access::Execute => &[],
    }
}
