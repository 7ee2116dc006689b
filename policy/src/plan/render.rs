// SPDX-License-Identifier: Apache-2.0
//! A plan for people.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Mechanism, MediatedCall, Plan, RulePlacement};
use crate::policy::Origin;

/// Sizes of what is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Landlock rules, ports included.
    pub landlock_rules: usize,
    /// Instructions of the seccomp program.
    pub seccomp_instructions: usize,
    /// Masked paths.
    pub masks: usize,
    /// Mounts that are made or changed because of `[files]`.
    pub mounts: usize,
}

/// The longest text of a rule that is shown.
const LONG: usize = 48;

/// Prints a plan: per section each rule with its place and what enforces it, the mediated set and
/// what is refused because of it, the counts, and what the target lacks.
#[must_use]
pub fn render(plan: &Plan, counts: &Counts) -> String {
    let mut out = String::new();
    sections(plan, &mut out);
    mediated(&plan.mediated, &mut out);
    for why in &plan.besides {
        let _ = writeln!(out, "refused besides: {why}");
    }
    let _ = writeln!(
        out,
        "counts: {} Landlock rules, {} seccomp instructions, {} mounts, {} masks",
        counts.landlock_rules, counts.seccomp_instructions, counts.mounts, counts.masks
    );
    if !plan.handled.is_empty() {
        let _ = writeln!(out, "Landlock handles: {}", plan.handled.join(", "));
    }
    for note in &plan.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for missing in &plan.missing {
        let _ = writeln!(out, "missing: {missing}");
    }
    out
}

fn sections(plan: &Plan, out: &mut String) {
    for section in ["files", "network", "syscalls", "process"] {
        let rules: Vec<&RulePlacement> =
            plan.rules.iter().filter(|one| one.list.split('.').next() == Some(section)).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = writeln!(out, "[{section}]");
        let place = |one: &RulePlacement| one.rule.to_string().chars().count();
        let text = |one: &RulePlacement| shown(&one.names).chars().count();
        let places = rules.iter().map(|one| place(one)).max().unwrap_or(0);
        let texts = rules.iter().map(|one| text(one)).max().unwrap_or(0);
        for one in rules {
            rule(one, section.len() + 1, places, texts, out);
        }
        out.push('\n');
    }
}

fn rule(one: &RulePlacement, prefix: usize, places: usize, texts: usize, out: &mut String) {
    let list = one.list.get(prefix..).unwrap_or(&one.list);
    let mechanisms: Vec<String> = one.mechanisms.iter().map(Mechanism::to_string).collect();
    let mechanisms = if mechanisms.is_empty() {
        "nothing to enforce".to_owned()
    } else {
        mechanisms.join(" + ")
    };
    let (place, text) = (one.rule.to_string(), shown(&one.names));
    let _ = writeln!(out, "  {place:places$}  {list:17}  {text:texts$}  {mechanisms}");
    if let Some(note) = &one.note {
        let _ = writeln!(out, "  {:places$}  {:17}  {note}", "", "");
    }
}

/// A rule on one line, not too long.
fn shown(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    let line = line.join(" ");
    let mut short: String = line.chars().take(LONG).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

fn mediated(calls: &[MediatedCall], out: &mut String) {
    if calls.is_empty() {
        out.push_str("mediated: nothing; there is no supervisor\n");
        return;
    }
    let (needed, noted): (Vec<_>, Vec<_>) = calls.iter().partition(|call| !call.rules.is_empty());
    let names = |calls: &[&MediatedCall]| -> String {
        calls.iter().map(|one| one.syscall.name()).collect::<Vec<_>>().join(", ")
    };
    let _ = writeln!(out, "mediated: {}", names(&needed));
    if !noted.is_empty() {
        let _ = writeln!(out, "noted, and left to the kernel: {}", names(&noted));
    }
    let mut reasons: Vec<(&str, Vec<&Origin>)> = Vec::new();
    for call in needed {
        for why in &call.why {
            match reasons.iter_mut().find(|(one, _)| *one == why.text) {
                Some((_, all)) => all.extend(&why.rules),
                None => reasons.push((&why.text, why.rules.iter().collect())),
            }
        }
    }
    for (why, mut rules) in reasons {
        rules.sort();
        rules.dedup();
        let _ = writeln!(out, "  because {why}: {}", places(&rules));
    }
}

/// Places of rules, by file: `a.toml:3, 5-7; b.toml:1`.
fn places(rules: &[&Origin]) -> String {
    let mut files: Vec<(&str, Vec<(u32, u32)>)> = Vec::new();
    for rule in rules {
        if files.last().is_none_or(|(file, _)| *file != &*rule.file) {
            files.push((&rule.file, Vec::new()));
        }
        let Some((_, lines)) = files.last_mut() else { continue };
        match lines.last_mut() {
            Some((_, last)) if rule.line <= *last + 1 => *last = rule.line,
            _ => lines.push((rule.line, rule.line)),
        }
    }
    let range = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let file = |(file, lines): &(&str, Vec<(u32, u32)>)| {
        let lines: Vec<String> = lines.iter().map(range).collect();
        format!("{file}:{}", lines.join(", "))
    };
    files.iter().map(file).collect::<Vec<_>>().join("; ")
}
