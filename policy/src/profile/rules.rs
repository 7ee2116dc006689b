// SPDX-License-Identifier: Apache-2.0
//! One rule: from strings to what they mean.
//!
//! Every function either gives the typed rule or reports why there is none; all
//! of a rule's strings are looked at before it gives up.

use std::sync::Arc;

use super::constants;
use super::load::Cursor;
use super::model::{self, Number, Placed, Rule};
use super::names;
use super::structure::{inside, shorten};
use super::text::{Text, Variables};
use crate::decide::{Operation, OperationErrorKind};
use crate::diagnostics::{Code, Diagnostic, Place, Report, Sources, Span, nearest};
use crate::net::{Address, AddressErrorKind};
use crate::path::{Pattern, PatternErrorKind};
use crate::policy::{
    AccessSet, AddressRule, Capability, CapabilityRule, Comparison, Condition, Errno, Origin,
    PathGrant, PathRule, SyscallRule,
};
use crate::seccomp::{Arch, Syscall, Width};

/// What lowering a rule needs, and where its mistakes go.
pub(super) struct Lowering<'a> {
    pub(super) sources: &'a Sources,
    pub(super) report: &'a mut Report,
    pub(super) variables: Variables,
    pub(super) cursor: Cursor,
    /// The name of the file whose rules are being lowered.
    pub(super) file: Arc<str>,
    /// Exceptions from sets of system calls that take nothing away, for lints.
    pub(super) idle: Vec<Span>,
}

/// What a rule for system calls names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Call,
    Set,
}

/// Where the parts of a typed rule stand, for lints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) rule: Span,
    pub(super) except: Vec<Span>,
}

impl Lowering<'_> {
    pub(super) fn origin(&mut self, span: Span) -> Origin {
        let Place { line, column } = self.cursor.place(span, self.sources);
        let text = self.sources.slice(span);
        Origin { file: Arc::clone(&self.file), line, column, text: text.into() }
    }

    fn expand(&mut self, text: &Text) -> Option<String> {
        text.expand(&mut self.variables, self.sources, self.report)
    }

    fn place(&self, text: &Text, offset: usize, len: usize) -> Span {
        text.place(offset, len, &self.variables, self.sources)
    }

    /// Whether a mistake is only counted from now on; if so it is counted.
    fn only_count(&mut self, code: Code) -> bool {
        let full = self.report.is_full();
        if full {
            self.report.push(Diagnostic::new(code, ""));
        }
        full
    }

    fn pattern(&mut self, text: &Text) -> Option<Pattern> {
        let value = self.expand(text)?;
        match Pattern::parse(&value) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let code = pattern_code(error.kind);
                if !self.only_count(code) {
                    let span = self.place(text, error.offset, error.len);
                    let message = format!("malformed path \"{}\"", shorten(&value));
                    self.report
                        .push(Diagnostic::new(code, message).at(span, error.kind.to_string()));
                }
                None
            }
        }
    }

    fn patterns(&mut self, texts: &[Text]) -> Option<Vec<Pattern>> {
        let all: Vec<_> = texts.iter().map(|text| self.pattern(text)).collect();
        all.into_iter().collect()
    }

    pub(super) fn path_rule(&mut self, rule: &Rule) -> Option<(PathRule, Located)> {
        let pattern = self.pattern(&rule.subject);
        let texts = rule.more.as_ref().map_or(&[][..], |more| &more.except);
        let except = self.patterns(texts);
        let origin = self.origin(rule.span);
        let typed =
            PathRule { pattern: pattern?, except: except?, reason: rule.reason.clone(), origin };
        Some((typed, located(rule)))
    }

    pub(super) fn grant(&mut self, rule: &Rule, list: AccessSet) -> Option<(PathGrant, Located)> {
        let (typed, located) = self.path_rule(rule)?;
        let more = rule.more.as_ref();
        let access = more.and_then(|more| more.access).unwrap_or(list);
        let presence = more.map(|more| more.presence).unwrap_or_default();
        Some((PathGrant { rule: typed, access, presence }, located))
    }

    fn address(&mut self, text: &Text) -> Option<Address> {
        let value = self.expand(text)?;
        match Address::parse(&value) {
            Ok(address) => Some(address),
            Err(error) => {
                let code = address_code(&error.kind);
                if self.only_count(code) {
                    return None;
                }
                let span = self.place(text, error.offset, error.len);
                let wrong = value.get(error.offset..error.offset + error.len).unwrap_or("");
                let near = nearest(wrong, error.kind.candidates().iter().copied());
                let mut diagnostic =
                    Diagnostic::new(code, format!("malformed address \"{}\"", shorten(&value)))
                        .at(span, error.kind.to_string())
                        .did_you_mean(span, near);
                if near.is_none() && !error.kind.candidates().is_empty() {
                    let list = error.kind.candidates().join("`, `");
                    diagnostic = diagnostic.help(format!("known are `{list}`"));
                }
                self.report.push(diagnostic);
                None
            }
        }
    }

    pub(super) fn address_rule(&mut self, rule: &Rule) -> Option<(AddressRule, Located)> {
        let address = self.address(&rule.subject);
        let texts = rule.more.as_ref().map_or(&[][..], |more| &more.except);
        let except: Vec<_> = texts.iter().map(|text| self.address(text)).collect();
        let except: Option<Vec<_>> = except.into_iter().collect();
        let origin = self.origin(rule.span);
        let (address, except, reason) = (address?, except?, rule.reason.clone());
        Some((AddressRule { address, except, reason, origin }, located(rule)))
    }

    pub(super) fn capability_rule(&mut self, rule: &Rule) -> Option<(CapabilityRule, Located)> {
        let value = self.expand(&rule.subject)?;
        let Some(capability) = Capability::from_name(&value) else {
            if !self.only_count(Code::UnknownCapability) {
                let bare = value.to_ascii_lowercase();
                let near = nearest(bare.trim_start_matches("cap_"), names::capabilities());
                let message = format!("no capability is called \"{}\"", shorten(&value));
                let span = inside(rule.subject.span);
                self.report.push(
                    Diagnostic::new(Code::UnknownCapability, message)
                        .at(span, "unknown capability")
                        .did_you_mean(span, near),
                );
            }
            return None;
        };
        let origin = self.origin(rule.span);
        Some((CapabilityRule { capability, reason: rule.reason.clone(), origin }, located(rule)))
    }

    /// The system calls that a name or a set stands for.
    fn calls(&mut self, text: &Text) -> Option<(String, Vec<Syscall>)> {
        let name = self.expand(text)?;
        if name.starts_with('@') {
            if let Some(calls) = names::syscall_set(&name) {
                return Some((name, calls));
            }
        } else if let Some(call) = Syscall::from_name(&name) {
            return Some((name, vec![call]));
        }
        let set = name.starts_with('@');
        let code = if set { Code::UnknownSyscallSet } else { Code::UnknownSyscall };
        if !self.only_count(code) {
            let span = inside(text.span);
            let shown = shorten(&name);
            let (message, near) = if set {
                let near = nearest(&name, names::syscall_sets());
                (format!("no set of system calls is called \"{shown}\""), near)
            } else {
                let near = nearest(&name, names::syscalls());
                (format!("no kernel has a system call \"{shown}\""), near)
            };
            let diagnostic =
                Diagnostic::new(code, message).at(span, "unknown").did_you_mean(span, near);
            self.report.push(diagnostic);
        }
        None
    }

    pub(super) fn syscall_rule(&mut self, rule: &Rule) -> Option<(SyscallRule, Located)> {
        let subject = self.calls(&rule.subject);
        let nothing = model::More::default();
        let more = rule.more.as_deref().unwrap_or(&nothing);
        let except: Vec<_> = more.except.iter().map(|text| self.calls(text)).collect();
        let except: Option<Vec<_>> = except.into_iter().collect();
        let (name, mut calls) = subject?;
        let set = name.starts_with('@').then(|| Arc::from(name.as_str()));
        let subject = if set.is_some() { Subject::Set } else { Subject::Call };
        if !self.fitting(more, subject) {
            return None;
        }
        for ((_, members), text) in except?.into_iter().zip(&more.except) {
            let before = calls.len();
            calls.retain(|call| !members.contains(call));
            if calls.len() == before {
                self.idle.push(text.span);
            }
        }
        if calls.is_empty() {
            self.bad_syscall_rule(
                rule.span,
                "nothing is left of the set",
                "`except` takes all away",
            );
            return None;
        }
        let conditions: Vec<_> = more.conditions.iter().map(|c| self.condition(c, &name)).collect();
        let conditions: Option<Vec<_>> = conditions.into_iter().collect();
        let mut typed = SyscallRule::new(calls, self.origin(rule.span));
        if let Some(errno) = &more.errno {
            typed.errno = Errno::from_name(&errno.value)?;
        }
        (typed.set, typed.conditions) = (set, conditions?);
        typed.reason = rule.reason.clone();
        Some((typed, located(rule)))
    }

    /// Whether what a table form adds goes with a set, or with a single call.
    fn fitting(&mut self, more: &model::More, subject: Subject) -> bool {
        match (subject, more.conditions.first(), more.except.first()) {
            (Subject::Set, Some(condition), _) => {
                let message = "a set of system calls with a condition on an argument";
                self.bad_syscall_rule(condition.span, message, "arguments belong to one call");
                false
            }
            (Subject::Call, _, Some(except)) => {
                let message = "an exception from a single system call";
                self.bad_syscall_rule(except.span, message, "only a set can have exceptions");
                false
            }
            _ => true,
        }
    }

    fn bad_syscall_rule(&mut self, span: Span, message: &str, label: &str) {
        self.report.push(Diagnostic::new(Code::BadSyscallRule, message).at(span, label));
    }

    fn condition(&mut self, condition: &model::Condition, name: &str) -> Option<Condition> {
        let span = condition.span;
        let Some(arg) = condition.arg else {
            self.bad_syscall_rule(span, "a condition without an argument", "`arg` must be given");
            return None;
        };
        let [(key, number)] = condition.comparisons.as_slice() else {
            let list = super::language::COMPARISONS.join("`, `");
            let label = format!("exactly one of `{list}` must be given");
            self.bad_syscall_rule(span, "a condition that compares nothing, or twice", &label);
            return None;
        };
        let arg_index = u8::try_from(arg.value).ok()?;
        let width = width(name, arg_index)?;
        let value = self.number(number, width);
        let mask = match &condition.mask {
            Some(mask) => Some(self.number(mask, width)?),
            None => None,
        };
        let value = value?;
        let comparison = match (*key, mask) {
            ("equals", None) => Comparison::Equal,
            ("not_equals", None) => Comparison::NotEqual,
            ("equals", Some(mask)) => Comparison::MaskedEqual { mask },
            ("not_equals", Some(mask)) => Comparison::MaskedNotEqual { mask },
            ("less", None) => Comparison::Less,
            ("at_most", None) => Comparison::LessOrEqual,
            ("greater", None) => Comparison::Greater,
            ("at_least", None) => Comparison::GreaterOrEqual,
            _ => {
                let label = "`mask` goes with `equals` and `not_equals`";
                self.bad_syscall_rule(span, "an order of masked values", label);
                return None;
            }
        };
        if mask.is_some_and(|mask| value & !mask != 0) {
            let label = "the value has bits that the mask has not";
            self.bad_syscall_rule(span, "a condition that never changes", label);
            return None;
        }
        Some(Condition { arg: arg_index, comparison, value })
    }

    /// The value of a number, which must fit what the kernel looks at.
    fn number(&mut self, number: &Number, width: Width) -> Option<u64> {
        let (value, span) = match number {
            #[allow(clippy::cast_sign_loss)] // -1 is all bits, as in C
            Number::Integer(Placed { value, span }) => (*value as u64, *span),
            Number::Text(text) => (self.constant(text)?, text.span),
        };
        let bits = bits(width);
        let above = if bits < 64 { value >> bits } else { 0 };
        // A negative number of a narrower type is sign-extended where it is written.
        let negative = bits < 64 && above == u64::MAX >> bits;
        if above != 0 && !negative {
            let label = format!("the kernel looks at {bits} bits of this argument");
            self.bad_syscall_rule(span, "a value that the argument cannot have", &label);
            return None;
        }
        Some(if bits < 64 { value & ((1 << bits) - 1) } else { value })
    }

    fn constant(&mut self, text: &Text) -> Option<u64> {
        let value = self.expand(text)?;
        match constants::value(&value) {
            Ok(number) => Some(number),
            Err(unknown) => {
                if !self.only_count(Code::UnknownConstant) {
                    let span = inside(text.span);
                    let message = format!("no constant is called \"{}\"", shorten(unknown.0));
                    self.report.push(
                        Diagnostic::new(Code::UnknownConstant, message)
                            .at(span, "neither a number nor a known name")
                            .did_you_mean(span, unknown.nearest())
                            .help("any other value can be written as a number"),
                    );
                }
                None
            }
        }
    }

    /// A number of bytes.
    pub(super) fn size(&mut self, number: &Number) -> Option<Placed<u64>> {
        let text = match number {
            Number::Integer(Placed { value, span }) => {
                return u64::try_from(*value).ok().map(|value| Placed { value, span: *span });
            }
            Number::Text(text) => text,
        };
        let value = self.expand(text)?;
        let parsed = parse_size(&value).filter(|bytes| *bytes > 0);
        if parsed.is_none() {
            let message = format!("\"{}\" is not a size", shorten(&value));
            self.report.push(
                Diagnostic::new(Code::BadSize, message)
                    .at(inside(text.span), "must be a number, with K, M, G or T"),
            );
        }
        parsed.map(|value| Placed { value, span: text.span })
    }

    /// The operation of a test, and its object with variables replaced.
    pub(super) fn operation(&mut self, verb: &str, text: &Text) -> Option<(String, Operation)> {
        let object = self.expand(text)?;
        match Operation::parse(&format!("{verb} {object}")) {
            Ok(operation) => Some((object, operation)),
            Err(error) => {
                if !self.only_count(Code::BadTest) {
                    let offset = error.offset.saturating_sub(verb.len() + 1);
                    let span = self.place(text, offset, error.len);
                    let wrong = object.get(offset..offset + error.len).unwrap_or("");
                    let near = match error.kind {
                        OperationErrorKind::UnknownSyscall => nearest(wrong, names::syscalls()),
                        OperationErrorKind::UnknownCapability => {
                            nearest(wrong, names::capabilities())
                        }
                        kind => nearest(wrong, kind.candidates().iter().copied()),
                    };
                    let message = format!("malformed operation \"{verb} {}\"", shorten(&object));
                    self.report.push(
                        Diagnostic::new(Code::BadTest, message)
                            .at(span, error.kind.to_string())
                            .did_you_mean(span, near),
                    );
                }
                None
            }
        }
    }
}

fn located(rule: &Rule) -> Located {
    let except = rule.more.as_ref().map_or(&[][..], |more| &more.except);
    Located { rule: rule.span, except: except.iter().map(|text| text.span).collect() }
}

fn pattern_code(kind: PatternErrorKind) -> Code {
    match kind {
        PatternErrorKind::Empty | PatternErrorKind::NotAbsolute => Code::NotAbsolute,
        PatternErrorKind::EmptyComponent
        | PatternErrorKind::TrailingSlash
        | PatternErrorKind::DotComponent
        | PatternErrorKind::DotDotComponent => Code::DotComponent,
        _ => Code::BadPattern,
    }
}

fn address_code(kind: &AddressErrorKind) -> Code {
    match kind {
        AddressErrorKind::UnknownProtocol => Code::UnknownProtocol,
        AddressErrorKind::UnknownSet => Code::UnknownAddressSet,
        AddressErrorKind::BadPort
        | AddressErrorKind::BackwardPorts
        | AddressErrorKind::PortOfAnyProtocol => Code::BadPort,
        AddressErrorKind::Pattern(kind) => pattern_code(*kind),
        _ => Code::BadAddress,
    }
}

/// How much of an argument the kernel looks at.
fn width(name: &str, arg: u8) -> Option<Width> {
    Some(Syscall::from_name(name)?.width(Arch::X86_64, arg))
}

fn bits(width: Width) -> u32 {
    match width {
        Width::Bits16 => 16,
        Width::Bits32 => 32,
        Width::Bits64 => 64,
    }
}

/// `512M` in bytes.
/// A number of bytes: digits, and K, M, G or T for a power of 1024.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (text.strip_suffix('K')?, 10),
        b'M' => (text.strip_suffix('M')?, 20),
        b'G' => (text.strip_suffix('G')?, 30),
        b'T' => (text.strip_suffix('T')?, 40),
        _ => (text, 0),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_power_of_1024() {
        assert_eq!(parse_size("512M"), Some(512 << 20));
        assert_eq!(parse_size("4096"), Some(4096));
        for bad in ["", "M", "1.5G", "-1", "+1K", "5X", "5 M", "99999999999T"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
