// SPDX-License-Identifier: Apache-2.0
//! One layer of a policy's `[files]`, with its paths as they really are in a tree
//! ([`super::placements`]), as a walk down that tree sees it.

use std::collections::BTreeSet;

use crate::decide::{FileIndex, Site};
use crate::path::Cursor;
use crate::policy::{AccessSet, Files, Origin};

/// A layer, placed in a tree.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    files: &'a Files,
    index: FileIndex,
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

impl<'a> Layer<'a> {
    /// Places the rules.
    pub(crate) fn new(files: &'a Files, site: &mut dyn Site) -> Self {
        Self { files, index: FileIndex::new(files, site) }
    }

    /// At `/`.
    pub(crate) fn at_root(&self) -> Cursor {
        self.index.set.at_root()
    }

    /// At a child.
    pub(crate) fn child_of(&self, cursor: &Cursor, name: &[u8]) -> Cursor {
        self.index.set.child_of(cursor, name)
    }

    /// At a child that no rule names, where no wildcard is in the way.
    pub(crate) fn other_child_of(&self, cursor: &Cursor) -> Cursor {
        self.index.set.other_child_of(cursor)
    }

    /// The children that rules name or that lead to what they name.
    pub(crate) fn named_children(&self, cursor: &Cursor) -> BTreeSet<Vec<u8>> {
        self.index.set.named_children(cursor).map(<[u8]>::to_vec).collect()
    }

    /// What is known about everything at and beneath the cursor. Both bounds are safe: what is
    /// always allowed is, and what is never allowed is not.
    pub(crate) fn bounds(&self, cursor: &Cursor) -> Bounds {
        let covering = cursor.covering();
        let mut live = self.index.set.live_beneath(cursor);
        live.retain(|pattern| covering.binary_search(pattern).is_err());
        if live.is_empty() {
            let allowed = self.allowed(cursor);
            return Bounds { always: allowed, sometimes: allowed };
        }
        let free = AccessSet::ALL.difference(self.index.present);
        let mut bounds = Bounds { always: free, sometimes: free };
        let (mut denied_always, mut denied_sometimes) = (false, false);
        let in_force = self.index.entries.in_force(covering).map(|entry| (entry, true));
        let coming = live.iter().flat_map(|id| self.index.entries.of_pattern(*id));
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
        self.index.allowed(cursor.covering())
    }

    /// The rules that decide at the cursor itself.
    pub(crate) fn rules_at(&self, cursor: &Cursor) -> Vec<Origin> {
        let entries = self.index.entries.in_force(cursor.covering());
        entries.filter_map(|entry| self.index.cite(self.files, entry)).map(|it| it.origin).collect()
    }

    /// The rules that make a difference beneath the cursor.
    pub(crate) fn live_rules(&self, cursor: &Cursor) -> Vec<Origin> {
        let live = self.index.set.live_beneath(cursor);
        let entries = live.iter().flat_map(|id| self.index.entries.of_pattern(*id));
        entries.filter_map(|entry| self.index.cite(self.files, entry)).map(|it| it.origin).collect()
    }
}
