// SPDX-License-Identifier: Apache-2.0
//! Checks a finished program against the reference meaning, before anybody can load it.
//!
//! Every number of every listed architecture and its neighbours is tried, with arguments at the
//! edges of each comparison that the rules make about that call: for each rule a vector that meets
//! it, varied one argument at a time, and all combinations where they are few. Between the edges
//! of a comparison neither the rules nor a program made of comparisons change their mind.

use super::action::Action;
use super::arch::{Arch, X32_BIT};
use super::condition::{Condition, Operator};
use super::error::Error;
use super::interpret::run;
use super::program::Program;
use super::reference::{SeccompData, verdict};
use super::rules::{Rules, Selects};
use super::syscall::Syscall;
use std::collections::BTreeMap;

/// Combinations of edges are tried exhaustively up to this many a call.
const MAX_COMBINATIONS: usize = 512;
/// Vectors that are tried at most for a call.
const MAX_VECTORS: usize = 4096;

/// Runs the program and the reference side by side.
///
/// # Errors
///
/// The first call on which the program and the rules disagree.
pub(super) fn verify(program: &Program, rules: &Rules<'_>) -> Result<(), Error> {
    for_each_probe(rules, |data| {
        let expected = verdict(rules, data).action;
        let got = run(program, data, rules.input.native)?.action;
        if got == expected { Ok(()) } else { Err(disagreement(data, expected, got)) }
    })
}

/// Calls `try_one` with every call that is worth trying, and stops at the first error.
///
/// # Errors
///
/// Those of `try_one`.
pub fn for_each_probe<E>(
    rules: &Rules<'_>,
    mut try_one: impl FnMut(&SeccompData) -> Result<(), E>,
) -> Result<(), E> {
    let conditions = by_call(rules);
    for (token, nr) in calls(rules) {
        let mut about: Vec<&[Condition]> = Vec::new();
        let mut codes: Vec<Condition> = Vec::new();
        for arch in rules.listed.iter().filter(|arch| arch.token() == token) {
            for (_, call) in rules.calls(*arch, nr) {
                about.extend(conditions.get(call).into_iter().flatten().copied());
            }
            codes.extend(rules.multiplexer(*arch, nr).iter().flat_map(|m| m.all().map(|(c, _)| c)));
        }
        about.extend(codes.chunks(1));
        for args in vectors(&about) {
            try_one(&SeccompData { nr, arch: token, args, ..SeccompData::default() })?;
        }
    }
    Ok(())
}

fn disagreement(data: &SeccompData, expected: Action, got: Action) -> Error {
    let SeccompData { nr, arch, args, .. } = data;
    Error::Unverified(format!(
        "call {nr:#x} of {arch:#x} with {args:x?}: {got} in place of {expected}"
    ))
}

/// Numbers worth trying, with each token that this kernel can report and one that it cannot.
fn calls(rules: &Rules<'_>) -> Vec<(u32, u32)> {
    let native = rules.input.native;
    let mut calls = Vec::new();
    for arch in native.reachable() {
        let edges =
            [0, 1, X32_BIT - 1, X32_BIT, i32::MAX.cast_unsigned(), 1 << 31, u32::MAX - 1, u32::MAX];
        calls.extend(edges.map(|nr| (arch.token(), nr)));
        let near = |nr: u32| [nr.wrapping_sub(1), nr, nr.wrapping_add(1)];
        for (nr, _) in rules.numbers(*arch) {
            calls.extend(near(*nr).map(|nr| (arch.token(), nr)));
        }
        for cut in rules.boundaries(*arch) {
            calls.extend(near(cut).map(|nr| (arch.token(), nr)));
        }
    }
    let foreign = Arch::all().map(Arch::token).chain([0, u32::MAX]);
    let foreign = foreign.filter(|token| native.reachable().iter().all(|a| a.token() != *token));
    calls.extend(foreign.flat_map(|token| [(token, 0), (token, 59), (token, u32::MAX)]));
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// The conditions that some rule puts on a call.
fn by_call<'r>(rules: &Rules<'r>) -> BTreeMap<Syscall, Vec<&'r [Condition]>> {
    let mut conditions: BTreeMap<Syscall, Vec<&'r [Condition]>> = BTreeMap::new();
    let input = rules.input;
    for entry in input.spec.map_or(&[][..], |spec| spec.syscalls.as_slice()) {
        for call in entry.syscalls.iter().filter(|_| !entry.conditions.is_empty()) {
            conditions.entry(*call).or_default().push(&entry.conditions);
        }
    }
    for restriction in input.restrictions {
        let (Selects::These(matches) | Selects::AllBut(matches)) = &restriction.selects;
        for found in matches.iter().filter(|found| !found.conditions.is_empty()) {
            conditions.entry(found.syscall).or_default().push(&found.conditions);
        }
    }
    for mediated in input.mediated.iter().filter(|mediated| !mediated.conditions.is_empty()) {
        conditions.entry(mediated.syscall).or_default().push(&mediated.conditions);
    }
    conditions
}

/// Arguments at the edges of these rules' comparisons.
fn vectors(rules: &[&[Condition]]) -> Vec<[u64; 6]> {
    let mut vectors = vec![[0; 6], [u64::MAX; 6]];
    if rules.is_empty() {
        return vectors;
    }
    vectors.push([1 << 32; 6]);
    let mut edges: [Vec<u64>; 6] = Default::default();
    for condition in rules.iter().copied().flatten() {
        edges[usize::from(condition.index)].extend(condition.operator.edges());
    }
    for values in &mut edges {
        if !values.is_empty() {
            values.extend([0, u64::MAX, 0xFFFF_FFFF, 1 << 31, 1 << 32]);
            values.sort_unstable();
            values.dedup();
        }
    }
    let combinations = edges.iter().fold(1usize, |n, e| n.saturating_mul(e.len().max(1)));
    if combinations <= MAX_COMBINATIONS {
        vectors.extend(product(&edges));
        return vectors;
    }
    for rule in rules {
        let met = witness(rule);
        vectors.push(met);
        for (index, values) in edges.iter().enumerate() {
            vectors.extend(values.iter().map(|value| {
                let mut varied = met;
                varied[index] = *value;
                varied
            }));
        }
        if vectors.len() > MAX_VECTORS {
            break;
        }
    }
    vectors
}

fn product(edges: &[Vec<u64>; 6]) -> Vec<[u64; 6]> {
    let mut vectors = vec![[0; 6]];
    for (index, values) in edges.iter().enumerate().filter(|(_, values)| !values.is_empty()) {
        vectors = vectors
            .iter()
            .flat_map(|vector| {
                values.iter().map(move |value| {
                    let mut varied = *vector;
                    varied[index] = *value;
                    varied
                })
            })
            .collect();
    }
    vectors
}

/// Arguments that meet every condition, where that is easy.
fn witness(rule: &[Condition]) -> [u64; 6] {
    let mut args = [0; 6];
    for condition in rule {
        let index = usize::from(condition.index);
        let on_this = || rule.iter().filter(|other| other.index == condition.index);
        let meets = |value: &u64| on_this().all(|other| other.operator.holds(*value));
        let mut candidates: Vec<u64> = on_this().flat_map(|other| other.operator.edges()).collect();
        // Masks of one argument: the bits of all of them together.
        candidates.push(on_this().fold(0, |bits, other| match other.operator {
            Operator::MaskedEqual { mask, value } => bits | value & mask,
            _ => bits,
        }));
        args[index] = candidates.into_iter().find(meets).unwrap_or_default();
    }
    args
}
