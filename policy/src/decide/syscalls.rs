// SPDX-License-Identifier: Apache-2.0
//! Decisions about system calls as such.
//!
//! A rule is about the calls that it names, where all its conditions hold for the arguments. Of
//! several rules "the stricter action holds" (section 4): to be killed goes before an error, an
//! error before being allowed. `syscalls.allow`, when present, "allows only what it names".
//!
//! `process.user_namespaces = false` is about arguments of `clone` and `unshare` too; `clone3`,
//! whose flags are behind a pointer, is then answered ENOSYS, so that libc falls back to `clone`.

use std::collections::BTreeMap;

use crate::policy::{Errno, Policy, SyscallRule, Syscalls};
use crate::seccomp::Syscall;

use super::decision::{Basis, Decision, List, Rule, Verdict};
use super::operation::SyscallOperation;

/// `CLONE_NEWUSER` of sched.h.
const CLONE_NEWUSER: u64 = 0x1000_0000;

/// `[syscalls]`, prepared for decisions: for each call its rules, in the canonical order.
#[derive(Debug)]
pub(crate) struct SyscallIndex {
    by_call: BTreeMap<Syscall, Vec<(List, u32)>>,
}

impl SyscallIndex {
    pub(crate) fn new(syscalls: &Syscalls) -> Self {
        let mut ranked: Vec<(List, u32, &SyscallRule)> =
            [List::SyscallsKill, List::SyscallsDeny, List::SyscallsAllow]
                .into_iter()
                .flat_map(|list| {
                    (0u32..)
                        .zip(rules(syscalls, list))
                        .map(move |(index, rule)| (list, index, rule))
                })
                .collect();
        // The rule about fewer calls and with more conditions is the more specific one.
        ranked.sort_by(|(list, _, rule), (other_list, _, other)| {
            let breadth =
                |rule: &SyscallRule| (rule.calls.len(), usize::MAX - rule.conditions.len());
            breadth(rule).cmp(&breadth(other)).then_with(|| (rule, list).cmp(&(other, other_list)))
        });
        let mut by_call: BTreeMap<Syscall, Vec<(List, u32)>> = BTreeMap::new();
        for (list, index, rule) in ranked {
            for call in &rule.calls {
                by_call.entry(*call).or_default().push((list, index));
            }
        }
        Self { by_call }
    }

    /// The first rule of the list, in the canonical order, that is about the operation.
    pub(crate) fn first<'a>(
        &self,
        syscalls: &'a Syscalls,
        list: List,
        operation: &SyscallOperation,
    ) -> Option<&'a SyscallRule> {
        let of_call = self.by_call.get(&operation.call)?;
        let own = of_call.iter().filter(|(own, _)| *own == list);
        own.filter_map(|(_, index)| rules(syscalls, list).get(*index as usize))
            .find(|rule| is_about(rule, operation))
    }

    pub(crate) fn decide(&self, policy: &Policy, operation: &SyscallOperation) -> Decision {
        let syscalls = &policy.syscalls;
        let first = |list| self.first(syscalls, list, operation);
        let allow = || first(List::SyscallsAllow).map(|rule| cite(List::SyscallsAllow, rule));
        if let Some(rule) = first(List::SyscallsKill) {
            let basis = Basis::Rule(cite(List::SyscallsKill, rule));
            return Decision::new(Verdict::Kill, basis).with_next_best(allow());
        }
        if let Some(rule) = first(List::SyscallsDeny) {
            let denied = Decision::denied_by(cite(List::SyscallsDeny, rule), rule.errno);
            return denied.with_next_best(allow());
        }
        if let Some(denied) = user_namespace(policy, operation) {
            return denied.with_next_best(allow());
        }
        match (&syscalls.allow, allow()) {
            (None, _) => Decision::unrestricted(),
            (Some(_), Some(rule)) => Decision::allowed_by(rule),
            (Some(_), None) => Decision::not_granted(List::SyscallsAllow, Errno::EPERM),
        }
    }
}

fn rules(syscalls: &Syscalls, list: List) -> &[SyscallRule] {
    match list {
        List::SyscallsKill => &syscalls.kill,
        List::SyscallsDeny => &syscalls.deny,
        List::SyscallsAllow => syscalls.allow.as_deref().unwrap_or_default(),
        _ => &[],
    }
}

/// Whether the rule names the call and all its conditions hold.
pub(crate) fn is_about(rule: &SyscallRule, operation: &SyscallOperation) -> bool {
    let SyscallOperation { call, arch, args } = operation;
    rule.calls.binary_search(call).is_ok()
        && rule.conditions.iter().all(|condition| condition.holds(*call, *arch, args))
}

fn cite(list: List, rule: &SyscallRule) -> Rule {
    Rule { list, origin: rule.origin.clone(), reason: rule.reason.clone() }
}

/// What `user_namespaces = false` says about a call.
fn user_namespace(policy: &Policy, operation: &SyscallOperation) -> Option<Decision> {
    let setting = policy.process.user_namespaces.as_ref().filter(|setting| !setting.value)?;
    let flags = match operation.call.name() {
        "unshare" => 0,
        "clone" => operation.arch.clone_flags_index(),
        "clone3" => {
            return Some(Decision::denied_by(
                Rule::setting(List::UserNamespaces, setting),
                Errno::ENOSYS,
            ));
        }
        _ => return None,
    };
    let asked = operation.args.get(usize::from(flags)).is_some_and(|arg| arg & CLONE_NEWUSER != 0);
    asked.then(|| Decision::denied_by(Rule::setting(List::UserNamespaces, setting), Errno::EPERM))
}
