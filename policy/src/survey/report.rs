// SPDX-License-Identifier: Apache-2.0
//! What `brig doctor` says: a table for people, one JSON object for programs.
//!
//! README.md beside this file documents the object. A key is added in a later version, never
//! removed, and never changes its meaning.

use serde::Serialize;
use serde_json::{Value, json as value};

use super::{Mode, Survey, checks, rootless_network};
use crate::spec::capability_names;

/// What a check came to, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is missing.
    Ok,
    /// Something is missing that containers run fully without.
    Optional,
    /// Containers can be run, with something missing.
    Limited,
    /// No container can be run.
    Blocking,
}

impl State {
    /// The worst of all.
    #[must_use]
    pub fn worst(checks: &[Check]) -> State {
        checks.iter().map(|check| check.state).max().unwrap_or(State::Ok)
    }

    const fn label(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Optional => "note",
            State::Limited => "limited",
            State::Blocking => "MISSING",
        }
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, which never changes.
    pub name: &'static str,
    /// What it came to.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What does not work therefore.
    pub cost: Option<String>,
    /// How that could be had.
    pub remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, state: State::Ok, found: found.into(), cost: None, remedy: None }
    }

    pub(super) fn optional(self, cost: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.lacking(State::Optional, cost, remedy)
    }

    pub(super) fn limited(self, cost: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.lacking(State::Limited, cost, remedy)
    }

    pub(super) fn blocking(self, cost: impl Into<String>, remedy: impl Into<String>) -> Self {
        self.lacking(State::Blocking, cost, remedy)
    }

    fn lacking(self, state: State, cost: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check { state, cost: Some(cost.into()), remedy: Some(remedy.into()), ..self }
    }
}

/// What a survey comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The one word.
    pub mode: Mode,
    /// Every check.
    pub checks: Vec<Check>,
}

/// Draws the conclusions.
#[must_use]
pub fn report(survey: &Survey) -> Report {
    let checks = checks::all(survey);
    Report { mode: Mode::of(&checks, survey.is_nested()), checks }
}

impl Report {
    /// Whether containers can be run: [`State::Ok`] and [`State::Optional`]: fully.
    #[must_use]
    pub fn worst(&self) -> State {
        State::worst(&self.checks)
    }

    fn summary(&self) -> &'static str {
        match self.worst() {
            State::Ok | State::Optional => "Containers can be run fully.",
            State::Limited => "Containers can be run, without what is limited above.",
            State::Blocking => "No container can be run until what is missing above is there.",
        }
    }
}

/// The table for people: no colour, one fact a line.
#[must_use]
pub fn text(survey: &Survey, brig: &str) -> String {
    let report = report(survey);
    let caller = match survey.caller.uid {
        0 if survey.caller.in_user_namespace => "root of a user namespace".to_owned(),
        0 => "root".to_owned(),
        uid => format!("user {uid}"),
    };
    let mut text = format!("brig {brig} as {caller}: {}\n\n", report.mode);
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    for check in &report.checks {
        let mut line = |label: &str, name: &str, said: &str| {
            text.push_str(&format!("{label:<7}  {name:<width$}  {said}\n"));
        };
        line(check.state.label(), check.name, &check.found);
        if let Some(cost) = &check.cost {
            line("", "  cost", cost);
        }
        if let Some(remedy) = &check.remedy {
            line("", "  remedy", remedy);
        }
    }
    text.push('\n');
    text.push_str(report.summary());
    text.push('\n');
    text
}

/// The object for programs.
#[must_use]
pub fn json(survey: &Survey, brig: &str) -> Value {
    let report = report(survey);
    let placement = survey.placement();
    value!({
        "version": 1,
        "brig": brig,
        "mode": report.mode,
        "worst": report.worst(),
        "nested": survey.is_nested(),
        "privileged": survey.is_privileged(),
        "capabilities": capability_names(survey.caller.effective),
        "cgroup_parent": placement.parent(),
        "cgroup_reason": match &placement {
            super::Placement::Callers { reason } => Some(reason),
            super::Placement::TopLevel | super::Placement::Delegated { .. } => None,
        },
        "controllers": survey.cgroups.offered(&placement),
        "rootless_network": rootless_network(survey).err(),
        "target": survey.target(),
        "checks": report.checks,
        "survey": survey,
    })
}
