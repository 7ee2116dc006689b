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
    /// Those of them where names that the kernel lets be changed tell apart, within one mount, whose
    /// metadata may be: another name would be another answer. In regions it lets none be changed.
    pub by_name: Vec<(AbsPath, Vec<Origin>)>,
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
    let mut mounts = Mounts { remounts: Vec::new(), inexact: Vec::new(), by_name: Vec::new() };
    let at = placement.at_root();
    let mut search = Search { placement, tree, mounts: &mut mounts };
    let above = Above { writing: Writing::AsMounted, changes: AccessSet::EMPTY };
    search.visit(&AbsPath::root(), Kind::Directory, &at, above)?;
    Ok(mounts)
}

struct Search<'a> {
    placement: &'a Placement<'a>,
    tree: &'a mut dyn Tree,
    mounts: &'a mut Mounts,
}

/// The mount that something is in.
#[derive(Clone, Copy)]
struct Above {
    writing: Writing,
    /// What is allowed to some of it, as far as it has been seen.
    changes: AccessSet,
}

impl Search<'_> {
    fn visit(
        &mut self,
        path: &AbsPath,
        kind: Kind,
        at: &Vec<Cursor>,
        above: Above,
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
        let own = writing != above.writing;
        if own {
            self.mounts.remounts.push(Remount { path: path.clone(), writing });
        }
        let unchanging = !changes.is_empty() && !changes.contains(Access::Modify);
        if region || unchanging {
            self.mounts.inexact.push((path.clone(), self.placement.reasons(at)));
        }
        let around = if own { AccessSet::EMPTY } else { above.changes };
        if unchanging && around.union(bounds.mixed()).contains(Access::Modify) {
            self.mounts.by_name.push((path.clone(), self.placement.reasons(at)));
        }
        if kind == Kind::Directory && mixed {
            // in such a region names are held already
            let held = region && changes.contains(Access::Modify);
            let changes = if held { AccessSet::EMPTY } else { around.union(changes) };
            return self.named(path, at, Above { writing, changes });
        }
        Ok(())
    }

    fn named(&mut self, path: &AbsPath, at: &Vec<Cursor>, above: Above) -> Result<(), PlaceError> {
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
