// SPDX-License-Identifier: Apache-2.0
//! The corpus of decisions: profiles, operations, and what must become of them.
//!
//! `corpus/*.toml` has `[[case]]`s with a `name`, a `profile`, perhaps `parents`
//! (a table of file names and texts) and `decisions`, one to a line:
//!
//! ```text
//! OPERATION -> allow | ERRNO | kill [by LINE]
//! ```
//!
//! LINE counts in the profile's own text, the first being 1. The expectations were
//! written from the language's description, not from what the evaluator said.

#![allow(clippy::disallowed_methods)] // a test reads the tree that it is in

mod reading;

use std::path::{Path, PathBuf};

use brig_policy::decide::{Decider, Operation, Verdict};
use reading::{read, shown};
use toml::de::{DeTable, DeValue};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn text<'a>(case: &'a DeTable<'_>, key: &str) -> &'a str {
    case.get(key).and_then(|value| value.get_ref().as_str()).unwrap_or_else(|| panic!("no {key}"))
}

/// Runs a case; gives the number of decisions and what was wrong.
fn run(case: &DeTable<'_>) -> (usize, Vec<String>) {
    let name = text(case, "name");
    let parents = case.get("parents").and_then(|value| value.get_ref().as_table());
    let parents: Vec<(&str, &str)> = parents
        .into_iter()
        .flatten()
        .map(|(key, value)| (&**key.get_ref(), value.get_ref().as_str().unwrap()))
        .collect();
    let reading = read(text(case, "profile"), &parents, &[]);
    let complaint = shown(&reading);
    let resolved = reading.resolved.unwrap_or_else(|| panic!("{name}\n{complaint}"));
    let decider = Decider::new(resolved.policy.into());
    let (mut count, mut wrong) = (0, Vec::new());
    for line in text(case, "decisions").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (operation, expected) = line.split_once(" -> ").unwrap_or_else(|| panic!("{line}"));
        let operation =
            Operation::parse(operation.trim()).unwrap_or_else(|e| panic!("{line}: {e}"));
        let decision = decider.decide(&operation);
        let mut found = match decision.verdict {
            Verdict::Allow => "allow".to_owned(),
            Verdict::Kill => "kill".to_owned(),
            Verdict::Deny { errno } => errno.to_string(),
        };
        if expected.contains(" by ") {
            let line = decision.rule().map_or(0, |rule| rule.origin.line);
            found.push_str(&format!(" by {line}"));
        }
        if found != expected.trim() {
            wrong.push(format!("{name}: {line}\n  found {found}: {decision:?}"));
        }
        count += 1;
    }
    (count, wrong)
}

#[test]
fn every_decision_of_the_corpus_is_as_the_language_says() {
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files() {
        let content = std::fs::read_to_string(&file).unwrap();
        let tree = DeTable::parse(&content).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let cases =
            tree.get_ref().get("case").and_then(|value| value.get_ref().as_array()).unwrap();
        for case in cases {
            let DeValue::Table(case) = case.get_ref() else { panic!("a case is a table") };
            let (decisions, mistakes) = run(case);
            count += decisions;
            wrong.extend(mistakes);
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 300, "only {count} decisions");
}
