// SPDX-License-Identifier: Apache-2.0
//! What a policy makes of a specification: the same container, allowed less.
//!
//! This is where `[process]`, the literal paths of `files.mask` and the memory files that
//! `files.execute` is also about go: into capability sets, no_new_privs, limits, masked paths,
//! one kernel parameter, and restrictions of the seccomp program. Every layer of a policy (itself,
//! and what it requires) is applied, so the result is as tight as the tightest.
//!
//! Guaranteed, for every specification and policy: capability sets only shrink, limits only fall,
//! masked and read-only paths only grow, no_new_privs is never taken away, namespaces and mounts
//! are as they were; applying it twice is applying it once. Nothing is weakened silently: what the
//! target cannot enforce is in [`Tightened::unenforced`], masks that are not plain paths in
//! [`Tightened::patterns`]. A layer that only audits changes nothing but says what it would change.
//!
//! Not done here: `[files]` grants and denies, `[network]` and `[syscalls]`. Not possible with a
//! limit: core dumps that the host's `core_pattern` pipes into a program do not ask for
//! RLIMIT_CORE (core(5)).

mod calls;
mod limits;
mod paths;
mod process;

use std::fmt;

use oci_spec::runtime::{LinuxResources, Process, Spec};
use serde::Serialize;

use crate::policy::{Mode, Origin, PathRule, Policy, Setting};
use crate::seccomp::{Answer, Restriction};
use crate::target::Target;

/// What is known of the host.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// What it can do.
    pub target: &'a Target,
    /// Which user namespace the runtime is in.
    pub user_namespace: UserNamespace,
}

/// A user namespace, as far as the kernel's parameters are concerned: their files are root's of the
/// initial one, and nobody else writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserNamespace {
    /// The initial one.
    Initial,
    /// Any other.
    Nested,
}

/// A specification under a policy.
#[derive(Clone, Debug)]
pub struct Tightened {
    /// The specification.
    pub spec: Spec,
    /// What was changed, in the order of the policy's layers.
    pub changes: Vec<Change>,
    /// What the seccomp program has to do besides.
    pub restrictions: Vec<Restriction>,
    /// Rules that this target cannot enforce.
    pub unenforced: Vec<Unenforced>,
    /// Rules of `files.mask` that do not name one path: whoever looks at the files expands them.
    pub patterns: Vec<PathRule>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field of the specification: `process.capabilities`.
    pub field: String,
    /// What became of it: `without CAP_NET_RAW`.
    pub text: String,
    /// The rule that wants it, with its file and line.
    pub rule: String,
    /// Whether it was done.
    pub effect: Effect,
}

/// Whether a change was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It was.
    Enforced,
    /// It would be, if the layer did not audit.
    Audited,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = match self.effect {
            Effect::Enforced => "",
            Effect::Audited => "would be ",
        };
        write!(out, "{}: {would}{} ({})", self.field, self.text, self.rule)
    }
}

/// A rule that is not enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{rule}: {why}")]
pub struct Unenforced {
    /// The rule, with its file and line.
    pub rule: String,
    /// What is in the way.
    pub why: String,
}

/// Applies a policy to a specification.
#[must_use]
pub fn tighten(spec: &Spec, policy: &Policy, host: Host<'_>) -> Tightened {
    let mut result = Tightened {
        spec: spec.clone(),
        changes: Vec::new(),
        restrictions: Vec::new(),
        unenforced: Vec::new(),
        patterns: Vec::new(),
    };
    for layer in policy.layers() {
        let mut notes = Notes::of(layer);
        let mut tighter = result.spec.clone();
        if let Some(process) = tighter.process_mut() {
            process::apply(process, layer, &mut notes);
        }
        paths::apply(&mut tighter, layer, &mut notes);
        limits::apply(&mut tighter, layer, host.target.limits, &mut notes);
        calls::apply(&mut tighter, layer, host, &mut notes);
        if notes.effect == Effect::Enforced {
            result.spec = tighter;
            result.unenforced.extend(notes.unenforced);
            result.patterns.extend(notes.patterns);
        }
        result.changes.extend(notes.changes);
        result.restrictions.extend(notes.restrictions);
    }
    result
}

/// Applies a policy to a process that is added to a container.
#[must_use]
pub fn tighten_process(process: &Process, policy: &Policy) -> (Process, Vec<Change>) {
    let (mut result, mut changes) = (process.clone(), Vec::new());
    for layer in policy.layers() {
        let mut notes = Notes::of(layer);
        let mut tighter = result.clone();
        process::apply(&mut tighter, layer, &mut notes);
        if notes.effect == Effect::Enforced {
            result = tighter;
        }
        changes.extend(notes.changes);
    }
    (result, changes)
}

/// New limits of a container, as its policy has them.
///
/// # Errors
///
/// Limits above the policy's, with the rules.
pub fn tighten_update(
    resources: &LinuxResources,
    policy: &Policy,
) -> Result<LinuxResources, Vec<Unenforced>> {
    let mut result = resources.clone();
    let mut above = Vec::new();
    for layer in policy.layers() {
        let mut notes = Notes::of(layer);
        if notes.effect == Effect::Enforced {
            limits::update(&mut result, layer, &mut notes);
            above.extend(notes.unenforced);
        }
    }
    if above.is_empty() { Ok(result) } else { Err(above) }
}

/// What one layer does.
struct Notes {
    effect: Effect,
    changes: Vec<Change>,
    restrictions: Vec<Restriction>,
    unenforced: Vec<Unenforced>,
    patterns: Vec<PathRule>,
}

impl Notes {
    fn of(layer: &Policy) -> Self {
        let audits = layer.audit.mode.as_ref().is_some_and(|mode| mode.value == Mode::Audit);
        Notes {
            effect: if audits { Effect::Audited } else { Effect::Enforced },
            changes: Vec::new(),
            restrictions: Vec::new(),
            unenforced: Vec::new(),
            patterns: Vec::new(),
        }
    }

    fn changed(&mut self, field: &str, text: impl Into<String>, rule: &str) {
        let (field, rule) = (field.to_owned(), rule.to_owned());
        self.changes.push(Change { field, text: text.into(), rule, effect: self.effect });
    }

    fn unenforced(&mut self, rule: &str, why: impl Into<String>) {
        self.unenforced.push(Unenforced { rule: rule.to_owned(), why: why.into() });
    }

    /// What a call gets: nothing but a line in the log where the layer audits.
    fn answer(&self, enforced: Answer) -> Answer {
        match self.effect {
            Effect::Enforced => enforced,
            Effect::Audited => Answer::Log,
        }
    }
}

/// `builtin/base.toml:77, core_dumps = false`
fn label(key: &str, origin: &Origin) -> String {
    if origin.text.contains(key) {
        return format!("{origin}, {}", origin.text);
    }
    format!("{origin}, {key} = {}", origin.text)
}

/// The setting's value and name, if it is set.
fn value<T: Copy>(key: &str, setting: Option<&Setting<T>>) -> Option<(T, String)> {
    setting.map(|setting| (setting.value, label(key, &setting.origin)))
}
