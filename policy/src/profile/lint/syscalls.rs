// SPDX-License-Identifier: Apache-2.0
//! Odd rules for system calls and capabilities.

use std::collections::BTreeMap;

use super::super::Resolved;
use super::super::rules::Located;
use super::{covered, duplicate, idle_except, own, pairs, under_deny, without_grant};
use crate::diagnostics::{Code, Diagnostic, Report};
use crate::policy::SyscallRule;
use crate::seccomp::Syscall;

pub(super) fn lint(resolved: &Resolved, report: &mut Report) {
    let (syscalls, map) = (&resolved.policy.syscalls, &resolved.map);
    let kill = Always::new(&syscalls.kill, &map.kill);
    let deny = Always::new(&syscalls.deny, &map.syscall_deny);
    if let Some(allow) = &syscalls.allow {
        subsumed(allow, &map.allow, report);
        for (rule, place) in pairs(allow, &map.allow).filter(|(_, place)| own(place.rule)) {
            if let Some(by) = deny.all(rule).or_else(|| kill.all(rule)) {
                under_deny(report, place, Some(by), &format!("`{}`", name(rule)));
            }
        }
        let granted = |call: &Syscall| allow.iter().any(|rule| rule.calls.contains(call));
        let lists = [(&syscalls.deny, &map.syscall_deny), (&syscalls.kill, &map.kill)];
        for (rule, place) in lists.into_iter().flat_map(|(rules, places)| pairs(rules, places)) {
            if own(place.rule) && !rule.calls.iter().any(granted) {
                without_grant(report, place, &format!("`{}`", name(rule)));
            }
        }
    }
    subsumed(&syscalls.deny, &map.syscall_deny, report);
    subsumed(&syscalls.kill, &map.kill, report);
    for (rule, place) in pairs(&syscalls.deny, &map.syscall_deny).filter(|(_, p)| own(p.rule)) {
        if let Some(by) = kill.all(rule) {
            let message = format!("`{}` is killed, so it is never denied", name(rule));
            report.push(
                Diagnostic::new(Code::ShadowedByKill, message)
                    .at(place.rule, "this can never matter")
                    .also(by.rule, "this is stricter"),
            );
        }
    }
    map.idle.iter().for_each(|span| idle_except(report, *span));
    capabilities(resolved, report);
}

fn name(rule: &SyscallRule) -> &str {
    rule.set.as_deref().unwrap_or_else(|| rule.calls.first().map_or("", |call| call.name()))
}

/// The calls that some rule names whatever their arguments.
struct Always<'a>(BTreeMap<Syscall, &'a Located>);

impl<'a> Always<'a> {
    fn new(rules: &'a [SyscallRule], places: &'a [Located]) -> Self {
        let rules = pairs(rules, places).filter(|(rule, _)| rule.conditions.is_empty());
        let calls =
            rules.flat_map(|(rule, place)| rule.calls.iter().map(move |call| (*call, place)));
        Self(calls.collect())
    }

    /// If all calls of the rule are among them, the place of one.
    fn all(&self, rule: &SyscallRule) -> Option<&'a Located> {
        let mut places = rule.calls.iter().map(|call| self.0.get(call).copied());
        let first = places.next()??;
        places.all(|place| place.is_some()).then_some(first)
    }
}

/// Rules whose calls are all in one other rule of the list.
fn subsumed(rules: &[SyscallRule], places: &[Located], report: &mut Report) {
    if rules.len() > 2000 {
        return;
    }
    for (at, (rule, place)) in pairs(rules, places).enumerate() {
        let stronger = |(other_at, other): (usize, &SyscallRule)| {
            other_at != at && says(other, rule) && (!says(rule, other) || other_at < at)
        };
        let Some(other) = rules.iter().enumerate().position(stronger) else { continue };
        let (Some(known), Some(known_place)) = (rules.get(other), places.get(other)) else {
            continue;
        };
        if says(rule, known) {
            duplicate(report, place, known_place, name(rule));
        } else {
            covered(report, place, known_place, name(rule));
        }
    }
}

/// Whether `wide` does to all that `narrow` names what `narrow` does.
fn says(wide: &SyscallRule, narrow: &SyscallRule) -> bool {
    let conditions = wide.conditions.is_empty() || wide.conditions == narrow.conditions;
    let named = |call: &Syscall| wide.calls.binary_search(call).is_ok();
    wide.errno == narrow.errno && conditions && narrow.calls.iter().all(named)
}

fn capabilities(resolved: &Resolved, report: &mut Report) {
    let Some(rules) = &resolved.policy.process.capabilities else { return };
    let mut seen = BTreeMap::new();
    for (rule, place) in pairs(rules, &resolved.map.capabilities) {
        if let Some(other) = seen.insert(rule.capability, place) {
            duplicate(report, place, other, rule.capability.name());
        }
    }
}
