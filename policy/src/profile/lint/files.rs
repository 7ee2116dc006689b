// SPDX-License-Identifier: Apache-2.0
//! Odd rules for files.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Resolved;
use super::super::resolve::Map;
use super::super::rules::Located;
use super::{covered, duplicate, idle_except, own, pairs, under_deny, without_grant};
use crate::decide::{Decider, Operation};
use crate::diagnostics::{Code, Diagnostic, Report};
use crate::path::{AbsPath, Pattern, PatternId, PatternSet, overlap, uncovered};
use crate::policy::{Access, AccessSet, Files, PathGrant, PathRule, Presence};

/// Among so many denies the one that covers a grant is looked for.
const FEW: usize = 256;

pub(super) fn lint(resolved: &Resolved, report: &mut Report) {
    let (files, map) = (&resolved.policy.files, &resolved.map);
    let lists = grants(files, map);
    let denies = Index::new(pairs(&files.deny, &map.deny));
    for (grants, places) in &lists {
        lint_grants(grants, places, &denies, report);
    }
    for (rules, places) in [(&files.deny, &map.deny), (&files.mask, &map.mask)] {
        redundant(rules.iter().map(deny_claim), places, report);
        exceptions(rules.iter(), places, report);
    }
    if lists.len() == 3 {
        lint_denies(files, map, &lists, report);
    }
    if files.write.is_some() && files.execute.is_some() {
        write_and_execute(resolved, report);
    }
}

type List<'a> = (&'a [PathGrant], &'a [Located]);

/// The lists of grants that there are.
fn grants<'a>(files: &'a Files, map: &'a Map) -> Vec<List<'a>> {
    let lists =
        [(&files.read, &map.read), (&files.write, &map.write), (&files.execute, &map.execute)];
    lists.into_iter().filter_map(|(list, places)| Some((list.as_deref()?, &**places))).collect()
}

/// Denies that have no exceptions, as one set, and where each pattern is.
struct Index<'a> {
    set: PatternSet,
    by_id: BTreeMap<PatternId, &'a Located>,
    rules: Vec<(&'a PathRule, &'a Located)>,
}

impl<'a> Index<'a> {
    fn new(rules: impl Iterator<Item = (&'a PathRule, &'a Located)>) -> Self {
        let rules: Vec<_> = rules.filter(|(rule, _)| rule.except.is_empty()).collect();
        let (mut set, mut by_id) = (PatternSet::default(), BTreeMap::new());
        for (rule, place) in &rules {
            by_id.entry(set.insert(&rule.pattern)).or_insert(*place);
        }
        Self { set, by_id, rules }
    }

    /// A rule that covers all of `pattern` by itself.
    fn covering(&self, pattern: &Pattern) -> Option<&'a Located> {
        if let Some(path) = pattern.literal().and_then(|bytes| AbsPath::new(bytes).ok()) {
            let ids = self.set.covering(&path);
            return ids.first().and_then(|id| self.by_id.get(id)).copied();
        }
        let few = self.rules.iter().take(FEW);
        let covers = |rule: &PathRule| {
            let mut alone = PatternSet::default();
            alone.insert(&rule.pattern);
            matches!(uncovered(pattern, &alone), Ok(None))
        };
        few.filter(|(rule, _)| covers(rule)).map(|(_, place)| *place).next()
    }
}

fn lint_grants(grants: &[PathGrant], places: &[Located], denies: &Index<'_>, report: &mut Report) {
    for (grant, place) in pairs(grants, places).filter(|(_, place)| own(place.rule)) {
        if !denies.set.is_empty() && matches!(uncovered(&grant.rule.pattern, &denies.set), Ok(None))
        {
            let what = format!("`{}`", grant.rule.pattern);
            under_deny(report, place, denies.covering(&grant.rule.pattern), &what);
        }
    }
    redundant(grants.iter().map(grant_claim), places, report);
    exceptions(grants.iter().map(|grant| &grant.rule), places, report);
}

fn lint_denies(files: &Files, map: &Map, lists: &[List<'_>], report: &mut Report) {
    let mut granted = PatternSet::default();
    for grant in lists.iter().flat_map(|(grants, _)| grants.iter()) {
        granted.insert(&grant.rule.pattern);
    }
    for (rule, place) in pairs(&files.deny, &map.deny).filter(|(_, place)| own(place.rule)) {
        if matches!(overlap(&rule.pattern, &granted), Ok(None)) {
            without_grant(report, place, &format!("`{}`", rule.pattern));
        }
    }
}

/// A rule of any list for files, as far as redundancy goes.
#[derive(Clone, Copy)]
struct Claim<'a> {
    rule: &'a PathRule,
    access: AccessSet,
    presence: Presence,
}

fn deny_claim(rule: &PathRule) -> Claim<'_> {
    Claim { rule, access: AccessSet::ALL, presence: Presence::Optional }
}

fn grant_claim(grant: &PathGrant) -> Claim<'_> {
    Claim { rule: &grant.rule, access: grant.access, presence: grant.presence }
}

impl Claim<'_> {
    /// Whether `other`, whose pattern covers this one's, says all that this says.
    /// Of equal rules one must stay: the earlier.
    fn adds_nothing_to(self, other: Self, order: Ordering) -> bool {
        let equal =
            other.rule.pattern == self.rule.pattern && other.rule.except == self.rule.except;
        let enough = other.access.contains_all(self.access) && self.presence == Presence::Optional;
        if equal {
            enough && (other.access != self.access || order.is_gt())
        } else {
            enough && other.rule.except.is_empty()
        }
    }
}

/// Rules that another of the same list makes superfluous: one of the same pattern,
/// or for a literal path any whose pattern covers it.
fn redundant<'a>(claims: impl Iterator<Item = Claim<'a>>, places: &[Located], report: &mut Report) {
    let claims: Vec<_> = claims.collect();
    let (mut set, mut by_id) = (PatternSet::default(), BTreeMap::<PatternId, Vec<usize>>::new());
    for (at, claim) in claims.iter().enumerate() {
        by_id.entry(set.insert(&claim.rule.pattern)).or_default().push(at);
    }
    for (at, claim) in claims.iter().enumerate() {
        let covering = match claim.rule.pattern.literal().and_then(|p| AbsPath::new(p).ok()) {
            Some(path) => set.covering(&path),
            None => vec![set.insert(&claim.rule.pattern)],
        };
        let mut others = covering.iter().filter_map(|id| by_id.get(id)).flatten().copied();
        let stronger = others.find(|other| {
            let known = claims.get(*other).filter(|_| *other != at);
            known.is_some_and(|known| claim.adds_nothing_to(*known, at.cmp(other)))
        });
        let (Some(other), Some(place)) = (stronger, places.get(at)) else { continue };
        let (Some(known), Some(known_place)) = (claims.get(other), places.get(other)) else {
            continue;
        };
        let name = claim.rule.pattern.text();
        if known.adds_nothing_to(*claim, Ordering::Greater) {
            duplicate(report, place, known_place, name);
        } else {
            covered(report, place, known_place, name);
        }
    }
}

fn exceptions<'a>(
    rules: impl Iterator<Item = &'a PathRule>,
    places: &[Located],
    report: &mut Report,
) {
    for (rule, place) in rules.zip(places).filter(|(rule, _)| !rule.except.is_empty()) {
        let mut own = PatternSet::default();
        own.insert(&rule.pattern);
        for (except, span) in rule.except.iter().zip(&place.except) {
            if matches!(overlap(except, &own), Ok(None)) {
                idle_except(report, *span);
            }
        }
    }
}

/// Paths that can be changed and then executed. Each is confirmed by a decision, so
/// that denies and exceptions count.
fn write_and_execute(resolved: &Resolved, report: &mut Report) {
    let (files, map) = (&resolved.policy.files, &resolved.map);
    let (Some(write), Some(execute)) = (&files.write, &files.execute) else { return };
    let (mut set, mut by_id) = (PatternSet::default(), BTreeMap::new());
    for pair in pairs(execute, &map.execute) {
        by_id.entry(set.insert(&pair.0.rule.pattern)).or_insert(pair);
    }
    let decider = Decider::new(Arc::new(resolved.policy.clone()));
    let both = |path: &AbsPath| {
        let allowed = |access| decider.decide(&Operation::access(access, path.clone())).allows();
        allowed(Access::Execute) && (allowed(Access::Modify) || allowed(Access::Create))
    };
    for (grant, place) in pairs(write, &map.write) {
        let Ok(Some(path)) = overlap(&grant.rule.pattern, &set) else { continue };
        let Some((other, other_place)) =
            set.covering(&path).first().and_then(|id| by_id.get(id)).copied()
        else {
            continue;
        };
        let literal = |grant: &PathGrant| AbsPath::new(grant.rule.pattern.literal()?).ok();
        let candidates = [Some(path), literal(grant), literal(other)];
        let found = candidates.into_iter().flatten().find(|path| both(path));
        if let Some(path) = found.filter(|_| own(place.rule) || own(other_place.rule)) {
            let message = format!("`{path}` is both writable and executable");
            report.push(
                Diagnostic::new(Code::WriteAndExecute, message)
                    .at(place.rule, "writable here")
                    .also(other_place.rule, "executable here")
                    .help(
                        "whoever can make the program write a file there can make it run that file",
                    ),
            );
        }
    }
}
