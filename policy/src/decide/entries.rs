// SPDX-License-Identifier: Apache-2.0
//! Rules by the pattern that they name.

use std::collections::BTreeSet;

use crate::path::PatternId;
use crate::policy::{Access, AccessSet};

use super::decision::List;

/// The role of denying; those before it are to grant each access.
const DENY: usize = Access::ALL.len();

/// How many roles there are.
const ROLES: usize = DENY + 4;

/// One rule about paths or names, prepared.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) list: List,
    /// What it grants; everything for a deny, a mask or an address.
    pub(crate) access: AccessSet,
    /// Its place in the canonical order; the least is cited.
    pub(crate) rank: u32,
    /// The rule's index in its list.
    pub(crate) index: u32,
    pub(crate) pattern: PatternId,
    /// What it does not cover: "`except` (own rule only)".
    pub(crate) except: Box<[PatternId]>,
}

impl Entry {
    pub(crate) fn is_excepted(&self, covering: &[PatternId]) -> bool {
        self.except.iter().any(|except| covering.binary_search(except).is_ok())
    }

    /// Whether it does what the role says: to deny, to mask, to grant this access, or to grant
    /// connecting or binding.
    fn plays(&self, role: usize) -> bool {
        match self.list {
            List::FilesDeny | List::NetworkDeny => role == DENY,
            List::FilesMask => role == DENY + 1,
            List::NetworkConnect => role == DENY + 2,
            List::NetworkBind => role == DENY + 3,
            _ => Access::ALL.get(role).is_some_and(|access| self.access.contains(*access)),
        }
    }

    /// Whether it is in a list that forbids.
    pub(crate) const fn forbids(&self) -> bool {
        matches!(self.list, List::FilesDeny | List::FilesMask | List::NetworkDeny)
    }
}

/// Rules by pattern.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// Sorted by pattern, then by rank.
    entries: Vec<Entry>,
    /// For each pattern, where its entries begin.
    starts: Vec<u32>,
    /// The patterns that are exceptions.
    excepts: BTreeSet<PatternId>,
}

impl Entries {
    pub(crate) fn new(mut entries: Vec<Entry>, patterns: usize) -> Self {
        entries.sort_by_key(|entry| (entry.pattern, entry.rank));
        let mut starts = vec![0u32; patterns + 1];
        for entry in &entries {
            if let Some(count) = starts.get_mut(entry.pattern.index() + 1) {
                *count += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let excepts = entries.iter().flat_map(|entry| &entry.except).copied().collect();
        Self { entries, starts, excepts }
    }

    /// Takes out the patterns that make no difference to any decision, here or beneath: an entry
    /// without exceptions holds beneath too, so of those that do the same one is enough.
    pub(crate) fn thin_out(&self, covering: &mut Vec<PatternId>) {
        let mut best: [Option<(u32, PatternId)>; ROLES] = [None; ROLES];
        let mut keep = BTreeSet::new();
        for &pattern in &*covering {
            if self.excepts.contains(&pattern) {
                keep.insert(pattern);
            }
            for entry in self.of_pattern(pattern) {
                if !entry.except.is_empty() {
                    keep.insert(pattern);
                    continue;
                }
                for (role, best) in best.iter_mut().enumerate() {
                    if entry.plays(role) && best.is_none_or(|(rank, _)| entry.rank < rank) {
                        *best = Some((entry.rank, pattern));
                    }
                }
            }
        }
        if let Some((_, deny)) = best[DENY] {
            *covering = vec![deny];
            return;
        }
        keep.extend(best.into_iter().flatten().map(|(_, pattern)| pattern));
        *covering = keep.into_iter().collect();
    }

    /// The entries of a pattern, the least rank first.
    pub(crate) fn of_pattern(&self, pattern: PatternId) -> &[Entry] {
        let at = |index: usize| self.starts.get(index).map(|start| *start as usize);
        match (at(pattern.index()), at(pattern.index() + 1)) {
            (Some(start), Some(end)) => self.entries.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The entries in force where these patterns (in ascending order) cover.
    pub(crate) fn in_force<'a, 'c>(
        &'a self,
        covering: &'c [PatternId],
    ) -> impl Iterator<Item = &'a Entry> + use<'a, 'c> {
        covering
            .iter()
            .flat_map(|pattern| self.of_pattern(*pattern))
            .filter(|entry| !entry.is_excepted(covering))
    }
}
