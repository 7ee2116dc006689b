// SPDX-License-Identifier: Apache-2.0
//! What is mounted read-only because nothing there may be changed.
//!
//! Landlock has no right for metadata (mode, owner, times, extended attributes), and its right
//! `TRUNCATE` is evaluated at every open. A read-only mount covers both, for nothing: where the
//! policy allows no change, the mount is read-only; where it allows changes, it is a mount of its
//! own that is not. Other than Landlock a mount can also take away: a denied file in a writable
//! tree is bound over itself, read-only.
//!
//! What it does not do: keep anybody from writing to a device or a FIFO, or from making or removing
//! names; that is Landlock's part. Where single accesses are granted (`access = ["create"]`) or a
//! pattern tells apart what may be changed, the mount stays writable, and [`Mounts::exact`] says
//! that it does not settle metadata there.

use serde::{Deserialize, Serialize};

use super::error::PlaceError;
use super::place::{Placement, join};
use super::tree::{Kind, Tree};
use crate::path::{AbsPath, Cursor};
use crate::policy::{Access, AccessSet, Origin};

/// The accesses that a read-only mount takes away.
const CHANGES: AccessSet =
    AccessSet::of(&[Access::Modify, Access::Create, Access::Delete, Access::Device]);

/// What a mount lets be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writing {
    /// It is as the specification made it.
    AsMounted,
    /// It is read-only.
    ReadOnly,
}

/// A mount to be changed, or made of what is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remount {
    /// The path, without symbolic links; everything beneath is meant.
    pub path: AbsPath,
    /// What it lets be done.
    pub writing: Writing,
}

/// The mounts of a policy, in a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounts {
    /// In the order in which they are made: what lies above comes first.
    pub remounts: Vec<Remount>,
    /// Where a mount stays writable although metadata may not be changed everywhere, and because
    /// of which rules.
    pub inexact: Vec<(AbsPath, Vec<Origin>)>,
}

impl Mounts {
    /// Whether they settle who may change metadata and cut files.
    #[must_use]
    pub fn exact(&self) -> bool {
        self.inexact.is_empty()
    }
}

/// Finds the mounts.
pub(crate) fn find(placement: &Placement<'_>, tree: &mut dyn Tree) -> Result<Mounts, PlaceError> {
    let mut mounts = Mounts { remounts: Vec::new(), inexact: Vec::new() };
    let at = placement.at_root();
    let mut search = Search { placement, tree, mounts: &mut mounts };
    search.visit(&AbsPath::root(), Kind::Directory, &at, Writing::AsMounted)?;
    Ok(mounts)
}

struct Search<'a> {
    placement: &'a Placement<'a>,
    tree: &'a mut dyn Tree,
    mounts: &'a mut Mounts,
}

impl Search<'_> {
    fn visit(
        &mut self,
        path: &AbsPath,
        kind: Kind,
        at: &Vec<Cursor>,
        above: Writing,
    ) -> Result<(), PlaceError> {
        if kind == Kind::Link {
            return Ok(());
        }
        let bounds = self.placement.bounds(at);
        let mixed = !bounds.mixed().intersection(CHANGES).is_empty();
        let region = mixed && self.placement.in_region(at) && kind == Kind::Directory;
        let bulk = match (kind, region) {
            (Kind::Directory, true) => bounds.sometimes,
            (Kind::Directory, false) => self.placement.allowed(&self.placement.other_child_of(at)),
            _ => self.placement.allowed(at),
        };
        let changes = bulk.intersection(CHANGES);
        let writing = if changes.is_empty() { Writing::ReadOnly } else { Writing::AsMounted };
        if writing != above {
            self.mounts.remounts.push(Remount { path: path.clone(), writing });
        }
        if region || (!changes.is_empty() && !changes.contains(Access::Modify)) {
            self.mounts.inexact.push((path.clone(), self.placement.live_rules(at)));
        }
        if kind == Kind::Directory && mixed {
            return self.named(path, at, writing);
        }
        Ok(())
    }

    fn named(
        &mut self,
        path: &AbsPath,
        at: &Vec<Cursor>,
        above: Writing,
    ) -> Result<(), PlaceError> {
        for name in self.placement.named_children(at) {
            let Some(child) = join(path, &name) else { continue };
            let kind = self.tree.kind(&child);
            let kind = kind.map_err(|error| self.placement.tree_error(at, error))?;
            if let Some(kind) = kind {
                self.visit(&child, kind, &self.placement.child_of(at, &name), above)?;
            }
        }
        Ok(())
    }
}
