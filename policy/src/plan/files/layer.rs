// SPDX-License-Identifier: Apache-2.0
//! One layer of a policy's `[files]`, with its paths as they really are in a tree.
//!
//! "Rules are about real files: a rule written through a symbolic link applies to what the link
//! resolves to when the container starts" (`DESIGN.md` section 4). What a rule's literal beginning
//! leads to takes its place; a deny of something that does not exist yet holds at its name.
//!
//! Masks are no rules here: what stands in a masked path's place may be opened.

use std::collections::BTreeSet;

use super::error::{Note, PlaceError};
use super::tree::{Kind, Tree};
use crate::decide::List;
use crate::decide::{Entries, Entry};
use crate::path::{AbsPath, Cursor, Pattern, PatternId, PatternSet};
use crate::policy::{AccessSet, Files, Origin, PathRule, Presence};

/// The most literals that a pattern with braces is taken apart into.
pub(crate) const MOST_ALTERNATIVES: usize = 64;

/// A rule that may matter, with what it is about.
#[derive(Clone, Debug)]
struct Ruled<'a> {
    list: List,
    access: AccessSet,
    rule: &'a PathRule,
    presence: Option<Presence>,
}

/// A layer, placed in a tree.
#[derive(Debug)]
pub(crate) struct Layer {
    set: PatternSet,
    entries: Entries,
    present: AccessSet,
    /// By rank.
    origins: Vec<Origin>,
}

/// What is known about everything at and beneath a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Allowed for all of it.
    pub(crate) always: AccessSet,
    /// Allowed for some of it, perhaps.
    pub(crate) sometimes: AccessSet,
}

impl Bounds {
    /// What two layers together say.
    pub(crate) fn both(self, other: Self) -> Self {
        Self {
            always: self.always.intersection(other.always),
            sometimes: self.sometimes.intersection(other.sometimes),
        }
    }

    /// What is allowed for some of it and not for all.
    pub(crate) fn mixed(self) -> AccessSet {
        self.sometimes.difference(self.always)
    }
}

impl Layer {
    /// Places the rules in a tree; what is wrong is added to `errors`, what is worth telling to
    /// `notes`.
    pub(crate) fn new(
        files: &Files,
        tree: &mut dyn Tree,
        errors: &mut Vec<PlaceError>,
        notes: &mut Vec<Note>,
    ) -> Self {
        let mut set = PatternSet::default();
        let (mut entries, mut origins) = (Vec::new(), Vec::new());
        for ruled in rules(files) {
            let mut place = Placing { tree: &mut *tree, set: &mut set, errors, notes };
            for (pattern, except) in place.rule(&ruled) {
                let rank = u32::try_from(origins.len()).unwrap_or(u32::MAX);
                origins.push(ruled.rule.origin.clone());
                let Ruled { list, access, .. } = ruled;
                entries.push(Entry { list, access, rank, index: rank, pattern, except });
            }
        }
        let entries = Entries::new(entries, set.len());
        Self { set, entries, present: files.governed(), origins }
    }

    /// At `/`.
    pub(crate) fn at_root(&self) -> Cursor {
        self.set.at_root()
    }

    /// At a child.
    pub(crate) fn child_of(&self, cursor: &Cursor, name: &[u8]) -> Cursor {
        self.set.child_of(cursor, name)
    }

    /// At a child that no rule names, where no wildcard is in the way.
    pub(crate) fn other_child_of(&self, cursor: &Cursor) -> Cursor {
        self.set.other_child_of(cursor)
    }

    /// The children that rules name or that lead to what they name.
    pub(crate) fn named_children(&self, cursor: &Cursor) -> BTreeSet<Vec<u8>> {
        self.set.named_children(cursor).map(<[u8]>::to_vec).collect()
    }

    /// What is known about everything at and beneath the cursor. Both bounds are safe: what is
    /// always allowed is, and what is never allowed is not.
    pub(crate) fn bounds(&self, cursor: &Cursor) -> Bounds {
        let covering = cursor.covering();
        let mut live = self.set.live_beneath(cursor);
        live.retain(|pattern| covering.binary_search(pattern).is_err());
        if live.is_empty() {
            let allowed = self.allowed(cursor);
            return Bounds { always: allowed, sometimes: allowed };
        }
        let free = AccessSet::ALL.difference(self.present);
        let mut bounds = Bounds { always: free, sometimes: free };
        let (mut denied_always, mut denied_sometimes) = (false, false);
        let in_force = self.entries.in_force(covering).map(|entry| (entry, true));
        let coming = live.iter().flat_map(|id| self.entries.of_pattern(*id));
        for (entry, here) in in_force.chain(coming.map(|entry| (entry, false))) {
            let holds_everywhere = here && entry.except.iter().all(|one| !live.contains(one));
            match (entry.forbids(), holds_everywhere) {
                (true, true) => denied_always = true,
                (true, false) => denied_sometimes = true,
                (false, everywhere) => {
                    bounds.sometimes = bounds.sometimes.union(entry.access);
                    if everywhere {
                        bounds.always = bounds.always.union(entry.access);
                    }
                }
            }
        }
        if denied_always || denied_sometimes {
            bounds.always = AccessSet::EMPTY;
        }
        if denied_always {
            bounds.sometimes = AccessSet::EMPTY;
        }
        bounds
    }

    /// What is allowed at the cursor itself.
    pub(crate) fn allowed(&self, cursor: &Cursor) -> AccessSet {
        let mut granted = AccessSet::ALL.difference(self.present);
        for entry in self.entries.in_force(cursor.covering()) {
            if entry.forbids() {
                return AccessSet::EMPTY;
            }
            granted = granted.union(entry.access);
        }
        granted
    }

    /// The rules that make a difference beneath the cursor: first those with wildcards that are in
    /// the way there.
    pub(crate) fn live_rules(&self, cursor: &Cursor) -> Vec<Origin> {
        let mut ranks: Vec<u32> = self
            .set
            .live_beneath(cursor)
            .iter()
            .flat_map(|id| self.entries.of_pattern(*id))
            .map(|entry| entry.rank)
            .collect();
        ranks.sort_unstable();
        ranks.into_iter().filter_map(|rank| self.origins.get(rank as usize)).cloned().collect()
    }
}

fn rules(files: &Files) -> impl Iterator<Item = Ruled<'_>> {
    let grants = [
        (List::FilesRead, &files.read),
        (List::FilesWrite, &files.write),
        (List::FilesExecute, &files.execute),
    ];
    let grants = grants.into_iter().flat_map(|(list, grants)| {
        grants.iter().flatten().map(move |grant| Ruled {
            list,
            access: grant.access,
            rule: &grant.rule,
            presence: Some(grant.presence),
        })
    });
    let denies = files.deny.iter().map(|rule| Ruled {
        list: List::FilesDeny,
        access: AccessSet::ALL,
        rule,
        presence: None,
    });
    denies.chain(grants)
}

struct Placing<'a> {
    tree: &'a mut dyn Tree,
    set: &'a mut PatternSet,
    errors: &'a mut Vec<PlaceError>,
    notes: &'a mut Vec<Note>,
}

impl Placing<'_> {
    /// The patterns that the rule is here, each with its exceptions.
    fn rule(&mut self, ruled: &Ruled<'_>) -> Vec<(PatternId, Box<[PatternId]>)> {
        let origin = &ruled.rule.origin;
        let patterns = self.pattern(&ruled.rule.pattern, origin, ruled.presence);
        let mut except = Vec::new();
        for one in &ruled.rule.except {
            except.extend(self.pattern(one, origin, None));
        }
        patterns.into_iter().map(|pattern| (pattern, except.clone().into())).collect()
    }

    fn pattern(
        &mut self,
        pattern: &Pattern,
        origin: &Origin,
        grant: Option<Presence>,
    ) -> Vec<PatternId> {
        let prefix = match AbsPath::new(pattern.literal_prefix()) {
            Ok(prefix) => prefix,
            Err(error) => {
                self.errors.push(PlaceError::Path { origin: origin.clone(), error });
                return Vec::new();
            }
        };
        let Some(paths) = pattern.paths(MOST_ALTERNATIVES) else {
            let prefix = self.path(&prefix, origin, grant);
            return prefix
                .map(|prefix| self.set.insert_at(prefix.as_bytes(), pattern.tail()))
                .into_iter()
                .collect();
        };
        let found = paths.iter().filter_map(|path| self.path(path, origin, grant));
        let found: Vec<AbsPath> = found.collect();
        found.iter().map(|path| self.set.insert_at(path.as_bytes(), &[])).collect()
    }

    /// Where the path really is; `None`: it grants nothing.
    fn path(
        &mut self,
        path: &AbsPath,
        origin: &Origin,
        grant: Option<Presence>,
    ) -> Option<AbsPath> {
        let found = match self.tree.resolve(path) {
            Ok(found) => found,
            Err(error) => {
                self.errors.push(PlaceError::Tree { origin: origin.clone(), error });
                return None;
            }
        };
        match (found.kind, grant) {
            (Some(Kind::Directory | Kind::File | Kind::Link), _) | (None, None) => Some(found.path),
            (None, Some(Presence::Required)) => {
                self.errors
                    .push(PlaceError::Missing { origin: origin.clone(), path: path.clone() });
                None
            }
            (None, Some(Presence::Optional)) => {
                self.notes.push(Note::Missing { origin: origin.clone(), path: path.clone() });
                None
            }
        }
    }
}
