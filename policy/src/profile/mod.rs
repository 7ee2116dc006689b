// SPDX-License-Identifier: Apache-2.0
//! The profile language: from text to a [`Policy`].
//!
//! text → TOML tree with places → structure checked against the
//! [description](schema()) of the language → one typed file → all files of a
//! profile resolved into one policy. Each stage reports *all* that it finds and
//! goes on with the rest, so that one run shows every mistake of a profile and its
//! parents. There is a policy only if there was no error.
//!
//! Guarantees: time and memory are bounded by the limits here ([`MAX_FILE`],
//! [`MAX_FILES`], [`MAX_DEPTH`], [`MAX_RULES`]) whatever the text is; the order of
//! rules, keys and files has no influence on what the policy means. It does not
//! read files: a [`Loader`] does. It does not know what a host can enforce.

mod built_in;
mod constants;
mod language;
mod lint;
mod load;
mod model;
mod names;
mod print;
mod resolve;
mod rules;
mod schema;
mod sets;
pub(crate) mod shape;
pub(crate) mod structure;
mod text;
pub(crate) mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use built_in::{NAMES as BUILT_IN, load as built_in};
pub use lint::{lint, lint_for};
pub use load::{LoadError, Loaded, Loader, MAX_DEPTH, MAX_FILES, NoFiles};
pub use model::Expect;
pub use names::syscall_set;
pub use print::print;
pub use resolve::MAX_RULES;
pub(crate) use rules::parse_size;
pub use schema::schema;
pub use sets::TAKEN_FROM;
pub use text::is_name;
pub use tree::MAX_FILE;

use crate::decide::{Decider, Decision, Operation};
use crate::diagnostics::{Code, Diagnostic, Report, Sources, Span};
use crate::policy::Policy;

/// What reading a profile gives.
pub struct Reading {
    /// The texts, for showing what was found in them.
    pub sources: Sources,
    /// What was found.
    pub report: Report,
    /// The policy and its tests; none if there was an error.
    pub resolved: Option<Resolved>,
}

/// A profile whose `extends` and variables are resolved.
pub struct Resolved {
    /// What it means.
    pub policy: Policy,
    /// Its own tests; those of its parents are about the parents.
    pub tests: Vec<Test>,
    map: resolve::Map,
}

/// A `[[test]]` of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// What it shows.
    pub name: Option<Arc<str>>,
    /// What is done, for example `connect`.
    pub verb: &'static str,
    /// To what, for example `tcp 10.0.0.1:80`.
    pub object: String,
    /// Both, as an operation.
    pub operation: Operation,
    /// What is expected.
    pub expect: Expect,
    /// Where it is written.
    pub span: Span,
}

/// Reads a profile and everything that it extends, and resolves them. The values
/// in `overrides` win over the defaults of variables.
pub fn read(
    root: Loaded,
    loader: &mut dyn Loader,
    overrides: &BTreeMap<String, String>,
) -> Reading {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let files = load::load(root, loader, &mut sources, &mut report);
    let resolution = resolve::resolve(&files, overrides, &sources, &mut report);
    let tests = files.nodes.last().map_or(&[][..], |node| &node.profile.tests);
    let resolved = resolution.map(|resolution| {
        let tests = resolution.tests.into_iter().filter_map(|expanded| {
            let test = tests.get(expanded.test)?;
            Some(Test {
                name: test.name.clone(),
                verb: test.verb,
                object: expanded.object,
                operation: expanded.operation,
                expect: test.expect.value,
                span: test.span,
            })
        });
        Resolved { tests: tests.collect(), policy: resolution.policy, map: resolution.map }
    });
    drop_echoes(&mut report, &sources);
    report.sort();
    let resolved = resolved.filter(|_| report.errors() == 0);
    Reading { sources, report, resolved }
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The test.
    pub test: Test,
    /// The decision about its operation.
    pub decision: Decision,
}

impl Outcome {
    /// Whether the decision is the expected one.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.decision.allows() == (self.test.expect == Expect::Allow)
    }
}

impl Resolved {
    /// Evaluates the profile's tests.
    #[must_use]
    pub fn evaluate(&self) -> Vec<Outcome> {
        if self.tests.is_empty() {
            return Vec::new();
        }
        let decider = Decider::new(Arc::new(self.policy.clone()));
        let outcome =
            |test: &Test| Outcome { test: test.clone(), decision: decider.decide(&test.operation) };
        self.tests.iter().map(outcome).collect()
    }
}

/// Where the grammar is broken the parser puts something in its place. What is
/// said about that, on the same line or about no text at all, is an echo.
pub(crate) fn drop_echoes(report: &mut Report, sources: &Sources) {
    let line = |span: Span| (span.source, sources.line(span.source, span.start));
    let grammar = |code: Code| matches!(code, Code::Syntax | Code::DuplicateKey);
    let primary = |found: &Diagnostic| found.primary.as_ref().map(|label| label.span);
    let broken: BTreeSet<_> = report
        .diagnostics()
        .iter()
        .filter(|found| found.code == Code::Syntax)
        .filter_map(primary)
        .map(line)
        .collect();
    if broken.is_empty() {
        return;
    }
    let files: BTreeSet<_> = broken.iter().map(|(source, _)| *source).collect();
    let echo = |span: Span| {
        broken.contains(&line(span)) || files.contains(&span.source) && span.start == span.end
    };
    report.retain(|found| match primary(found) {
        None => found.code != Code::UnusedOverride,
        Some(span) => grammar(found.code) || !echo(span),
    });
}

#[cfg(test)]
mod tests;
