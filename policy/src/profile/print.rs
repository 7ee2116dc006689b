// SPDX-License-Identifier: Apache-2.0
//! A policy as the text of a profile without `extends`.
//!
//! Reading the text gives the policy again, save for the places of its rules.
//! What a policy requires besides ([`Policy::required`]) is another policy and is
//! not printed.

use std::fmt::Write as _;

use super::names::syscall_set;
use super::text::escape_variables;
use super::{Expect, Test};
use crate::path::Pattern;
use crate::policy::{
    AccessSet, AddressRule, CapabilityRule, Comparison, Condition, Errno, LogLevel, Mode,
    PathGrant, PathRule, Policy, Presence, Setting, SyscallRule,
};

/// The text of a profile that means `policy` and has these tests.
#[must_use]
pub fn print(policy: &Policy, tests: &[Test]) -> String {
    let mut out = String::new();
    for (key, value) in [("name", &policy.name), ("description", &policy.description)] {
        if let Some(value) = value {
            line(&mut out, key, &quote(value));
        }
    }
    let Policy { files, network, syscalls, process, .. } = policy;
    section(&mut out, "[files]", |out| {
        list(out, "read", files.read.as_deref(), |rule| grant(rule, AccessSet::READ));
        list(out, "write", files.write.as_deref(), |rule| grant(rule, AccessSet::WRITE));
        list(out, "execute", files.execute.as_deref(), |rule| grant(rule, AccessSet::EXECUTE));
        list(out, "deny", present(&files.deny), |rule| path_rule(rule).finish());
        list(out, "mask", present(&files.mask), |rule| path_rule(rule).finish());
    });
    section(&mut out, "[network]", |out| {
        list(out, "connect", network.connect.as_deref(), address_rule);
        list(out, "bind", network.bind.as_deref(), address_rule);
        list(out, "deny", present(&network.deny), address_rule);
    });
    section(&mut out, "[syscalls]", |out| {
        list(out, "allow", syscalls.allow.as_deref(), syscall_rule);
        list(out, "deny", present(&syscalls.deny), syscall_rule);
        list(out, "kill", present(&syscalls.kill), syscall_rule);
    });
    section(&mut out, "[process]", |out| {
        scalar(out, "no_new_privileges", process.no_new_privileges.as_ref());
        scalar(out, "user_namespaces", process.user_namespaces.as_ref());
        scalar(out, "core_dumps", process.core_dumps.as_ref());
        scalar(out, "memfd_exec", process.memfd_exec.as_ref());
        scalar(out, "max_processes", process.max_processes.as_ref());
        scalar(out, "max_memory", process.max_memory.as_ref());
        list(out, "capabilities", process.capabilities.as_deref(), capability_rule);
    });
    section(&mut out, "[audit]", |out| {
        if let Some(mode) = &policy.audit.mode {
            line(out, "mode", &quote(mode_word(mode.value)));
        }
        if let Some(log) = &policy.audit.log {
            line(out, "log", &quote(log_word(log.value)));
        }
    });
    for test in tests {
        print_test(&mut out, test);
    }
    out
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
    }
}

fn log_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::All => "all",
        LogLevel::Denied => "denied",
        LogLevel::None => "none",
    }
}

fn print_test(out: &mut String, test: &Test) {
    out.push_str("\n[[test]]\n");
    if let Some(name) = &test.name {
        line(out, "name", &quote(name));
    }
    line(out, test.verb, &meaning(&test.object));
    let word = match test.expect {
        Expect::Allow => "allow",
        Expect::Deny => "deny",
    };
    line(out, "expect", &quote(word));
}

/// Writes a section, unless it is empty.
fn section(out: &mut String, header: &str, body: impl FnOnce(&mut String)) {
    let mut inside = String::new();
    body(&mut inside);
    if !inside.is_empty() {
        if !out.is_empty() {
            out.push('\n');
        }
        line_of(out, header);
        out.push_str(&inside);
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    line_of(out, &format!("{key} = {value}"));
}

fn line_of(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn scalar<T: std::fmt::Display>(out: &mut String, key: &str, setting: Option<&Setting<T>>) {
    if let Some(setting) = setting {
        line(out, key, &setting.value.to_string());
    }
}

/// A list of denies, which is not there if it is empty.
fn present<T>(rules: &[T]) -> Option<&[T]> {
    (!rules.is_empty()).then_some(rules)
}

fn list<T>(out: &mut String, key: &str, rules: Option<&[T]>, text: impl Fn(&T) -> String) {
    match rules {
        None => {}
        Some([]) => line(out, key, "[]"),
        Some(rules) => {
            line_of(out, &format!("{key} = ["));
            for rule in rules {
                line_of(out, &format!("  {},", text(rule)));
            }
            line_of(out, "]");
        }
    }
}

/// A rule being written: a string, or a table as soon as it has a second entry.
struct Entry {
    first: (&'static str, String),
    rest: String,
}

impl Entry {
    fn new(key: &'static str, value: String) -> Self {
        Self { first: (key, value), rest: String::new() }
    }

    fn add(&mut self, key: &str, value: &str) {
        // Writing to a string cannot fail.
        let _infallible = write!(self.rest, ", {key} = {value}");
    }

    fn reason(&mut self, reason: Option<&str>) {
        if let Some(reason) = reason {
            self.add("reason", &quote(reason));
        }
    }

    fn finish(self) -> String {
        let (key, value) = self.first;
        if self.rest.is_empty() { value } else { format!("{{ {key} = {value}{} }}", self.rest) }
    }
}

fn texts(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.map(|item| meaning(&item)).collect::<Vec<_>>().join(", "))
}

fn path_rule(rule: &PathRule) -> Entry {
    let mut entry = Entry::new("path", meaning(rule.pattern.text()));
    if !rule.except.is_empty() {
        entry.add("except", &texts(rule.except.iter().map(|p: &Pattern| p.text().to_owned())));
    }
    entry.reason(rule.reason.as_deref());
    entry
}

fn grant(grant: &PathGrant, list: AccessSet) -> String {
    let mut entry = path_rule(&grant.rule);
    if grant.access != list {
        entry.add("access", &texts(grant.access.iter().map(|access| access.name().to_owned())));
    }
    if grant.presence == Presence::Required {
        entry.add("required", "true");
    }
    entry.finish()
}

fn address_rule(rule: &AddressRule) -> String {
    let mut entry = Entry::new("address", meaning(&rule.address.to_string()));
    if !rule.except.is_empty() {
        entry.add("except", &texts(rule.except.iter().map(ToString::to_string)));
    }
    entry.reason(rule.reason.as_deref());
    entry.finish()
}

fn capability_rule(rule: &CapabilityRule) -> String {
    let mut entry = Entry::new("name", quote(rule.capability.name()));
    entry.reason(rule.reason.as_deref());
    entry.finish()
}

fn syscall_rule(rule: &SyscallRule) -> String {
    let single = rule.calls.first().map_or("", |call| call.name());
    let mut entry = Entry::new("name", quote(rule.set.as_deref().unwrap_or(single)));
    let whole = rule.set.as_deref().and_then(syscall_set).unwrap_or_default();
    let has = |name: &str| rule.calls.iter().any(|call| call.name() == name);
    let missing = whole.iter().map(|call| call.name()).filter(|name| !has(name));
    let missing: Vec<String> = missing.map(str::to_owned).collect();
    if !missing.is_empty() {
        entry.add("except", &texts(missing.into_iter()));
    }
    match rule.conditions.as_slice() {
        [] => {}
        [one] => condition(one).into_iter().for_each(|(key, value)| entry.add(key, &value)),
        several => {
            let tables = several.iter().map(|one| {
                let pairs =
                    condition(one).into_iter().map(|(key, value)| format!("{key} = {value}"));
                format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
            });
            entry.add("args", &format!("[{}]", tables.collect::<Vec<_>>().join(", ")));
        }
    }
    if rule.errno != Errno::EPERM {
        entry.add("errno", &quote(&rule.errno.to_string()));
    }
    entry.reason(rule.reason.as_deref());
    entry.finish()
}

fn condition(condition: &Condition) -> Vec<(&'static str, String)> {
    let (key, mask) = match condition.comparison {
        Comparison::Equal => ("equals", None),
        Comparison::NotEqual => ("not_equals", None),
        Comparison::Less => ("less", None),
        Comparison::LessOrEqual => ("at_most", None),
        Comparison::Greater => ("greater", None),
        Comparison::GreaterOrEqual => ("at_least", None),
        Comparison::MaskedEqual { mask } => ("equals", Some(mask)),
        Comparison::MaskedNotEqual { mask } => ("not_equals", Some(mask)),
    };
    let mut pairs = vec![("arg", condition.arg.to_string())];
    pairs.extend(mask.map(|mask| ("mask", number(mask))));
    pairs.push((key, number(condition.value)));
    pairs
}

/// A number; as a string if TOML has no such integer.
fn number(value: u64) -> String {
    if i64::try_from(value).is_ok() { format!("{value:#x}") } else { format!("\"{value:#x}\"") }
}

/// A string whose variables must not be taken for such.
fn meaning(text: &str) -> String {
    quote(&escape_variables(text))
}

/// A TOML string: in apostrophes where that saves escapes.
fn quote(text: &str) -> String {
    let plain = |c: char| !c.is_control() && c != '\'';
    if text.contains(['\\', '"']) && text.chars().all(plain) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
