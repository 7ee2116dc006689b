// SPDX-License-Identifier: Apache-2.0
//! One file of a profile: typed, with places, before `extends` and variables.
//!
//! Lowering from the tree is total: whatever [`super::structure`] has reported is
//! left out here, so that the rest of a file with mistakes is still looked at.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::structure::integer;
use super::text::Text;
use crate::diagnostics::{SourceId, Span};
use crate::policy::{Access, AccessSet, LogLevel, Mode, Presence};

/// One file.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) name: Option<Placed<Arc<str>>>,
    pub(super) description: Option<Placed<Arc<str>>>,
    pub(super) extends: Vec<Text>,
    /// Name, the name's place, value.
    pub(super) vars: Vec<(String, Span, String)>,
    pub(super) files: Files,
    pub(super) network: Network,
    pub(super) syscalls: Syscalls,
    pub(super) process: Process,
    pub(super) mode: Option<Placed<Mode>>,
    pub(super) log: Option<Placed<LogLevel>>,
    pub(super) tests: Vec<Test>,
}

/// A value and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) read: Option<Vec<Rule>>,
    pub(super) write: Option<Vec<Rule>>,
    pub(super) execute: Option<Vec<Rule>>,
    pub(super) deny: Option<Vec<Rule>>,
    pub(super) mask: Option<Vec<Rule>>,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) connect: Option<Vec<Rule>>,
    pub(super) bind: Option<Vec<Rule>>,
    pub(super) deny: Option<Vec<Rule>>,
}

#[derive(Debug, Default)]
pub(super) struct Syscalls {
    pub(super) allow: Option<Vec<Rule>>,
    pub(super) deny: Option<Vec<Rule>>,
    pub(super) kill: Option<Vec<Rule>>,
}

#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) no_new_privileges: Option<Placed<bool>>,
    pub(super) user_namespaces: Option<Placed<bool>>,
    pub(super) core_dumps: Option<Placed<bool>>,
    pub(super) memfd_exec: Option<Placed<bool>>,
    pub(super) max_processes: Option<Placed<u64>>,
    pub(super) max_memory: Option<Number>,
    pub(super) capabilities: Option<Vec<Rule>>,
}

/// A rule of any list: what it names, and what a table form adds.
#[derive(Debug)]
pub(super) struct Rule {
    /// The path, address or name.
    pub(super) subject: Text,
    /// The whole rule.
    pub(super) span: Span,
    pub(super) reason: Option<Arc<str>>,
    /// The rest of a table form; most rules have none.
    pub(super) more: Option<Box<More>>,
}

/// What only the table form of a rule has.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) except: Vec<Text>,
    pub(super) access: Option<AccessSet>,
    pub(super) presence: Presence,
    pub(super) conditions: Vec<Condition>,
    pub(super) errno: Option<Placed<String>>,
}

/// A comparison of an argument, as written.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) span: Span,
    pub(super) arg: Option<Placed<i64>>,
    pub(super) mask: Option<Number>,
    /// The comparisons that are given; a sound condition has one.
    pub(super) comparisons: Vec<(&'static str, Number)>,
}

/// A number, or a text that stands for one.
#[derive(Debug)]
pub(super) enum Number {
    Integer(Placed<i64>),
    Text(Text),
}

/// A `[[test]]`.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) span: Span,
    pub(super) name: Option<Arc<str>>,
    pub(super) verb: &'static str,
    pub(super) object: Text,
    pub(super) expect: Placed<Expect>,
}

/// What a test expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// `expect = "allow"`.
    Allow,
    /// `expect = "deny"`.
    Deny,
}

impl Expect {
    /// The word in the profile.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Expect::Allow => "allow",
            Expect::Deny => "deny",
        }
    }
}

/// Lowers the tree of one file.
pub(super) fn lower(tree: &DeTable<'_>, source: SourceId) -> Profile {
    let at = At { source, table: tree };
    let mut profile = Profile {
        name: at.string("name"),
        description: at.string("description"),
        extends: at.texts("extends"),
        vars: variables(&at),
        tests: tests(&at),
        ..Profile::default()
    };
    if let Some(files) = at.table("files") {
        profile.files = Files {
            read: files.rules("read", "path"),
            write: files.rules("write", "path"),
            execute: files.rules("execute", "path"),
            deny: files.rules("deny", "path"),
            mask: files.rules("mask", "path"),
        };
    }
    if let Some(network) = at.table("network") {
        profile.network = Network {
            connect: network.rules("connect", "address"),
            bind: network.rules("bind", "address"),
            deny: network.rules("deny", "address"),
        };
    }
    if let Some(syscalls) = at.table("syscalls") {
        profile.syscalls = Syscalls {
            allow: syscalls.rules("allow", "name"),
            deny: syscalls.rules("deny", "name"),
            kill: syscalls.rules("kill", "name"),
        };
    }
    if let Some(process) = at.table("process") {
        profile.process = lower_process(&process);
    }
    if let Some(audit) = at.table("audit") {
        profile.mode = audit.choice("mode", &[("enforce", Mode::Enforce), ("audit", Mode::Audit)]);
        let levels =
            [("all", LogLevel::All), ("denied", LogLevel::Denied), ("none", LogLevel::None)];
        profile.log = audit.choice("log", &levels);
    }
    profile
}

fn lower_process(at: &At<'_, '_>) -> Process {
    Process {
        no_new_privileges: at.boolean("no_new_privileges"),
        user_namespaces: at.boolean("user_namespaces"),
        core_dumps: at.boolean("core_dumps"),
        memfd_exec: at.boolean("memfd_exec"),
        max_processes: at.integer("max_processes").and_then(|placed| {
            u64::try_from(placed.value).ok().map(|value| Placed { value, span: placed.span })
        }),
        max_memory: at.number("max_memory"),
        capabilities: at.rules("capabilities", "name"),
    }
}

fn variables(at: &At<'_, '_>) -> Vec<(String, Span, String)> {
    let Some(vars) = at.table("vars") else { return Vec::new() };
    let entry = |(key, value): (&Spanned<toml::de::DeString<'_>>, &Spanned<DeValue<'_>>)| {
        let span = Span::new(at.source, key.span());
        Some((key.get_ref().to_string(), span, value.get_ref().as_str()?.to_owned()))
    };
    vars.table.iter().filter_map(entry).collect()
}

fn tests(at: &At<'_, '_>) -> Vec<Test> {
    let Some(list) = at.table.get("test").and_then(|value| value.get_ref().as_array()) else {
        return Vec::new();
    };
    list.iter().filter_map(|item| test(item, at.source)).collect()
}

fn test(item: &Spanned<DeValue<'_>>, source: SourceId) -> Option<Test> {
    let at = At { source, table: item.get_ref().as_table()? };
    let verbs = || super::language::OPERATIONS.iter().filter(|verb| at.table.contains_key(**verb));
    let verb = verbs().next().filter(|_| verbs().count() == 1)?;
    Some(Test {
        span: Span::new(source, item.span()),
        name: at.string("name").map(|placed| placed.value),
        verb,
        object: at.text(verb)?,
        expect: at.choice("expect", &[("allow", Expect::Allow), ("deny", Expect::Deny)])?,
    })
}

/// A table and the text it is from. Every getter gives nothing where the value is
/// absent or of the wrong type.
struct At<'a, 't> {
    source: SourceId,
    table: &'a DeTable<'t>,
}

impl<'a, 't> At<'a, 't> {
    fn get(&self, key: &str) -> Option<(&'a DeValue<'t>, Span)> {
        let value = self.table.get(key)?;
        Some((value.get_ref(), Span::new(self.source, value.span())))
    }

    fn table(&self, key: &str) -> Option<At<'a, 't>> {
        Some(At { source: self.source, table: self.get(key)?.0.as_table()? })
    }

    fn text(&self, key: &str) -> Option<Text> {
        let (value, span) = self.get(key)?;
        Some(Text { value: value.as_str()?.to_owned(), span })
    }

    fn string(&self, key: &str) -> Option<Placed<Arc<str>>> {
        let (value, span) = self.get(key)?;
        Some(Placed { value: value.as_str()?.into(), span })
    }

    fn boolean(&self, key: &str) -> Option<Placed<bool>> {
        let (value, span) = self.get(key)?;
        Some(Placed { value: value.as_bool()?, span })
    }

    fn integer(&self, key: &str) -> Option<Placed<i64>> {
        let (value, span) = self.get(key)?;
        Some(Placed { value: integer(value)?, span })
    }

    fn number(&self, key: &str) -> Option<Number> {
        self.integer(key).map(Number::Integer).or_else(|| self.text(key).map(Number::Text))
    }

    fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<Placed<T>> {
        let (value, span) = self.get(key)?;
        let word = value.as_str()?;
        let (_, value) = words.iter().find(|(known, _)| *known == word)?;
        Some(Placed { value: *value, span })
    }

    fn texts(&self, key: &str) -> Vec<Text> {
        let Some(list) = self.get(key).and_then(|(value, _)| value.as_array()) else {
            return Vec::new();
        };
        let text = |item: &Spanned<DeValue<'_>>| {
            let span = Span::new(self.source, item.span());
            Some(Text { value: item.get_ref().as_str()?.to_owned(), span })
        };
        list.iter().filter_map(text).collect()
    }

    fn rules(&self, key: &str, subject: &str) -> Option<Vec<Rule>> {
        let list = self.get(key)?.0.as_array()?;
        Some(list.iter().filter_map(|item| rule(item, subject, self.source)).collect())
    }
}

fn rule(item: &Spanned<DeValue<'_>>, subject: &str, source: SourceId) -> Option<Rule> {
    let span = Span::new(source, item.span());
    match item.get_ref() {
        DeValue::String(value) => {
            let subject = Text { value: value.to_string(), span };
            Some(Rule { subject, span, reason: None, more: None })
        }
        DeValue::Table(table) => {
            let at = At { source, table };
            let reason = at.string("reason").map(|placed| placed.value);
            Some(Rule {
                subject: at.text(subject)?,
                span,
                reason,
                more: Some(Box::new(more(&at, span))),
            })
        }
        _ => None,
    }
}

fn more(at: &At<'_, '_>, span: Span) -> More {
    let access = at.get("access").and_then(|(value, _)| value.as_array()).map(|list| {
        list.iter().filter_map(|item| Access::from_name(item.get_ref().as_str()?)).collect()
    });
    let presence = match at.boolean("required") {
        Some(Placed { value: true, .. }) => Presence::Required,
        _ => Presence::Optional,
    };
    More {
        except: at.texts("except"),
        access,
        presence,
        conditions: conditions(at, span),
        errno: at
            .string("errno")
            .map(|placed| Placed { value: placed.value.to_string(), span: placed.span }),
    }
}

fn conditions(at: &At<'_, '_>, span: Span) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let own = condition(at, span);
    if own.arg.is_some() || own.mask.is_some() || !own.comparisons.is_empty() {
        conditions.push(own);
    }
    if let Some(list) = at.get("args").and_then(|(value, _)| value.as_array()) {
        for item in list {
            if let Some(table) = item.get_ref().as_table() {
                let span = Span::new(at.source, item.span());
                conditions.push(condition(&At { source: at.source, table }, span));
            }
        }
    }
    conditions
}

fn condition(at: &At<'_, '_>, span: Span) -> Condition {
    let comparisons = super::language::COMPARISONS
        .iter()
        .filter_map(|key| Some((*key, at.number(key)?)))
        .collect();
    Condition { span, arg: at.integer("arg"), mask: at.number("mask"), comparisons }
}
