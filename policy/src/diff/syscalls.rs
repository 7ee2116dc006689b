// SPDX-License-Identifier: Apache-2.0
//! Differences about system calls.
//!
//! For each call that a rule names, and for one that none names, arguments are tried that meet the
//! conditions in every combination: the values at which a comparison changes, and for masks every
//! combination of the bits that they look at, as long as these are few.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::{Decider, Operation, SyscallOperation};
use crate::path::TooComplex;
use crate::policy::{Comparison, Condition};
use crate::seccomp::{Arch, Syscall};

use super::{Found, Section};

/// How many combinations of arguments of one call are tried.
const MOST: usize = 100_000;
/// How many bits of masks are combined.
const BITS: u32 = 8;

pub(super) fn compare(deciders: &[Decider; 2], found: &mut Found) -> Result<(), TooComplex> {
    let conditions = conditions(deciders);
    let unnamed = Syscall::all().find(|call| !conditions.contains_key(call));
    let named = conditions.iter().map(|(call, conditions)| (*call, conditions.as_slice()));
    let mut left = 10 * MOST;
    for (call, conditions) in named.chain(unnamed.map(|call| (call, &[][..]))) {
        let kind = if Some(call) == unnamed { "any other" } else { call.name() };
        let arguments: [Vec<u64>; 6] = std::array::from_fn(|arg| {
            values(call, conditions.iter().filter(|condition| usize::from(condition.arg) == arg))
        });
        let combinations = arguments.iter().map(Vec::len).try_fold(1, usize::checked_mul);
        let combinations = combinations.filter(|count| *count <= MOST).ok_or(TooComplex)?;
        left = left.checked_sub(combinations).ok_or(TooComplex)?;
        for number in 0..combinations {
            let operation = SyscallOperation {
                call,
                arch: Arch::X86_64,
                args: combination(&arguments, number),
            };
            found.compare(Section::Syscalls, kind, deciders, &Operation::Syscall(operation));
        }
    }
    Ok(())
}

/// The conditions that rules set on each call.
fn conditions(deciders: &[Decider; 2]) -> BTreeMap<Syscall, Vec<Condition>> {
    let mut conditions: BTreeMap<Syscall, BTreeSet<Condition>> = BTreeMap::new();
    for policy in deciders.iter().flat_map(|decider| decider.policy().layers()) {
        let syscalls = &policy.syscalls;
        for rule in syscalls.allow.iter().flatten().chain(&syscalls.deny).chain(&syscalls.kill) {
            for call in &rule.calls {
                conditions.entry(*call).or_default().extend(&rule.conditions);
            }
        }
        if policy.process.user_namespaces.is_some() {
            // What this says about flags: CLONE_NEWUSER of clone and unshare.
            let mask = 0x1000_0000;
            let flag =
                Condition { arg: 0, comparison: Comparison::MaskedEqual { mask }, value: mask };
            for call in ["clone", "unshare", "clone3"].into_iter().filter_map(Syscall::from_name) {
                conditions.entry(call).or_default().insert(flag);
            }
        }
    }
    conditions.into_iter().map(|(call, set)| (call, set.into_iter().collect())).collect()
}

/// Values of one argument, one for each way in which the conditions can hold or not.
fn values<'a>(call: Syscall, conditions: impl Iterator<Item = &'a Condition>) -> Vec<u64> {
    let conditions: Vec<_> = conditions.collect();
    let mut candidates = BTreeSet::from([0]);
    let mut bits = 0;
    for condition in &conditions {
        let value = condition.value;
        candidates.extend([value, value.wrapping_sub(1), value.wrapping_add(1)]);
        if let Comparison::MaskedEqual { mask } | Comparison::MaskedNotEqual { mask } =
            condition.comparison
        {
            bits |= mask;
            candidates.extend([mask, !mask, value | !mask, value ^ (mask & mask.wrapping_neg())]);
        }
    }
    let edges: Vec<u64> = candidates.iter().copied().collect();
    if bits.count_ones() <= BITS {
        for combined in subsets(bits) {
            candidates.extend(edges.iter().map(|edge| edge & !bits | combined));
        }
    } else {
        let pairs = edges.iter().flat_map(|one| edges.iter().map(move |other| one | other));
        candidates.extend(pairs.collect::<Vec<_>>());
    }
    let mut ways = BTreeSet::new();
    let is_new = |value: &u64| {
        let held =
            conditions.iter().map(|condition| condition.holds(call, Arch::X86_64, &[*value; 6]));
        ways.insert(held.collect::<Vec<_>>())
    };
    candidates.into_iter().filter(is_new).collect()
}

/// Every set of these bits.
fn subsets(bits: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(0u64), move |set| {
        let next = set.wrapping_sub(bits) & bits;
        (next != 0).then_some(next)
    })
}

/// The `number`th combination.
fn combination(arguments: &[Vec<u64>; 6], mut number: usize) -> [u64; 6] {
    arguments.each_ref().map(|values| {
        let value = values.get(number % values.len().max(1)).copied().unwrap_or_default();
        number /= values.len().max(1);
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_bits_comes_once() {
        assert_eq!(subsets(0).collect::<Vec<_>>(), [0]);
        assert_eq!(subsets(0b101).collect::<Vec<_>>(), [0, 0b001, 0b100, 0b101]);
    }

    #[test]
    fn every_combination_comes_once() {
        let arguments = [vec![1, 2], vec![0], vec![3, 4, 5], vec![0], vec![0], vec![0]];
        let all: BTreeSet<_> = (0..6).map(|number| combination(&arguments, number)).collect();
        assert_eq!(all.len(), 6);
    }
}
