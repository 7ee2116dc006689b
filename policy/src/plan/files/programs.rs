// SPDX-License-Identifier: Apache-2.0
//! What runs where a pattern decides about reading.
//!
//! The kernel executes only what it may open for reading, and a domain cannot tell the two apart. So
//! in a region every program that the policy lets be read and executed is granted both, file by file,
//! as they are when the container starts. The supervisor is not told: it opens these files by their
//! names like all others of the region, and leaves none of them to the kernel.
//!
//! RACE: a call that goes on in the kernel for another path may be led to such a file after it has got
//! a name by which it may not be read. What it reads then it could have opened by the first name, and
//! kept. That is why directories are never granted here: a file that is made later has had no other
//! name.

use super::error::PlaceError;
use super::place::{At, Grant, Walk, join};
use super::tree::Kind;
use crate::path::AbsPath;
use crate::policy::{Access, AccessSet};

/// What it takes to run.
const BOTH: AccessSet = AccessSet::of(&[Access::Read, Access::Execute]);

impl Walk<'_> {
    /// Goes through a region in which some of these accesses are allowed to some.
    pub(crate) fn programs(
        &mut self,
        path: &AbsPath,
        at: &At,
        access: AccessSet,
    ) -> Result<(), PlaceError> {
        if !self.placement.bounds(at).sometimes.contains_all(BOTH) {
            return Ok(());
        }
        let found = self.tree.programs(path, self.left);
        let found = found.map_err(|error| self.placement.tree_error(at, error))?;
        self.left = self.left.saturating_sub(found.looked_at);
        for (name, kind) in found.entries {
            let Some(child) = join(path, &name) else { continue };
            let at = self.placement.child_of(at, &name);
            match kind {
                Kind::Link => {}
                Kind::Directory => self.programs(&child, &at, access)?,
                Kind::File => self.program(child, &at, access)?,
            }
        }
        Ok(())
    }

    fn program(&mut self, path: AbsPath, at: &At, access: AccessSet) -> Result<(), PlaceError> {
        if !self.placement.allowed(at).contains_all(BOTH) {
            return Ok(());
        }
        self.check_bound(&path, at)?;
        let access = access.intersection(BOTH);
        self.placed.programs.push(Grant { path, access, directory: false });
        Ok(())
    }
}
