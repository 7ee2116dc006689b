// SPDX-License-Identifier: Apache-2.0
//! What one policy allows that another does not.
//!
//! Policies are compared, not texts: two that decide alike about every operation have no
//! differences, however their rules were ordered, split over files or spelt. Each difference comes
//! with an operation as an example, and with what each policy's decision rests on there.
//!
//! Guarantees: if there is no difference, [`crate::decide`] gives both policies the same verdict
//! for every operation (but see below); every example is one that the policies really decide
//! differently. Equal arguments give equal differences, in the same order.
//!
//! What it does not do: list every path or address that differs, only one for each pair of rules
//! and kind of operation; compare reasons, names and places of rules. Conditions on arguments of
//! system calls are compared on x86-64, at the values where they change; masks of more than eight
//! bits that overlap may differ at values that are not tried. Policies that cannot be compared
//! within bounds are an error ([`TooComplex`]).

mod addresses;
mod names;
mod paths;
mod syscalls;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::decide::{Basis, Decider, Decision, Operation, ProcessOperation, Verdict};
use crate::path::TooComplex;
use crate::policy::{Capability, LogLevel, Mode, Policy};

/// How two policies, a first and a second, differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// By section, then by what changes, then by the rules.
    pub differences: Vec<Difference>,
}

/// A difference between two policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The section that it is in.
    pub section: Section,
    /// What the second policy does that the first does not.
    pub change: Change,
    /// Which kinds of operation differ so: accesses, `connect`, `bind`, or a system call.
    pub operations: BTreeSet<Box<str>>,
    /// An operation that differs so.
    pub example: Box<str>,
    /// What the first policy decides about the example.
    pub first: Side,
    /// What the second policy decides about it.
    pub second: Side,
}

/// What one of the policies decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Side {
    /// Its verdict.
    pub verdict: Verdict,
    /// What that rests on.
    pub basis: Basis,
    /// Whether a deny is enforced.
    pub mode: Mode,
}

/// A section of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Section {
    Files,
    Network,
    Syscalls,
    Process,
    Audit,
}

/// What the second policy does that the first does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It allows what the first denies.
    Allows,
    /// It denies what the first allows.
    Denies,
    /// It denies too, but with another answer (errno, kill, only logged).
    Answers,
    /// It logs otherwise.
    Logs,
}

/// Compares two policies.
///
/// # Errors
/// If they are too complex to be compared within bounds.
pub fn diff(first: &Policy, second: &Policy) -> Result<Diff, TooComplex> {
    let deciders = [first, second].map(|policy| Decider::new(policy.clone().into()));
    let settings = [first, second].map(settings);
    let modes =
        settings.each_ref().map(|all| all.iter().map(|(mode, _)| *mode).collect::<BTreeSet<_>>());
    let modes = if modes[0] == modes[1] { Modes::Same } else { Modes::Differ };
    let mut found = Found { modes, by_basis: BTreeMap::new() };
    paths::compare(&deciders, &mut found)?;
    names::compare(&deciders, &mut found)?;
    addresses::compare(&deciders, &mut found)?;
    syscalls::compare(&deciders, &mut found)?;
    processes(&deciders, &mut found);
    let mut diff = Diff { differences: found.into_differences() };
    diff.differences.extend(audit(settings));
    Ok(diff)
}

impl Diff {
    /// Whether the policies are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.differences.is_empty()
    }
}

impl Side {
    fn new(verdict: Verdict, basis: Basis, mode: Mode) -> Self {
        Self { verdict, basis, mode }
    }

    /// What an operation gets: equal answers are no difference, whatever they rest on.
    fn answer(&self) -> (Verdict, Mode) {
        (self.verdict, self.mode)
    }
}

impl From<Decision> for Side {
    fn from(decision: Decision) -> Self {
        Self::new(decision.verdict, decision.basis, decision.mode)
    }
}

/// Differences by what they rest on, with the first example of each.
struct Found {
    /// Whether denies are compared by mode too: where modes differ, that alone is the difference.
    modes: Modes,
    by_basis: BTreeMap<Key, (BTreeSet<Box<str>>, Box<str>)>,
}

type Key = (Section, Change, [Side; 2]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Modes {
    Same,
    Differ,
}

impl Found {
    fn is_same(&self, first: (Verdict, Mode), second: (Verdict, Mode)) -> bool {
        first.0 == second.0 && (first.1 == second.1 || self.modes == Modes::Differ)
    }

    /// Compares what the two policies decide about an operation.
    fn compare(&mut self, section: Section, kind: &str, deciders: &[Decider; 2], op: &Operation) {
        let sides = deciders.each_ref().map(|decider| Side::from(decider.decide(op)));
        self.add(section, kind, op, sides);
    }

    fn add(&mut self, section: Section, kind: &str, example: &Operation, sides: [Side; 2]) {
        let [first, second] = &sides;
        if self.is_same(first.answer(), second.answer()) {
            return;
        }
        let change = match (first.verdict, second.verdict) {
            (_, Verdict::Allow) => Change::Allows,
            (Verdict::Allow, _) => Change::Denies,
            _ => Change::Answers,
        };
        let fresh = || (BTreeSet::new(), example.to_string().into_boxed_str());
        let (kinds, _) = self.by_basis.entry((section, change, sides)).or_insert_with(fresh);
        kinds.insert(kind.into());
    }

    fn into_differences(self) -> Vec<Difference> {
        self.by_basis
            .into_iter()
            .map(|((section, change, [first, second]), (operations, example))| Difference {
                section,
                change,
                operations,
                example,
                first,
                second,
            })
            .collect()
    }
}

/// What processes are and become: at each limit, each capability and each switch.
fn processes(deciders: &[Decider; 2], found: &mut Found) {
    let mut operations = vec![
        ProcessOperation::NewPrivileges,
        ProcessOperation::UserNamespace,
        ProcessOperation::CoreDump,
        ProcessOperation::MemfdExec,
        ProcessOperation::Count(u64::MAX),
        ProcessOperation::Memory(u64::MAX),
    ];
    operations.extend(Capability::all().map(ProcessOperation::Capability));
    for policy in deciders.iter().flat_map(|decider| decider.policy().layers()) {
        let edges = |limit: u64| [limit, limit.saturating_add(1)];
        if let Some(setting) = &policy.process.max_processes {
            operations.extend(edges(setting.value).map(ProcessOperation::Count));
        }
        if let Some(setting) = &policy.process.max_memory {
            operations.extend(edges(setting.value).map(ProcessOperation::Memory));
        }
    }
    for operation in operations {
        let text = operation.to_string();
        let kind = text.strip_prefix("process ").unwrap_or(&text);
        let kind = match operation {
            ProcessOperation::Count(_) => "count",
            ProcessOperation::Memory(_) => "memory",
            _ => kind,
        };
        found.compare(Section::Process, kind, deciders, &Operation::Process(operation));
    }
}

/// What is only logged, and what of it.
fn audit(settings: [BTreeSet<(Mode, LogLevel)>; 2]) -> Option<Difference> {
    let [first, second] = settings;
    if first == second {
        return None;
    }
    let side = |settings: &BTreeSet<(Mode, LogLevel)>| {
        let mode = settings.first().map(|(mode, _)| *mode).unwrap_or_default();
        Side::new(Verdict::Allow, Basis::Unrestricted, mode)
    };
    Some(Difference {
        section: Section::Audit,
        change: Change::Logs,
        operations: BTreeSet::new(),
        example: format!("{first:?} -> {second:?}").to_lowercase().into(),
        first: side(&first),
        second: side(&second),
    })
}

fn settings(policy: &Policy) -> BTreeSet<(Mode, LogLevel)> {
    let of_layer = |policy: &Policy| {
        let mode = policy.audit.mode.as_ref().map(|mode| mode.value).unwrap_or_default();
        let log = policy.audit.log.as_ref().map(|log| log.value).unwrap_or_default();
        (mode, log)
    };
    policy.layers().map(of_layer).collect()
}
