// SPDX-License-Identifier: Apache-2.0
//! A profile's `[syscalls]` as restrictions of the program.
//!
//! A rule that lists several conditions means all of them; a list of rules means any. "Not these
//! bits" has no operator in a filter: it becomes one match for each bit that may differ.

use super::condition::{Condition, Operator};
use super::rules::{Answer, Match, Restriction, Selects};
use crate::policy::{self, Comparison, Mode, Policy, SyscallRule};

/// What a call gets that an allow list does not name.
const EPERM: u16 = 1;

/// The restrictions that a policy's `[syscalls]` means, its required policy's first.
#[must_use]
pub fn restrictions(policy: &Policy) -> Vec<Restriction> {
    let mut all = policy.required.as_deref().map(restrictions).unwrap_or_default();
    let audits = policy.audit.mode.as_ref().is_some_and(|mode| mode.value == Mode::Audit);
    let answer = |enforced| if audits { Answer::Log } else { enforced };
    let rules = &policy.syscalls;
    for rule in &rules.kill {
        all.push(restriction(rule, answer(Answer::Kill)));
    }
    for rule in &rules.deny {
        let errno = u16::try_from(rule.errno.0).unwrap_or(EPERM);
        all.push(restriction(rule, answer(Answer::Errno(errno))));
    }
    if let Some(allow) = &rules.allow {
        all.push(Restriction {
            selects: Selects::AllBut(allow.iter().flat_map(matches).collect()),
            answer: answer(Answer::Errno(EPERM)),
            label: "syscalls.allow".to_owned(),
        });
    }
    all
}

fn restriction(rule: &SyscallRule, answer: Answer) -> Restriction {
    Restriction {
        selects: Selects::These(matches(rule)),
        answer,
        label: format!("{}, {}", rule.origin, rule.origin.text),
    }
}

fn matches(rule: &SyscallRule) -> Vec<Match> {
    let alternatives = alternatives(&rule.conditions);
    let one = |syscall: super::Syscall| {
        alternatives.iter().map(move |conditions| Match { syscall, conditions: conditions.clone() })
    };
    rule.calls.iter().flat_map(|call| one(*call)).collect()
}

/// Lists of conditions, any of which is what all the given ones mean together.
fn alternatives(conditions: &[policy::Condition]) -> Vec<Vec<Condition>> {
    let mut lists = vec![Vec::new()];
    for condition in conditions {
        let ways = ways(condition);
        lists = lists
            .into_iter()
            .flat_map(|list: Vec<Condition>| {
                ways.iter().map(move |way| list.iter().copied().chain(*way).collect())
            })
            .collect();
    }
    lists
}

/// The ways in which one condition can hold; `None` holds always, no way at all never.
fn ways(condition: &policy::Condition) -> Vec<Option<Condition>> {
    let value = condition.value;
    let one = |operator| Some(Condition { index: condition.arg, operator });
    match condition.comparison {
        Comparison::Equal => vec![one(Operator::Equal(value))],
        Comparison::NotEqual => vec![one(Operator::NotEqual(value))],
        Comparison::Less => vec![one(Operator::Less(value))],
        Comparison::LessOrEqual => vec![one(Operator::LessOrEqual(value))],
        Comparison::Greater => vec![one(Operator::Greater(value))],
        Comparison::GreaterOrEqual => vec![one(Operator::GreaterOrEqual(value))],
        // bits outside the mask are never there
        Comparison::MaskedEqual { mask } if value & !mask != 0 => Vec::new(),
        Comparison::MaskedNotEqual { mask } if value & !mask != 0 => vec![None],
        Comparison::MaskedEqual { mask } => vec![one(Operator::MaskedEqual { mask, value })],
        Comparison::MaskedNotEqual { mask } => (0..64)
            .map(|bit| 1_u64 << bit)
            .filter(|bit| mask & bit != 0)
            .map(|bit| one(Operator::MaskedEqual { mask: bit, value: !value & bit }))
            .collect(),
    }
}
