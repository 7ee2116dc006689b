// SPDX-License-Identifier: Apache-2.0
//! Where names must not change unless the supervisor has looked.
//!
//! Landlock's grants follow files; a pattern is about names. Who can rename or link a file where a
//! pattern tells apart what may be read turns a deny into an allow: `secret.key` becomes
//! `secret.txt`, and within one directory the kernel asks nothing about what is gained. So where an
//! access that follows a file to another name is left to the supervisor, making and removing names
//! is left to it, too; and above such a directory as well, because moving one of its ancestors
//! moves everything that the pattern speaks of.
//!
//! What it does not hold: `execute`, which is expanded to files when the container starts, and what
//! literals alone tell apart; both are granted by file, whatever its name.

use std::collections::BTreeSet;

use super::error::PlaceError;
use super::place::{At, Placement, join};
use super::tree::{Kind, Tree};
use crate::path::AbsPath;
use crate::policy::{Access, AccessSet};

/// Making and removing names.
pub(crate) const NAMES: AccessSet = AccessSet::of(&[Access::Create, Access::Delete]);

/// The accesses that follow a file to another name, where rules are about names.
const FOLLOWING: AccessSet =
    AccessSet::of(&[Access::Read, Access::List, Access::Modify, Access::Ioctl]);

/// The directories in which names are the supervisor's: regions, and all that is above them.
pub(crate) fn held(
    placement: &Placement<'_>,
    tree: &mut dyn Tree,
) -> Result<BTreeSet<AbsPath>, PlaceError> {
    let mut search = Search { placement, tree, held: BTreeSet::new() };
    search.visit(&AbsPath::root(), &placement.at_root())?;
    Ok(search.held)
}

struct Search<'a> {
    placement: &'a Placement<'a>,
    tree: &'a mut dyn Tree,
    held: BTreeSet<AbsPath>,
}

impl Search<'_> {
    /// Whether the directory is one of them.
    fn visit(&mut self, path: &AbsPath, at: &At) -> Result<bool, PlaceError> {
        if self.placement.bounds(at).mixed().intersection(FOLLOWING).is_empty() {
            return Ok(false);
        }
        let mut held = self.placement.in_region(at);
        if !held {
            for name in self.placement.named_children(at) {
                let Some(child) = join(path, &name) else { continue };
                held |= self.beneath(&child, &self.placement.child_of(at, &name))?;
            }
        }
        if held {
            self.held.insert(path.clone());
        }
        Ok(held)
    }

    fn beneath(&mut self, path: &AbsPath, at: &At) -> Result<bool, PlaceError> {
        match self.tree.kind(path).map_err(|error| self.placement.tree_error(at, error))? {
            Some(Kind::Directory) => self.visit(path, at),
            Some(Kind::File | Kind::Link) | None => Ok(false),
        }
    }
}
