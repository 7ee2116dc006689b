// SPDX-License-Identifier: Apache-2.0
//! `linux.seccomp` as data: every name resolved, every number in range.

use super::action::Action;
use super::arch::Arch;
use super::condition::Condition;
use super::error::Warning;
use super::syscall::Syscall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::BitOr;

/// A parsed `linux.seccomp`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seccomp {
    /// `defaultAction` with `defaultErrnoRet`.
    pub default_action: Action,
    /// `defaultErrnoRet` as it was written.
    pub default_errno_ret: Option<u16>,
    /// `architectures`; the native one is always meant besides.
    pub architectures: Vec<Arch>,
    /// `flags`.
    pub flags: FilterFlags,
    /// `listenerPath`.
    pub listener_path: Option<String>,
    /// `listenerMetadata`.
    pub listener_metadata: Option<String>,
    /// `syscalls`.
    pub syscalls: Vec<Entry>,
    /// What is worth knowing about it.
    pub warnings: Vec<Warning>,
}

/// One entry of `syscalls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands, e.g. `linux.seccomp.syscalls[3]`.
    pub place: String,
    /// `names`, without those that no kernel has.
    pub syscalls: Vec<Syscall>,
    /// `action` with `errnoRet`.
    pub action: Action,
    /// `args`.
    pub conditions: Vec<Condition>,
}

impl Entry {
    /// An argument stands in more than one condition.
    pub fn repeats_an_argument(&self) -> bool {
        let mut seen = 0u8;
        self.conditions.iter().any(|condition| {
            let bit = 1u8 << (condition.index & 7);
            let repeated = seen & bit != 0;
            seen |= bit;
            repeated
        })
    }
}

/// The `flags` argument of seccomp(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilterFlags(u32);

impl FilterFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Every thread of the process takes the filter.
    pub const TSYNC: Self = Self(1);
    /// Answers other than allow are logged.
    pub const LOG: Self = Self(1 << 1);
    /// Speculative store bypass stays as it is.
    pub const SPEC_ALLOW: Self = Self(1 << 2);
    /// seccomp(2) returns a listener.
    pub const NEW_LISTENER: Self = Self(1 << 3);
    /// A thread whose notification was received waits killably, so that a signal storm does not
    /// turn one call into many. KERNEL(5.19).
    pub const WAIT_KILLABLE_RECV: Self = Self(1 << 5);

    /// OCI names.
    pub(super) const NAMES: [(&'static str, Self); 4] = [
        ("SECCOMP_FILTER_FLAG_TSYNC", Self::TSYNC),
        ("SECCOMP_FILTER_FLAG_LOG", Self::LOG),
        ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", Self::SPEC_ALLOW),
        ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", Self::WAIT_KILLABLE_RECV),
    ];

    /// The number that seccomp(2) takes.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Every flag of `other` is set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Without the flags of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for FilterFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Which entries name a call.
pub(super) type Index = BTreeMap<Syscall, Vec<usize>>;

impl Seccomp {
    pub(super) fn index(&self) -> Index {
        let mut index = Index::new();
        for (number, entry) in self.syscalls.iter().enumerate() {
            for call in &entry.syscalls {
                let entries = index.entry(*call).or_default();
                if entries.last() != Some(&number) {
                    entries.push(number);
                }
            }
        }
        index
    }
}
