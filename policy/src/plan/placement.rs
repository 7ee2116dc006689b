// SPDX-License-Identifier: Apache-2.0
//! Which mechanism enforces which rule.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::MediatedCall;
use super::network::TcpPorts;
use crate::decide::List;
use crate::net::{Address, Protocol};
use crate::path::Pattern;
use crate::policy::{AddressRule, Origin, PathRule, Policy, SyscallRule};

/// What enforces a rule: `DESIGN.md` section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// A Landlock domain.
    Landlock,
    /// The seccomp program.
    Seccomp,
    /// A mount.
    Mount,
    /// Capability sets, no_new_privs.
    Capability,
    /// Resource limits, cgroups, sysctls.
    Limit,
    /// The supervisor.
    Supervisor,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::Mount => "mount",
            Self::Capability => "capability",
            Self::Limit => "limit",
            Self::Supervisor => "supervisor",
        })
    }
}

/// A rule, and what enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulePlacement {
    /// The list or setting that it stands in: `files.read`.
    pub list: String,
    /// Where it is written.
    pub rule: Origin,
    /// What it names, in a few words.
    pub names: String,
    /// What enforces it.
    pub mechanisms: Vec<Mechanism>,
    /// Why nothing cheaper does, or what has to be known about it.
    pub note: Option<String>,
}

/// What enforces a list that is there and has no rule.
pub(crate) const fn of_list(list: List) -> &'static [Mechanism] {
    match list {
        List::FilesRead | List::FilesExecute => &[Mechanism::Landlock],
        List::FilesWrite | List::FilesDeny => &[Mechanism::Landlock, Mechanism::Mount],
        List::FilesMask => &[Mechanism::Mount],
        List::NetworkConnect
        | List::NetworkBind
        | List::NetworkDeny
        | List::SyscallsAllow
        | List::SyscallsDeny
        | List::SyscallsKill
        | List::UserNamespaces => &[Mechanism::Seccomp],
        List::NoNewPrivileges | List::Capabilities => &[Mechanism::Capability],
        List::CoreDumps | List::MemfdExec | List::MaxProcesses | List::MaxMemory => {
            &[Mechanism::Limit]
        }
    }
}

/// What the placements depend on.
pub(crate) struct Facts<'a> {
    pub(crate) ports: &'a TcpPorts,
    pub(crate) mediated: &'a [MediatedCall],
}

/// Places every rule and setting of all layers.
pub(crate) fn place(policy: &Policy, facts: &Facts<'_>) -> Vec<RulePlacement> {
    let mut all = Vec::new();
    for layer in policy.layers() {
        files(layer, &mut all);
        network(layer, facts, &mut all);
        syscalls(layer, &mut all);
        process(layer, &mut all);
        if !layer.enforces() {
            audited(layer, &mut all);
        }
    }
    all.sort_by(|one, other| (&one.list, &one.rule).cmp(&(&other.list, &other.rule)));
    all
}

fn push(
    all: &mut Vec<RulePlacement>,
    list: List,
    (rule, names): (&Origin, String),
    mechanisms: &[Mechanism],
    note: Option<String>,
) {
    let (list, mechanisms) = (list.name().to_owned(), mechanisms.to_vec());
    all.push(RulePlacement { list, rule: rule.clone(), names, mechanisms, note });
}

fn files(layer: &Policy, all: &mut Vec<RulePlacement>) {
    use Mechanism::{Landlock, Mount};
    let grants = [
        (List::FilesRead, &layer.files.read, &[Landlock][..]),
        (List::FilesWrite, &layer.files.write, &[Landlock, Mount][..]),
        (List::FilesExecute, &layer.files.execute, &[Landlock][..]),
    ];
    for (list, rules, literal) in grants {
        for grant in rules.iter().flatten() {
            let execute = list == List::FilesExecute;
            let (mechanisms, note) = by_pattern(&grant.rule, literal, execute);
            push(all, list, path(&grant.rule), &mechanisms, note);
        }
    }
    for rule in &layer.files.deny {
        let (mechanisms, note) = by_pattern(rule, &[Landlock, Mount], false);
        push(all, List::FilesDeny, path(rule), &mechanisms, note);
    }
    for rule in &layer.files.mask {
        let note = rule.pattern.literal().is_none();
        let note =
            note.then(|| "what it matches is looked for when the container starts".to_owned());
        push(all, List::FilesMask, path(rule), &[Mount], note);
    }
}

fn path(rule: &PathRule) -> (&Origin, String) {
    let except: Vec<String> = rule.except.iter().map(ToString::to_string).collect();
    (&rule.origin, but(rule.pattern.to_string(), &except))
}

fn address(rule: &AddressRule) -> (&Origin, String) {
    let except: Vec<String> = rule.except.iter().map(ToString::to_string).collect();
    (&rule.origin, but(rule.address.to_string(), &except))
}

fn call(rule: &SyscallRule) -> (&Origin, String) {
    let names: Vec<&str> = rule.calls.iter().map(|call| call.name()).collect();
    let names = rule.set.as_ref().map_or_else(|| names.join(", "), ToString::to_string);
    let condition = if rule.conditions.is_empty() { "" } else { " by its arguments" };
    (&rule.origin, names + condition)
}

fn but(what: String, except: &[String]) -> String {
    if except.is_empty() { what } else { format!("{what} but {}", except.join(", ")) }
}

fn by_pattern(
    rule: &PathRule,
    literal: &[Mechanism],
    execute: bool,
) -> (Vec<Mechanism>, Option<String>) {
    let patterns = std::iter::once(&rule.pattern).chain(&rule.except);
    let Some(wild) = patterns.into_iter().find(|one| !super::files::is_few_literals(one)) else {
        return (literal.to_vec(), None);
    };
    if execute {
        let note = "what it matches is looked for when the container starts";
        return (literal.to_vec(), Some(note.to_owned()));
    }
    (vec![Mechanism::Supervisor], Some(why_mediated(wild)))
}

fn why_mediated(wild: &Pattern) -> String {
    let prefix = String::from_utf8_lossy(wild.literal_prefix()).into_owned();
    match wild.text().strip_suffix("/**") {
        Some(rest) if rest == prefix => {
            format!("a pattern; `{prefix}` means everything beneath too, and costs nothing")
        }
        _ => format!("a pattern: Landlock grants directories whole, and `{prefix}` holds both"),
    }
}

fn network(layer: &Policy, facts: &Facts<'_>, all: &mut Vec<RulePlacement>) {
    let rules = &layer.network;
    let lists = [
        (List::NetworkConnect, rules.connect.as_deref().unwrap_or_default()),
        (List::NetworkBind, rules.bind.as_deref().unwrap_or_default()),
        (List::NetworkDeny, &rules.deny[..]),
    ];
    for (list, rules) in lists {
        for rule in rules {
            let (mechanisms, note) = of_address(rule, list, facts);
            push(all, list, address(rule), &mechanisms, note);
        }
    }
}

fn of_address(
    rule: &AddressRule,
    list: List,
    facts: &Facts<'_>,
) -> (Vec<Mechanism>, Option<String>) {
    let actions: &[(&str, bool)] = match list {
        List::NetworkConnect => &[("connect", facts.ports.connect.is_some())],
        List::NetworkBind => &[("bind", facts.ports.bind.is_some())],
        _ => &[("connect", facts.ports.connect.is_some()), ("bind", facts.ports.bind.is_some())],
    };
    let tcp_only = rule
        .address
        .inet()
        .is_some_and(|inet| inet.protocol == Protocol::Tcp && rule.address != Address::Everything);
    let mut mechanisms = vec![Mechanism::Seccomp];
    let mut note = None;
    for (call, by_port) in actions {
        if tcp_only && *by_port {
            mechanisms.push(Mechanism::Landlock);
            continue;
        }
        let mediated = facts
            .mediated
            .iter()
            .find(|one| one.syscall.name() == *call && one.rules.contains(&rule.origin));
        if let Some(mediated) = mediated {
            mechanisms.push(Mechanism::Supervisor);
            let why = mediated.why.iter().find(|one| one.rules.contains(&rule.origin));
            note = why.map(|one| one.text.clone());
        }
    }
    mechanisms.sort_unstable();
    mechanisms.dedup();
    (mechanisms, note)
}

fn syscalls(layer: &Policy, all: &mut Vec<RulePlacement>) {
    let rules = &layer.syscalls;
    let lists = [
        (List::SyscallsKill, &rules.kill[..]),
        (List::SyscallsDeny, &rules.deny[..]),
        (List::SyscallsAllow, rules.allow.as_deref().unwrap_or_default()),
    ];
    for (list, rules) in lists {
        for rule in rules {
            push(all, list, call(rule), &[Mechanism::Seccomp], None);
        }
    }
}

fn process(layer: &Policy, all: &mut Vec<RulePlacement>) {
    use Mechanism::{Capability, Limit, Seccomp};
    let process = &layer.process;
    let switches = [
        (List::NoNewPrivileges, &process.no_new_privileges, Capability, true),
        (List::UserNamespaces, &process.user_namespaces, Seccomp, false),
        (List::CoreDumps, &process.core_dumps, Limit, false),
        (List::MemfdExec, &process.memfd_exec, Limit, false),
    ];
    for (list, setting, mechanism, restricting) in switches {
        let Some(setting) = setting else { continue };
        let mechanisms = if setting.value == restricting { vec![mechanism] } else { Vec::new() };
        let names = setting.value.to_string();
        push(all, list, (&setting.origin, names), &mechanisms, None);
    }
    let limits =
        [(List::MaxProcesses, &process.max_processes), (List::MaxMemory, &process.max_memory)];
    for (list, setting) in limits {
        if let Some(setting) = setting {
            let names = setting.value.to_string();
            push(all, list, (&setting.origin, names), &[Limit], None);
        }
    }
    for rule in process.capabilities.iter().flatten() {
        let names = rule.capability.name().to_owned();
        push(all, List::Capabilities, (&rule.origin, names), &[Capability], None);
    }
}

/// In audit mode nothing is denied, and only somebody who sees a call can log it.
fn audited(layer: &Policy, all: &mut [RulePlacement]) {
    let Some(mode) = &layer.audit.mode else { return };
    for one in all.iter_mut().filter(|one| one.rule.file == mode.origin.file) {
        if one.list.starts_with("files.") || one.list.starts_with("network.") {
            one.mechanisms = vec![Mechanism::Supervisor];
            one.note = Some("audit.mode is \"audit\": it is logged and denies nothing".to_owned());
        }
    }
}
