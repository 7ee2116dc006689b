// SPDX-License-Identifier: Apache-2.0
//! The reference meaning: what happens to one call, computed the slow and obvious way.
//!
//! Every program is checked against it before it is returned. It looks at one concrete call at a
//! time and knows nothing of trees, ranges or instructions.
//!
//! Precedence, in order:
//!
//! 1. A call of an architecture that is not listed is denied.
//! 2. Of the specification's entries that match, the strictest holds (seccomp(2)'s order of
//!    actions; of two that are equally strict, the first). If none matches: the default, or ENOSYS
//!    for a number above every named one.
//! 3. `clone3` gets ENOSYS if it is still allowed and the answer to `clone` is not always the same.
//! 4. Restrictions of the policy tighten that; of two errnos the specification's holds.
//! 5. What is still allowed and is mediated, is notified; then, for what the policy says about
//!    `clone`, the third point again.

use super::action::{Action, ENOSYS};
use super::arch::Arch;
use super::condition::Condition;
use super::rules::{Match, Rules, Selects};
use super::syscall::Syscall;
use std::fmt;

/// What the kernel shows a program of a call (`struct seccomp_data`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompData {
    /// The number, as unsigned.
    pub nr: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// Where the call was made.
    pub instruction_pointer: u64,
    /// The registers.
    pub args: [u64; 6],
}

/// The answer to a call, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer.
    pub action: Action,
    /// What decided.
    pub reason: Reason,
}

/// What decided an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The entry of that position.
    Entry(usize),
    /// The default action.
    Default,
    /// The number is above every one that is named.
    Newer,
    /// The architecture is not listed.
    Unlisted,
    /// The restriction of that position.
    Restriction(usize),
    /// The mediated call of that position.
    Mediated(usize),
    /// `clone3` hides what the rules about `clone` look at.
    HiddenFlags,
    /// The rules about the call that a multiplexer was asked for.
    Multiplexed(Syscall),
}

/// What happens to the call.
pub fn verdict(rules: &Rules<'_>, data: &SeccompData) -> Verdict {
    match architecture(rules, data) {
        Ok(arch) => Call::new(rules, arch, data).verdict(),
        Err(verdict) => verdict,
    }
}

/// Whose rules apply.
fn architecture(rules: &Rules<'_>, data: &SeccompData) -> Result<Arch, Verdict> {
    let wide = Arch::X86_64;
    if data.arch == wide.token() && data.nr == u32::MAX && rules.listed.contains(&wide) {
        // -1 is not a call of x32 but no call at all: a tracer skips one so.
        return Ok(wide);
    }
    let arch = Arch::of_call(rules.input.native, data.arch, data.nr);
    match arch.filter(|arch| rules.listed.contains(arch)) {
        Some(arch) => Ok(arch),
        // To x86-64, the numbers of an x32 that is not listed are numbers that it does not have.
        None if arch == Some(Arch::X32) && rules.newer_get_enosys() => {
            Err(Verdict { action: Action::Errno(ENOSYS), reason: Reason::Newer })
        }
        None => Err(Verdict { action: rules.unlisted(), reason: Reason::Unlisted }),
    }
}

struct Call<'r, 'a> {
    rules: &'r Rules<'a>,
    arch: Arch,
    nr: u32,
    names: &'r [(u32, Syscall)],
    inner: Option<Syscall>,
    args: &'r [u64; 6],
}

impl<'r, 'a> Call<'r, 'a> {
    fn new(rules: &'r Rules<'a>, arch: Arch, data: &'r SeccompData) -> Self {
        let inner = rules.multiplexer(arch, data.nr).and_then(|m| m.inner(data.args[0]));
        let names = rules.calls(arch, data.nr);
        Self { rules, arch, nr: data.nr, names, inner, args: &data.args }
    }

    fn verdict(&self) -> Verdict {
        let mut verdict = self.specification();
        self.hide_clone3(self.rules.spec_restricts_clone, &mut verdict);
        self.restrict(&mut verdict);
        self.mediate(&mut verdict);
        self.hide_clone3(self.rules.policy_restricts_clone, &mut verdict);
        verdict
    }

    /// Where `clone` is restricted, an allowed `clone3` would be a way round.
    fn hide_clone3(&self, restricted: bool, verdict: &mut Verdict) {
        let clone3 = self.names.iter().any(|(_, call)| call.name() == "clone3");
        if clone3 && restricted && verdict.action.permits() {
            *verdict = Verdict { action: Action::Errno(ENOSYS), reason: Reason::HiddenFlags };
        }
    }

    fn is(&self, call: Syscall) -> bool {
        self.names.iter().any(|(_, name)| *name == call)
    }

    fn holds(&self, call: Syscall, condition: &Condition) -> bool {
        let width = call.width(self.arch, condition.index);
        let argument = self.args[usize::from(condition.index)] & width.mask();
        condition.operator.at(width).holds(argument)
    }

    fn specification(&self) -> Verdict {
        let direct =
            self.names.iter().any(|(_, call)| self.rules.is_named(*call)).then(|| self.entries());
        let inner = self.inner.and_then(|call| {
            let action = self.rules.blind(call)?;
            Some(Verdict { action, reason: Reason::Multiplexed(call) })
        });
        match (direct, inner) {
            (Some(direct), Some(inner)) if inner.action.severity() > direct.action.severity() => {
                inner
            }
            (Some(direct), _) => direct,
            (None, Some(inner)) => inner,
            (None, None) => {
                let newer = self.rules.is_newer(self.arch, self.nr);
                let reason = if newer { Reason::Newer } else { Reason::Default };
                Verdict { action: self.rules.unnamed(self.arch, self.nr), reason }
            }
        }
    }

    /// The strictest entry that matches, or the default.
    fn entries(&self) -> Verdict {
        let mut found: Option<Verdict> = None;
        for (_, call) in self.names {
            for (position, entry) in self.rules.entries(*call) {
                let mut conditions = entry.conditions.iter();
                let matches = if self.rules.any_suffices(entry) {
                    conditions.any(|condition| self.holds(*call, condition))
                } else {
                    conditions.all(|condition| self.holds(*call, condition))
                };
                let stricter = found.is_none_or(|f| entry.action.severity() > f.action.severity());
                if matches && stricter {
                    found = Some(Verdict { action: entry.action, reason: Reason::Entry(position) });
                }
            }
        }
        let default = Verdict { action: self.rules.default_action(), reason: Reason::Default };
        found.unwrap_or(default)
    }

    fn restrict(&self, verdict: &mut Verdict) {
        let names = self.names.iter().map(|(_, call)| *call).chain(self.inner);
        for position in self.rules.about(names) {
            let Some(restriction) = self.rules.input.restrictions.get(position) else { continue };
            let selected = match &restriction.selects {
                Selects::These(matches) => {
                    self.matched(matches) || matches.iter().any(|m| Some(m.syscall) == self.inner)
                }
                Selects::AllBut(matches) => !self.is_allowed(matches),
            };
            if !selected {
                continue;
            }
            let answer = self.rules.answer(position, self.arch, self.nr);
            if answer.severity() > verdict.action.severity() {
                *verdict = Verdict { action: answer, reason: Reason::Restriction(position) };
            }
        }
    }

    fn matched(&self, matches: &[Match]) -> bool {
        matches.iter().any(|found| {
            self.is(found.syscall)
                && found.conditions.iter().all(|condition| self.holds(found.syscall, condition))
        })
    }

    fn is_allowed(&self, list: &[Match]) -> bool {
        let of_inner = || list.iter().filter(|found| Some(found.syscall) == self.inner);
        let names_me = list.iter().any(|found| self.is(found.syscall));
        if of_inner().next().is_some() {
            of_inner().any(|found| found.conditions.is_empty()) && (!names_me || self.matched(list))
        } else {
            self.matched(list)
        }
    }

    fn mediate(&self, verdict: &mut Verdict) {
        let undecided = match verdict.action {
            Action::Allow | Action::Log => Action::Notify,
            // Without a tracer the call would get ENOSYS, and with one the supervisor would not
            // see it: what both allow is nothing.
            Action::Trace(_) => Action::Errno(ENOSYS),
            _ => return,
        };
        let mediated = self.rules.input.mediated.iter().enumerate();
        for (position, mediated) in mediated {
            let reason = Reason::Mediated(position);
            if Some(mediated.syscall) == self.inner {
                // The supervisor is not told of calls in disguise; libc makes the call itself.
                *verdict = Verdict { action: Action::Errno(ENOSYS), reason };
                return;
            }
            let mine = self.is(mediated.syscall);
            if mine && mediated.conditions.iter().all(|c| self.holds(mediated.syscall, c)) {
                *verdict = Verdict { action: undecided, reason };
            }
        }
    }
}

impl Verdict {
    /// The answer and what decided it, for people.
    pub fn describe(&self, rules: &Rules<'_>) -> String {
        format!("{} ({})", self.action, Because { reason: self.reason, rules })
    }
}

struct Because<'r, 'a> {
    reason: Reason,
    rules: &'r Rules<'a>,
}

impl fmt::Display for Because<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = &self.rules.input;
        match self.reason {
            Reason::Entry(position) => {
                let entry = input.spec.and_then(|spec| spec.syscalls.get(position));
                f.write_str(entry.map_or("an entry", |entry| &entry.place))
            }
            Reason::Default if input.spec.is_none() => f.write_str("nothing restricts it"),
            Reason::Default => f.write_str("the default action"),
            Reason::Newer => f.write_str("newer than the profile"),
            Reason::Unlisted => f.write_str("the architecture is not listed"),
            Reason::Restriction(position) => f.write_str(&input.restrictions[position].label),
            Reason::Mediated(position) => f.write_str(&input.mediated[position].label),
            Reason::HiddenFlags => f.write_str("clone3 hides the flags that clone is limited in"),
            Reason::Multiplexed(call) => write!(f, "the rules about {call}"),
        }
    }
}
