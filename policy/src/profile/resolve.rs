// SPDX-License-Identifier: Apache-2.0
//! A file and its parents as one policy.
//!
//! Denies are united, and lists of grants where more than one file has them. Of a
//! setting or a variable, the value of a file wins over those of the files that it
//! extends; between files of which neither extends the other nothing wins, because
//! order must not matter: unless they agree, the child has to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::{Cursor, Files};
use super::model::{Placed, Profile, Rule, Test};
use super::rules::{Located, Lowering};
use super::text::{Variables, is_name};
use crate::decide::Operation;
use crate::diagnostics::{Code, Diagnostic, Report, Sources, Span, nearest};
use crate::policy::{AccessSet, AddressRule, PathRule, Policy, Setting, SyscallRule};

/// How many rules a policy may have.
pub const MAX_RULES: usize = 500_000;

/// Where every rule of a policy stands; each list is parallel to the policy's.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) read: Vec<Located>,
    pub(super) write: Vec<Located>,
    pub(super) execute: Vec<Located>,
    pub(super) deny: Vec<Located>,
    pub(super) mask: Vec<Located>,
    pub(super) connect: Vec<Located>,
    pub(super) bind: Vec<Located>,
    pub(super) network_deny: Vec<Located>,
    pub(super) allow: Vec<Located>,
    pub(super) syscall_deny: Vec<Located>,
    pub(super) kill: Vec<Located>,
    pub(super) capabilities: Vec<Located>,
    /// Exceptions of sets of system calls that except nothing.
    pub(super) idle: Vec<Span>,
    /// Variables that nothing uses, and where they are declared.
    pub(super) unused: Vec<(String, Span)>,
}

/// A test whose strings are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) test: usize,
    pub(super) object: String,
    pub(super) operation: Operation,
}

/// Everything that resolution gives.
pub(super) struct Resolution {
    pub(super) policy: Policy,
    pub(super) map: Map,
    pub(super) tests: Vec<Expanded>,
}

/// Unites the files; the last is the profile itself.
pub(super) fn resolve(
    files: &Files,
    overrides: &BTreeMap<String, String>,
    sources: &Sources,
    report: &mut Report,
) -> Option<Resolution> {
    let root = files.nodes.last()?;
    let rules: usize = files.nodes.iter().map(|node| count(&node.profile)).sum();
    if rules > MAX_RULES {
        let message = format!("{rules} rules are more than the {MAX_RULES} that a policy may have");
        report.push(
            Diagnostic::new(Code::TooMany, message)
                .help("name directories or prefixes instead of their members"),
        );
        return None;
    }
    let (variables, declared) = variables(files, overrides, report);
    let mut lowering = Lowering {
        sources,
        report,
        variables,
        cursor: Cursor::default(),
        file: Arc::from(""),
        idle: Vec::new(),
    };
    let (mut policy, mut map) = (Policy::default(), Map::default());
    policy.name = root.profile.name.as_ref().map(|placed| Arc::clone(&placed.value));
    policy.description = root.profile.description.as_ref().map(|placed| Arc::clone(&placed.value));
    lower_rules(files, &mut lowering, &mut policy, &mut map);
    lower_settings(files, &mut lowering, &mut policy);
    let tests = expand_tests(&root.profile.tests, &mut lowering);
    finish_variables(&lowering.variables, declared, overrides, lowering.report, &mut map);
    map.idle = lowering.idle;
    Some(Resolution { policy, map, tests })
}

fn count(profile: &Profile) -> usize {
    lists(profile).into_iter().flatten().map(Vec::len).sum::<usize>() + profile.tests.len()
}

fn lists(profile: &Profile) -> [&Option<Vec<Rule>>; 12] {
    let Profile { files, network, syscalls, process, .. } = profile;
    [
        &files.read,
        &files.write,
        &files.execute,
        &files.deny,
        &files.mask,
        &network.connect,
        &network.bind,
        &network.deny,
        &syscalls.allow,
        &syscalls.deny,
        &syscalls.kill,
        &process.capabilities,
    ]
}

/// The union of a list over all files: none if no file has it.
fn united<T: Ord>(
    files: &Files,
    lowering: &mut Lowering<'_>,
    list: impl Fn(&Profile) -> &Option<Vec<Rule>>,
    mut lower: impl FnMut(&mut Lowering<'_>, &Rule) -> Option<(T, Located)>,
) -> (Option<Vec<T>>, Vec<Located>) {
    let mut all: Option<Vec<(T, Located)>> = None;
    for rules in files.nodes.iter().filter_map(|node| list(&node.profile).as_ref()) {
        let all = all.get_or_insert_with(Vec::new);
        if let Some(first) = rules.first() {
            lowering.file = lowering.sources.name(first.span.source).into();
        }
        all.extend(rules.iter().filter_map(|rule| lower(lowering, rule)));
    }
    let Some(mut all) = all else { return (None, Vec::new()) };
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (rules, places) = all.into_iter().unzip();
    (Some(rules), places)
}

fn lower_rules(files: &Files, to: &mut Lowering<'_>, policy: &mut Policy, map: &mut Map) {
    type Rules<T> = (Option<Vec<T>>, Vec<Located>);
    let mut grants = |list: fn(&Profile) -> &Option<Vec<Rule>>, access: AccessSet| {
        united(files, to, list, move |to, rule| to.grant(rule, access))
    };
    (policy.files.read, map.read) = grants(|p| &p.files.read, AccessSet::READ);
    (policy.files.write, map.write) = grants(|p| &p.files.write, AccessSet::WRITE);
    (policy.files.execute, map.execute) = grants(|p| &p.files.execute, AccessSet::EXECUTE);
    let mut paths = |list: fn(&Profile) -> &Option<Vec<Rule>>| -> Rules<PathRule> {
        united(files, to, list, |to, rule| to.path_rule(rule))
    };
    (policy.files.deny, map.deny) = required(paths(|p| &p.files.deny));
    (policy.files.mask, map.mask) = required(paths(|p| &p.files.mask));
    let mut addresses = |list: fn(&Profile) -> &Option<Vec<Rule>>| -> Rules<AddressRule> {
        united(files, to, list, |to, rule| to.address_rule(rule))
    };
    (policy.network.connect, map.connect) = addresses(|p| &p.network.connect);
    (policy.network.bind, map.bind) = addresses(|p| &p.network.bind);
    (policy.network.deny, map.network_deny) = required(addresses(|p| &p.network.deny));
    let mut calls = |list: fn(&Profile) -> &Option<Vec<Rule>>| -> Rules<SyscallRule> {
        united(files, to, list, |to, rule| to.syscall_rule(rule))
    };
    (policy.syscalls.allow, map.allow) = calls(|p| &p.syscalls.allow);
    (policy.syscalls.deny, map.syscall_deny) = required(calls(|p| &p.syscalls.deny));
    (policy.syscalls.kill, map.kill) = required(calls(|p| &p.syscalls.kill));
    (policy.process.capabilities, map.capabilities) =
        united(files, to, |p| &p.process.capabilities, |to, rule| to.capability_rule(rule));
}

fn required<T>((rules, places): (Option<Vec<T>>, Vec<Located>)) -> (Vec<T>, Vec<Located>) {
    (rules.unwrap_or_default(), places)
}

fn lower_settings(files: &Files, to: &mut Lowering<'_>, policy: &mut Policy) {
    let process = &mut policy.process;
    process.no_new_privileges =
        setting(files, to, "no_new_privileges", |p| p.process.no_new_privileges);
    process.user_namespaces = setting(files, to, "user_namespaces", |p| p.process.user_namespaces);
    process.core_dumps = setting(files, to, "core_dumps", |p| p.process.core_dumps);
    process.memfd_exec = setting(files, to, "memfd_exec", |p| p.process.memfd_exec);
    process.max_processes = setting(files, to, "max_processes", |p| p.process.max_processes);
    let sizes: Vec<_> = files
        .nodes
        .iter()
        .map(|node| node.profile.process.max_memory.as_ref().and_then(|number| to.size(number)))
        .collect();
    process.max_memory = pick(files, to, "max_memory", &sizes);
    policy.audit.mode = setting(files, to, "mode", |p| p.mode);
    policy.audit.log = setting(files, to, "log", |p| p.log);
}

fn setting<T: Copy + PartialEq>(
    files: &Files,
    to: &mut Lowering<'_>,
    key: &str,
    get: impl Fn(&Profile) -> Option<Placed<T>>,
) -> Option<Setting<T>> {
    let values: Vec<_> = files.nodes.iter().map(|node| get(&node.profile)).collect();
    pick(files, to, key, &values)
}

fn pick<T: Copy + PartialEq>(
    files: &Files,
    to: &mut Lowering<'_>,
    key: &str,
    values: &[Option<Placed<T>>],
) -> Option<Setting<T>> {
    let winner = strongest(files, values, key, to.report)?;
    to.file = to.sources.name(winner.span.source).into();
    Some(Setting::new(winner.value, to.origin(winner.span)))
}

/// The value of the file that extends all others that have one. If there are
/// several such files they must agree.
fn strongest<T: Clone + PartialEq>(
    files: &Files,
    values: &[Option<Placed<T>>],
    key: &str,
    report: &mut Report,
) -> Option<Placed<T>> {
    let given = || values.iter().enumerate().filter_map(|(at, v)| Some((at, v.as_ref()?)));
    let beaten = |at: usize| {
        given().any(|(other, _)| files.nodes.get(other).is_some_and(|n| n.ancestors.contains(&at)))
    };
    let mut best = given().filter(|(at, _)| !beaten(*at)).map(|(_, value)| value);
    let first = best.next()?;
    if let Some(other) = best.find(|other| other.value != first.value) {
        report.push(
            Diagnostic::new(Code::Conflict, format!("two parents disagree about `{key}`"))
                .at(other.span, "this value")
                .also(first.span, "and this one")
                .help(format!("neither extends the other: set `{key}` in the profile itself")),
        );
    }
    Some(first.clone())
}

/// A variable and where it is declared.
type Declared = BTreeMap<String, Span>;

fn variables(
    files: &Files,
    overrides: &BTreeMap<String, String>,
    report: &mut Report,
) -> (Variables, Declared) {
    let mut all: BTreeMap<&str, Vec<Option<Placed<String>>>> = BTreeMap::new();
    for (at, node) in files.nodes.iter().enumerate() {
        for (name, span, value) in &node.profile.vars {
            check_variable(name, *span, value, report);
            let values = all.entry(name).or_insert_with(|| vec![None; files.nodes.len()]);
            if let Some(place) = values.get_mut(at) {
                *place = Some(Placed { value: value.clone(), span: *span });
            }
        }
    }
    let (mut variables, mut declared) = (Variables::default(), Declared::new());
    for (name, values) in all {
        // An override settles what parents disagree about.
        let mut ignored = Report::new();
        let to = if overrides.contains_key(name) { &mut ignored } else { &mut *report };
        if let Some(value) = strongest(files, &values, name, to) {
            declared.insert(name.to_owned(), value.span);
            variables.values.insert(name.to_owned(), value.value);
        }
    }
    variables.values.extend(overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
    (variables, declared)
}

fn check_variable(name: &str, span: Span, value: &str, report: &mut Report) {
    if !is_name(name) {
        let label = "a name has letters, digits, `_` and `-`, and at most 64 of them";
        report
            .push(Diagnostic::new(Code::BadVariable, "not a name for a variable").at(span, label));
    }
    if value.contains("${") {
        let message = format!("the default of `{name}` uses a variable");
        report.push(
            Diagnostic::new(Code::BadVariable, message)
                .at(span, "a default is taken as it is")
                .help("write the value out"),
        );
    }
}

fn finish_variables(
    variables: &Variables,
    declared: Declared,
    overrides: &BTreeMap<String, String>,
    report: &mut Report,
    map: &mut Map,
) {
    for name in overrides.keys() {
        if !declared.contains_key(name) && !variables.used.contains(name) {
            let known = declared.keys().chain(&variables.used).map(String::as_str);
            let message = format!("`--set {name}=…`: the profile has no such variable");
            let mut diagnostic = Diagnostic::new(Code::UnusedOverride, message);
            if let Some(near) = nearest(name, known) {
                diagnostic = diagnostic.help(format!("did you mean \"{near}\"?"));
            }
            report.push(diagnostic);
        }
    }
    map.unused = declared.into_iter().filter(|(name, _)| !variables.used.contains(name)).collect();
}

fn expand_tests(tests: &[Test], to: &mut Lowering<'_>) -> Vec<Expanded> {
    let expanded = tests.iter().enumerate().filter_map(|(test, of)| {
        let (object, operation) = to.operation(of.verb, &of.object)?;
        Some(Expanded { test, object, operation })
    });
    expanded.collect()
}
