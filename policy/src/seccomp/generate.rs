// SPDX-License-Identifier: Apache-2.0
//! From rules to decisions: which registers decide a number's answer, for every number there is.
//!
//! The result covers all 2³² numbers of every listed architecture as ranges with one decision
//! each, so there is no number that nobody thought of.

use super::action::{Action, ENOSYS};
use super::arch::{Arch, X32_BIT};
use super::condition::Condition;
use super::error::Error;
use super::rules::{Match, Rules, Selects};
use super::syscall::{Syscall, Width};
use super::tree::{Forest, NodeId};
use std::collections::BTreeSet;

/// More decisions than this cannot fit a program.
const MAX_NODES: usize = 100_000;

/// The decisions of one architecture token.
#[derive(Debug)]
pub(super) struct Token {
    /// `AUDIT_ARCH_*`.
    pub token: u32,
    /// First number and decision of each range, beginning with 0; neighbours differ.
    pub ranges: Vec<(u32, NodeId)>,
    /// Where the ranges of each architecture of the token begin (x86-64 and x32 share one).
    pub archs: Vec<Arch>,
}

/// Everything that is decided.
#[derive(Debug)]
pub(super) struct Decisions {
    pub forest: Forest,
    /// The native token first.
    pub tokens: Vec<Token>,
    /// For every other token.
    pub unlisted: NodeId,
}

/// Decides every number of every token.
pub(super) fn generate(rules: &Rules<'_>) -> Result<Decisions, Error> {
    let mut generator = Generator { rules, forest: Forest::default() };
    let mut tokens: Vec<Token> = Vec::new();
    for arch in &rules.listed {
        let ranges = generator.arch(*arch)?;
        match tokens.iter_mut().find(|token| token.token == arch.token()) {
            Some(token) => {
                token.ranges.extend(ranges);
                token.archs.push(*arch);
            }
            None => tokens.push(Token { token: arch.token(), ranges, archs: vec![*arch] }),
        }
    }
    if let Some(token) = tokens.iter_mut().find(|token| token.archs[0] == Arch::X86_64) {
        generator.bound_x86_64(token);
    }
    for token in &mut tokens {
        token.ranges.sort_by_key(|(start, _)| *start);
        token.ranges.dedup_by_key(|(_, node)| *node);
    }
    let unlisted = generator.forest.answer(rules.unlisted());
    Ok(Decisions { forest: generator.forest, tokens, unlisted })
}

struct Generator<'r, 'a> {
    rules: &'r Rules<'a>,
    forest: Forest,
}

/// A number, and the call that a multiplexer was asked for.
struct Subject {
    arch: Arch,
    nr: u32,
    names: Vec<Syscall>,
    inner: Option<Syscall>,
}

impl Subject {
    fn is_clone3(&self) -> bool {
        self.names.iter().any(|call| call.name() == "clone3")
    }

    fn at_width(&self, call: Syscall, conditions: &[Condition]) -> Vec<(Condition, Width)> {
        conditions.iter().map(|c| (*c, call.width(self.arch, c.index))).collect()
    }
}

impl Generator<'_, '_> {
    fn arch(&mut self, arch: Arch) -> Result<Vec<(u32, NodeId)>, Error> {
        let first = if arch == Arch::X32 { X32_BIT } else { 0 };
        let mut cuts = self.rules.boundaries(arch);
        cuts.insert(first);
        for (nr, _) in self.rules.numbers(arch) {
            cuts.extend([*nr, nr.saturating_add(1)]);
        }
        let mut ranges = Vec::with_capacity(cuts.len());
        for start in cuts {
            let node = self.number(arch, start);
            if ranges.last().is_none_or(|(_, last)| *last != node) {
                ranges.push((start, node));
            }
            if self.forest.nodes().len() > MAX_NODES {
                return Err(Error::TooLong { needed: MAX_NODES });
            }
        }
        Ok(ranges)
    }

    /// Numbers from bit 30 on belong to x32; of them -1 is no call at all.
    fn bound_x86_64(&mut self, token: &mut Token) {
        let rules = self.rules;
        if !token.archs.contains(&Arch::X32) {
            let action =
                if rules.newer_get_enosys() { Action::Errno(ENOSYS) } else { rules.unlisted() };
            token.ranges.push((X32_BIT, self.forest.answer(action)));
        }
        let none = self.number(Arch::X86_64, u32::MAX);
        token.ranges.push((u32::MAX, none));
    }

    fn number(&mut self, arch: Arch, nr: u32) -> NodeId {
        let names = self.rules.calls(arch, nr).iter().map(|(_, call)| *call).collect();
        let mut subject = Subject { arch, nr, names, inner: None };
        let mut node = self.subject(&subject);
        let Some(multiplexer) = self.rules.multiplexer(arch, nr) else { return node };
        for (condition, call) in multiplexer.all() {
            if self.rules.is_treated(call) {
                subject.inner = Some(call);
                let inner = self.subject(&subject);
                node = self.forest.test(&condition, Width::Bits32, inner, node);
            }
        }
        node
    }

    /// The specification's decision, each of its answers tightened.
    fn subject(&mut self, subject: &Subject) -> NodeId {
        let rules = self.rules;
        let blind = subject.inner.and_then(|call| rules.blind(call));
        let mut entries: Vec<_> = subject
            .names
            .iter()
            .flat_map(|call| rules.entries(*call).map(|(_, entry)| (*call, entry)))
            .collect();
        entries.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.action.severity()));
        let hidden = rules.spec_restricts_clone && subject.is_clone3();
        let said = |action: Action| {
            let action = blind.map_or(action, |blind| action.or_stricter(blind));
            if hidden && action.permits() { Action::Errno(ENOSYS) } else { action }
        };
        if entries.is_empty() {
            let action = blind.unwrap_or_else(|| rules.unnamed(subject.arch, subject.nr));
            return self.restrict(subject, said(action));
        }
        let mut node = self.restrict(subject, said(rules.default_action()));
        for (call, entry) in entries.into_iter().rev() {
            let yes = self.restrict(subject, said(entry.action));
            let conditions = subject.at_width(call, &entry.conditions);
            node = if rules.any_suffices(entry) {
                self.forest.any(&conditions, yes, node)
            } else {
                self.forest.all(&conditions, yes, node)
            };
        }
        node
    }

    /// The restrictions that are stricter than `action`, the strictest looked at first.
    fn restrict(&mut self, subject: &Subject, action: Action) -> NodeId {
        let rules = self.rules;
        let named = subject.names.iter().chain(&subject.inner);
        let relevant: BTreeSet<usize> = named
            .flat_map(|call| rules.restrictions_of(*call).iter().copied())
            .chain(rules.allow_lists())
            .collect();
        let mut answers: Vec<(usize, Action)> = relevant
            .into_iter()
            .map(|position| (position, rules.answer(position, subject.arch, subject.nr)))
            .filter(|(_, answer)| answer.severity() > action.severity())
            .collect();
        answers.sort_by_key(|(_, answer)| std::cmp::Reverse(answer.severity()));
        let mut node = self.mediate(subject, action);
        for (position, answer) in answers.into_iter().rev() {
            let denied = self.mediate(subject, answer);
            node = match &rules.input.restrictions[position].selects {
                Selects::These(matches) => self.these(subject, matches, denied, node),
                Selects::AllBut(matches) => self.all_but(subject, matches, denied, node),
            };
        }
        node
    }

    fn these(&mut self, subject: &Subject, list: &[Match], yes: NodeId, no: NodeId) -> NodeId {
        if list.iter().any(|found| Some(found.syscall) == subject.inner) {
            return yes;
        }
        self.mine(subject, list, yes, no)
    }

    fn all_but(&mut self, subject: &Subject, list: &[Match], yes: NodeId, no: NodeId) -> NodeId {
        let about_inner: Vec<_> =
            list.iter().filter(|found| Some(found.syscall) == subject.inner).collect();
        let names_me = list.iter().any(|found| subject.names.contains(&found.syscall));
        let always = about_inner.iter().any(|found| found.conditions.is_empty());
        match (about_inner.is_empty(), always, names_me) {
            (false, false, _) => yes,
            (false, true, false) => no,
            _ => self.mine(subject, list, no, yes),
        }
    }

    /// `yes` where a match about the number itself holds.
    fn mine(&mut self, subject: &Subject, list: &[Match], yes: NodeId, no: NodeId) -> NodeId {
        let mine = list.iter().filter(|found| subject.names.contains(&found.syscall));
        mine.rev().fold(no, |node, found| {
            let conditions = subject.at_width(found.syscall, &found.conditions);
            self.forest.all(&conditions, yes, node)
        })
    }

    /// The supervisor gets what is still allowed; then clone3.
    fn mediate(&mut self, subject: &Subject, action: Action) -> NodeId {
        let rules = self.rules;
        let notified = match action {
            Action::Allow | Action::Log => Action::Notify,
            Action::Trace(_) => Action::Errno(ENOSYS),
            _ => return self.forest.answer(action),
        };
        let mediated = rules.input.mediated;
        if mediated.iter().any(|mediated| Some(mediated.syscall) == subject.inner) {
            return self.forest.answer(Action::Errno(ENOSYS));
        }
        let hidden = rules.policy_restricts_clone && subject.is_clone3() && action.permits();
        let rest = if hidden { Action::Errno(ENOSYS) } else { action };
        let (yes, mut node) = (self.forest.answer(notified), self.forest.answer(rest));
        for mediated in mediated.iter().filter(|m| subject.names.contains(&m.syscall)) {
            let conditions = subject.at_width(mediated.syscall, &mediated.conditions);
            node = self.forest.all(&conditions, yes, node);
        }
        node
    }
}
