// SPDX-License-Identifier: Apache-2.0
//! From a policy to what enforces it.
//!
//! [`compile`] takes a policy, a target and a tree of files, and says for every rule what enforces
//! it: as much as possible the kernel by itself, at the kernel's speed. What is left is the
//! *mediated set*: the system calls that the supervisor answers, each with the rules because of
//! which it does. No rule, no trap.
//!
//! Guarantees: equal arguments give an equal plan; what the plan lets the kernel allow, the policy
//! allows (invariant 2); a rule that the target cannot enforce is in [`Plan::missing`] and never
//! left out in silence.
//!
//! What it does not do: the edits of the specification ([`crate::spec`]), and the rules of
//! `[syscalls]`, which [`crate::seccomp::restrictions`] has.

mod emulation;
pub mod files;
mod landlock;
mod mediated;
mod missing;
mod network;
mod placement;
mod ports;
mod render;

use serde::Serialize;

pub use landlock::{Bounded, Effect, Rights, Truncation};
pub use mediated::{MediatedCall, Reason};
pub use missing::Missing;
pub use network::TcpPorts;
pub use placement::{Mechanism, RulePlacement};
pub use render::{Counts, render};

use files::{Bound, Note, PlaceError, Region, Settled, Tree};
use mediated::Calls;
use network::ByLandlock;
use placement::Facts;

use crate::decide::{Basis, Decision};
use crate::policy::{AccessSet, Origin, Policy};
use crate::seccomp::{Answer, Match, Restriction, Selects, Syscall};
use crate::target::Target;

/// What enforces a policy.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The rights that a Landlock domain handles.
    pub handled: Vec<&'static str>,
    /// TCP ports for Landlock.
    pub ports: TcpPorts,
    /// What of `[files]` is left to the supervisor.
    pub regions: Vec<Region>,
    /// What the program refuses because of `[files]` and `[network]`.
    #[serde(skip)]
    pub restrictions: Vec<Restriction>,
    /// Why it refuses some of that: nothing may reach past what is mediated.
    pub besides: Vec<String>,
    /// The mediated set.
    pub mediated: Vec<MediatedCall>,
    /// For each rule, what enforces it.
    pub rules: Vec<RulePlacement>,
    /// What this target cannot enforce.
    pub missing: Vec<Missing>,
    /// What has to be known about it.
    pub notes: Vec<Note>,
    /// What the kernel is told about files in this tree.
    #[serde(skip)]
    pub settled: Settled,
    /// The rights that the target's Landlock can handle.
    #[serde(skip)]
    pub supported: Rights,
}

/// Compiles a policy for a target and a tree.
///
/// # Errors
/// Rules whose paths are wrong in this tree, or that take too many Landlock rules.
pub fn compile(
    policy: &Policy,
    target: &Target,
    tree: &mut dyn Tree,
    bound: Bound,
) -> Result<Plan, Vec<PlaceError>> {
    let settled = files::settle(policy, tree, bound)?;
    let mut calls = Calls::default();
    mediate_files(&settled, &mut calls);
    let network = network::compile(policy, by_landlock(target), &mut calls);
    let guards = emulation::restrictions(&calls, &settled, network.hosts);
    let besides = guards.iter().map(|guard| guard.label.clone()).collect();
    let mut restrictions = network.restrictions;
    restrictions.extend(keep_mounts(&settled));
    restrictions.extend(guards);
    mediate_audited(policy, &mut calls);
    calls.follow();
    let mediated = calls.into_calls();
    let facts = Facts { ports: &network.ports, mediated: &mediated };
    let rules = placement::place(policy, &facts);
    Ok(Plan {
        handled: settled.handled().names().collect(),
        missing: missing::find(policy, &settled, &network.ports, target),
        ports: network.ports,
        regions: settled.placed.regions.clone(),
        restrictions,
        besides,
        mediated,
        rules,
        notes: settled.placed.notes.clone(),
        settled,
        supported: Rights::of_abi(target.landlock.map_or(0, |landlock| landlock.abi)),
    })
}

/// The calls that have to be mediated because of `[files]` in a tree. Who settles a policy in the
/// container's own tree must find none there that was not planned for.
#[must_use]
pub fn mediated_for_files(settled: &Settled) -> Vec<MediatedCall> {
    let mut calls = Calls::default();
    mediate_files(settled, &mut calls);
    calls.into_calls()
}

/// KERNEL(6.7): ABI 4 has rights for TCP.
fn by_landlock(target: &Target) -> ByLandlock {
    match target.landlock {
        Some(landlock) if landlock.abi >= 4 => ByLandlock::Ports,
        _ => ByLandlock::Nothing,
    }
}

fn mediate_files(settled: &Settled, calls: &mut Calls) {
    for Region { path, access, rules } in &settled.placed.regions {
        let why = format!("a pattern tells apart what lies beneath {path}");
        calls.add_files(*access, &why, rules);
    }
    for (path, rules) in &settled.mounts.inexact {
        let why = format!("what lies beneath {path} may be changed in part only");
        calls.add_metadata(&why, rules);
    }
    for (path, rules) in &settled.mounts.by_name {
        let why = format!("what may be changed beneath {path} is told apart by names");
        calls.add_names(&why, rules);
    }
}

/// A Landlock domain forbids to mount, to move and to remount, but the kernel asks nobody about
/// mount_setattr(2), which could make writable again what the plan has made read-only.
fn keep_mounts(settled: &Settled) -> Vec<Restriction> {
    const EPERM: u16 = 1;
    if settled.mounts.remounts.is_empty() {
        return Vec::new();
    }
    let calls = ["mount_setattr", "open_tree_attr"].into_iter().filter_map(Syscall::from_name);
    let matches = calls.map(|syscall| Match { syscall, conditions: Vec::new() }).collect();
    vec![Restriction {
        selects: Selects::These(matches),
        answer: Answer::Errno(EPERM),
        label: "[files]: what is mounted read-only stays that".to_owned(),
    }]
}

/// Nothing denies in audit mode: who is to log it must see it.
fn mediate_audited(policy: &Policy, calls: &mut Calls) {
    for layer in policy.layers().filter(|layer| !layer.enforces()) {
        let why = "audit.mode is \"audit\": it is logged and denies nothing";
        let rules: Vec<Origin> = layer.audit.mode.iter().map(|mode| mode.origin.clone()).collect();
        let files = &layer.files;
        let restricted = if files.deny.is_empty() { files.governed() } else { AccessSet::ALL };
        calls.add_files(restricted, why, &rules);
        let network = &layer.network;
        if network.connect.is_some() || !network.deny.is_empty() {
            for call in ["connect", "sendto", "sendmsg", "sendmmsg"] {
                calls.add(call, &[], why, &rules);
            }
        }
        if network.bind.is_some() || !network.deny.is_empty() {
            calls.add("bind", &[], why, &rules);
        }
        if network.names_sockets() {
            calls.add_names(why, &rules);
        }
    }
}

impl Plan {
    /// What enforces a decision: the rule's mechanisms, or those of the list that names nothing
    /// that would grant it. Empty: nothing has to.
    #[must_use]
    pub fn enforcing(&self, decision: &Decision) -> Vec<Mechanism> {
        let (list, rule) = match &decision.basis {
            Basis::Rule(rule) => (rule.list, Some(&rule.origin)),
            Basis::NotGranted(list) | Basis::Default(list) => (*list, None),
            Basis::Unrestricted | Basis::TooComplex => return Vec::new(),
        };
        let rules = self.rules.iter().filter(|one| one.list == list.name());
        let rules = rules.filter(|one| rule.is_none_or(|rule| one.rule == *rule));
        let mut all: Vec<Mechanism> = rules.flat_map(|one| one.mechanisms.clone()).collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() { placement::of_list(list).to_vec() } else { all }
    }

    /// Who denies on this target what the policy denies in regions: the witness for letting a
    /// mediated call go on.
    #[must_use]
    pub fn bounded(&self, effect: Effect) -> Bounded {
        self.settled.bounded(effect, self.supported)
    }

    /// Whether a Landlock domain is needed.
    #[must_use]
    pub fn needs_landlock(&self) -> bool {
        !self.handled.is_empty() || !self.ports.is_empty()
    }
}
