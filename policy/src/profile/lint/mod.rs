// SPDX-License-Identifier: Apache-2.0
//! Rules that mean something else than their author hardly wants.
//!
//! A warning is given only for what the profile itself says, not for its parents'
//! rules: a shared parent may have rules that do not matter to every child. A
//! warning is given only if it is certain; what would take too long to find out
//! is not warned of. Nothing here changes what a policy means.

mod cost;
mod files;
mod network;
mod syscalls;

use super::rules::Located;
use super::{Outcome, Reading};
use crate::diagnostics::{Code, Diagnostic, Report, Span};
use crate::explain::explain;

pub use cost::lint_for;

/// Adds to the report what is odd about a profile without errors.
pub fn lint(reading: &mut Reading) {
    let Some(resolved) = &reading.resolved else { return };
    let report = &mut reading.report;
    files::lint(resolved, report);
    cost::lint(&resolved.policy.files, &resolved.map, report);
    network::lint(&resolved.policy.network, &resolved.map, report);
    syscalls::lint(resolved, report);
    for (name, span) in resolved.map.unused.iter().filter(|(_, span)| own(*span)) {
        let message = format!("the variable `{name}` is never used");
        report.push(Diagnostic::new(Code::UnusedVariable, message).at(*span, "used nowhere"));
    }
    for outcome in resolved.evaluate().iter().filter(|outcome| !outcome.passed()) {
        report.push(contradiction(outcome));
    }
    report.sort();
}

fn contradiction(outcome: &Outcome) -> Diagnostic {
    let test = &outcome.test;
    let message = format!("the profile does not {} `{}`", test.expect.word(), test.operation);
    Diagnostic::new(Code::TestContradicts, message)
        .at(test.span, "this test fails")
        .help(explain(&test.operation, &outcome.decision))
}

/// Whether the place is in the profile itself.
fn own(span: Span) -> bool {
    span.source.index() == 0
}

/// Two rules that say the same: the one to remove is the later, or of two in
/// different files the profile's own.
fn duplicate(report: &mut Report, one: &Located, other: &Located, name: &str) {
    let own_first = own(one.rule) && !own(other.rule);
    if own_first || own(other.rule) == own(one.rule) && one.rule > other.rule {
        covered(report, one, other, name);
    } else {
        covered(report, other, one, name);
    }
}

/// A rule that says nothing that `by` does not say.
fn covered(report: &mut Report, rule: &Located, by: &Located, name: &str) {
    if own(rule.rule) {
        report.push(
            Diagnostic::new(Code::Duplicate, format!("`{name}` is already covered"))
                .at(rule.rule, "this adds nothing")
                .also(by.rule, "this says it already"),
        );
    }
}

fn under_deny(report: &mut Report, rule: &Located, deny: Option<&Located>, what: &str) {
    let mut diagnostic = Diagnostic::new(Code::GrantUnderDeny, format!("{what} is wholly denied"))
        .at(rule.rule, "this grants nothing");
    if let Some(deny) = deny {
        diagnostic = diagnostic.also(deny.rule, "this denies all of it");
    }
    report.push(
        diagnostic.help("a deny wins over every grant: remove one, or give the deny an `except`"),
    );
}

fn without_grant(report: &mut Report, rule: &Located, what: &str) {
    report.push(
        Diagnostic::new(Code::DenyWithoutGrant, format!("nothing grants what {what} denies"))
            .at(rule.rule, "this denies nothing that is granted"),
    );
}

fn idle_except(report: &mut Report, span: Span) {
    if own(span) {
        report.push(
            Diagnostic::new(Code::IdleExcept, "an exception that excepts nothing")
                .at(span, "the rule does not name this"),
        );
    }
}

/// What lints look at: the resolved profile's rules and their places.
fn pairs<'a, T>(
    rules: &'a [T],
    places: &'a [Located],
) -> impl Iterator<Item = (&'a T, &'a Located)> + Clone {
    rules.iter().zip(places)
}
