// SPDX-License-Identifier: Apache-2.0
//! Decisions about files.
//!
//! Section 4, and where it is done:
//!
//! * "a deny wins over every grant": [`FileIndex::decide`] looks at denies first;
//! * "a list of grants that is absent restricts nothing; a list that is present allows only what
//!   it names": [`FileIndex::governing`] is the present list that an access falls under;
//! * "`write` […] implies read", "`execute` […] implies read": the accesses of a grant
//!   ([`AccessSet::WRITE`], [`AccessSet::EXECUTE`]) contain reading;
//! * "`mask` […]: an empty file or directory stands in its place": what is there cannot be had,
//!   so it is denied as something that does not exist (ENOENT). The stand-in itself opens;
//! * "`except` (own rule only)": an entry does not cover what one of its exceptions covers;
//! * order never matters: of several rules the one of the least rank is cited, and the rank
//!   follows from what the rules say ([`rank`]).

use crate::path::{PatternId, PatternSet};
use crate::policy::{Access, AccessSet, Errno, Files, PathGrant, PathRule, Presence};

use super::decision::{Basis, Decision, List, Rule, Verdict};
use super::entries::{Entries, Entry};
use super::site::{Asking, Placed, Site};

/// `[files]`, prepared for decisions.
#[derive(Debug)]
pub(crate) struct FileIndex {
    pub(crate) set: PatternSet,
    pub(crate) entries: Entries,
    pub(crate) present: AccessSet,
}

impl FileIndex {
    /// Prepares the rules as they are at the site.
    pub(crate) fn new(files: &Files, site: &mut dyn Site) -> Self {
        let mut set = PatternSet::default();
        let mut entries = Vec::new();
        for (rank, ranked) in (0u32..).zip(rank(files)) {
            let Ranked { list, index, rule, access, presence } = ranked;
            let mut place = |pattern, presence| {
                let placed = site.place(pattern, Asking { list, origin: &rule.origin, presence });
                let insert = |one: Placed<'_>| set.insert_at(&one.prefix, one.tail);
                placed.into_iter().map(insert).collect::<Vec<_>>()
            };
            let patterns = place(&rule.pattern, presence);
            let except: Box<[PatternId]> =
                rule.except.iter().flat_map(|except| place(except, None)).collect();
            entries.extend(patterns.into_iter().map(|pattern| {
                let except = except.clone();
                Entry { list, access, rank, index, pattern, except }
            }));
        }
        let entries = Entries::new(entries, set.len());
        Self { set, entries, present: files.governed() }
    }

    /// The present list that the access falls under; `None`: nothing restricts it.
    pub(crate) fn governing(&self, access: Access) -> Option<List> {
        self.present.contains(access).then(|| governing(access))
    }

    /// What decides about an access to a path that these patterns cover.
    pub(crate) fn deciding(&self, covering: &[PatternId], access: Access) -> Deciding<'_> {
        let (mut deny, mut grant): (Option<&Entry>, Option<&Entry>) = (None, None);
        for entry in self.entries.in_force(covering) {
            if entry.forbids() {
                keep_best(&mut deny, entry);
            } else if entry.access.contains(access) {
                keep_best(&mut grant, entry);
            }
        }
        let governing = self.governing(access);
        let grant = grant.filter(|_| governing.is_some());
        match (deny, governing, grant) {
            (Some(rule), _, grant) => Deciding::Denied { rule, grant },
            (None, None, _) => Deciding::Unrestricted,
            (None, Some(_), Some(grant)) => Deciding::Granted(grant),
            (None, Some(list), None) => Deciding::NotGranted(list),
        }
    }

    /// Everything that is allowed to a path that these patterns cover.
    pub(crate) fn allowed(&self, covering: &[PatternId]) -> AccessSet {
        let mut granted = AccessSet::ALL.difference(self.present);
        for entry in self.entries.in_force(covering) {
            if entry.forbids() {
                return AccessSet::EMPTY;
            }
            granted = granted.union(entry.access);
        }
        granted
    }

    /// The decision about one access to a path that these patterns cover.
    pub(crate) fn decide(&self, files: &Files, covering: &[PatternId], access: Access) -> Decision {
        let cite = |entry: &Entry| cite(files, entry.list, entry.index);
        let deciding = self.deciding(covering, access);
        let decision = match deciding {
            Deciding::Unrestricted => return Decision::unrestricted(),
            Deciding::NotGranted(list) => return Decision::not_granted(list, Errno::EACCES),
            Deciding::Granted(grant) => cite(grant).map(Decision::allowed_by),
            Deciding::Denied { rule, grant } => cite(rule).map(|rule| {
                let denied = Decision::new(deciding.verdict(), Basis::Rule(rule));
                denied.with_next_best(grant.and_then(cite))
            }),
        };
        // INVARIANT: the index was made from these files, so every entry's rule is there; were it
        // not, nothing is allowed.
        decision.unwrap_or_else(|| Decision::not_granted(governing(access), Errno::EACCES))
    }

    /// The rule of an entry, to be cited.
    pub(crate) fn cite(&self, files: &Files, entry: &Entry) -> Option<Rule> {
        cite(files, entry.list, entry.index)
    }
}

/// What decides about one access to one path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deciding<'a> {
    /// No present list governs it.
    Unrestricted,
    /// This grant allows it.
    Granted(&'a Entry),
    /// The list is present and names it not.
    NotGranted(List),
    /// This deny or mask forbids what the grant, if there is one, would allow.
    Denied { rule: &'a Entry, grant: Option<&'a Entry> },
}

impl Deciding<'_> {
    pub(crate) fn verdict(self) -> Verdict {
        let errno = match self {
            Self::Unrestricted | Self::Granted(_) => return Verdict::Allow,
            Self::Denied { rule, .. } if rule.list == List::FilesMask => Errno::ENOENT,
            Self::Denied { .. } | Self::NotGranted(_) => Errno::EACCES,
        };
        Verdict::Deny { errno }
    }
}

/// A deny goes before a mask; else the least rank.
fn keep_best<'a>(best: &mut Option<&'a Entry>, entry: &'a Entry) {
    let key = |entry: &Entry| (entry.list == List::FilesMask, entry.rank);
    if best.is_none_or(|best| key(entry) < key(best)) {
        *best = Some(entry);
    }
}

/// The list that an access falls under.
pub(crate) const fn governing(access: Access) -> List {
    match access {
        Access::Read | Access::List => List::FilesRead,
        Access::Modify | Access::Create | Access::Delete | Access::Ioctl | Access::Device => {
            List::FilesWrite
        }
        Access::Execute => List::FilesExecute,
    }
}

/// A rule, where it stands.
#[derive(Clone, Copy, Debug)]
struct Ranked<'a> {
    list: List,
    index: u32,
    rule: &'a PathRule,
    access: AccessSet,
    /// For a grant.
    presence: Option<Presence>,
}

/// All rules in the canonical order: those first that name the longest text, which is mostly the
/// most specific; then by text, exceptions, list and place.
fn rank(files: &Files) -> Vec<Ranked<'_>> {
    let mut ranked: Vec<Ranked<'_>> = [
        (List::FilesRead, &files.read),
        (List::FilesWrite, &files.write),
        (List::FilesExecute, &files.execute),
    ]
    .into_iter()
    .flat_map(|(list, rules)| {
        let rules = rules.as_deref().unwrap_or_default();
        (0u32..).zip(rules).map(move |(index, grant)| {
            let PathGrant { rule, access, presence } = grant;
            Ranked { list, index, rule, access: *access, presence: Some(*presence) }
        })
    })
    .collect();
    for (list, rules) in [(List::FilesDeny, &files.deny), (List::FilesMask, &files.mask)] {
        let (access, presence) = (AccessSet::ALL, None);
        let rules = (0u32..).zip(rules.iter());
        ranked.extend(rules.map(|(index, rule)| Ranked { list, index, rule, access, presence }));
    }
    ranked.sort_unstable_by(|one, other| {
        let length = |one: &Ranked<'_>| one.rule.pattern.text().len();
        length(other)
            .cmp(&length(one))
            .then_with(|| one.rule.cmp(other.rule))
            .then_with(|| (one.list, one.access).cmp(&(other.list, other.access)))
    });
    ranked
}

fn rule(files: &Files, list: List, index: u32) -> Option<&PathRule> {
    let at = index as usize;
    match list {
        List::FilesRead => files.read.as_ref()?.get(at).map(|grant| &grant.rule),
        List::FilesWrite => files.write.as_ref()?.get(at).map(|grant| &grant.rule),
        List::FilesExecute => files.execute.as_ref()?.get(at).map(|grant| &grant.rule),
        List::FilesDeny => files.deny.get(at),
        List::FilesMask => files.mask.get(at),
        _ => None,
    }
}

fn cite(files: &Files, list: List, index: u32) -> Option<Rule> {
    let rule = rule(files, list, index)?;
    Some(Rule { list, origin: rule.origin.clone(), reason: rule.reason.clone() })
}
