// SPDX-License-Identifier: Apache-2.0
//! `[files]`: what Landlock and mounts enforce of it, in a tree of files.
//!
//! [`settle`] is the whole of it: a policy and a tree in, [`Settled`] out. `brig policy plan` calls
//! it with the tree in which everything exists ([`Assumed`]) or with a bundle's; the executor calls
//! it in the container, when everything is mounted, and carries out what it returns.

mod error;
mod layer;
mod loader;
mod masks;
mod mounts;
mod names;
mod place;
mod placements;
mod programs;
mod tree;

pub use error::{Note, PlaceError};
pub use loader::{ElfError, candidates, for_interpreting_only, interpreter, script_interpreter};
pub use mounts::{Mounts, Remount, Writing};
pub use place::{Bound, Grant, Placed, Region};
pub(crate) use placements::Recorded;
pub use placements::{Existence, Place, Placements};
pub use tree::{Assumed, Found, Kind, Programs, Tree, TreeError};

use place::{Placement, Walk};
use placements::{MOST_ALTERNATIVES, Recorder};

use super::landlock::{Bounded, Effect, Rights, Truncation};
use crate::path::{AbsPath, Pattern};
use crate::policy::{Access, AccessSet, Policy};

/// What the kernel is told about `[files]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What is allowed where, what is left over, and what has to be said.
    pub placed: Placed,
    /// What is mounted read-only.
    pub mounts: Mounts,
    /// What masks with wildcards match.
    pub masks: Vec<(AbsPath, Kind)>,
    /// Where the paths of rules are, those of `[network]` included.
    pub placements: Placements,
    /// Whether some layer has a list of what may be executed.
    lists_programs: bool,
}

/// Whether a pattern names a few paths and no others, so that no wildcard is in it.
pub(crate) fn is_few_literals(pattern: &Pattern) -> bool {
    pattern.paths(MOST_ALTERNATIVES).is_some()
}

/// Settles the `[files]` of all layers of a policy in a tree.
///
/// # Errors
/// Every rule whose path is wrong there; or the one that takes too many Landlock rules.
pub fn settle(
    policy: &Policy,
    tree: &mut dyn Tree,
    bound: Bound,
) -> Result<Settled, Vec<PlaceError>> {
    let mut placements = Placements::default();
    let (placement, notes) = place(policy, tree, &mut placements)?;
    let mut placed = Placed { notes, ..Placed::default() };
    let held = names::held(&placement, tree).map_err(|error| vec![error])?;
    let mut walk = Walk {
        placement: &placement,
        tree: &mut *tree,
        bound,
        placed: &mut placed,
        held: &held,
        left: bound.files,
    };
    walk.run().map_err(|error| vec![error])?;
    let mounts = mounts::find(&placement, tree).map_err(|error| vec![error])?;
    let masks = masks::find(policy, tree, bound.files).map_err(|error| vec![error])?;
    placed.notes.sort();
    placed.notes.dedup();
    placed.programs.sort_by(|one, other| one.path.cmp(&other.path));
    let lists_programs =
        policy.layers().any(|layer| layer.enforces() && layer.files.execute.is_some());
    Ok(Settled { placed, mounts, masks, placements, lists_programs })
}

/// Finds where the paths of all layers are, and tells what is wrong with those that enforce.
fn place<'a>(
    policy: &'a Policy,
    tree: &mut dyn Tree,
    placements: &mut Placements,
) -> Result<(Placement<'a>, Vec<Note>), Vec<PlaceError>> {
    let mut recorder = Recorder::new(&mut *tree, placements);
    let placement = Placement::new(policy, &mut recorder);
    for layer in policy.layers().filter(|layer| layer.enforces()) {
        recorder.network(&layer.network);
    }
    let Recorder { mut errors, notes, .. } = recorder;
    if !errors.is_empty() {
        errors.sort_by(|one, other| one.origin().cmp(other.origin()));
        return Err(errors);
    }
    placements::record_audited(policy, tree, placements);
    Ok((placement, notes))
}

impl Settled {
    /// The rights that Landlock is to handle; none: no domain is needed.
    #[must_use]
    pub fn handled(&self) -> Rights {
        // an access that only the supervisor could allow to some is restricted like any other
        Rights::to_handle(self.placed.restricted, self.truncation())
    }

    /// The rights of a grant, as far as they are handled.
    #[must_use]
    pub fn rights(&self, grant: &Grant) -> Rights {
        let rights = Rights::of(grant.access).intersection(self.handled());
        if grant.directory { rights } else { rights.on_a_file() }
    }

    /// Whether there may be files that can be read and not executed: a loader could run them.
    #[must_use]
    pub fn restricts_execution(&self) -> bool {
        self.lists_programs
    }

    /// Whether a file may be executed, by what is granted.
    #[must_use]
    pub fn may_execute(&self, path: &AbsPath) -> bool {
        !self.placed.restricted.contains(Access::Execute)
            || self.placed.programs.binary_search_by(|one| one.path.cmp(path)).is_ok()
            || self.placed.grants.iter().any(|grant| {
                grant.access.contains(Access::Execute) && is_beneath(path, &grant.path)
            })
    }

    /// All that Landlock is told: a rule each.
    pub fn rules(&self) -> impl Iterator<Item = &Grant> {
        let all = self.placed.grants.iter().chain(&self.placed.programs);
        all.filter(|one| !self.rights(one).is_empty())
    }

    /// The accesses that are left to the supervisor, somewhere.
    #[must_use]
    pub fn left_over(&self) -> AccessSet {
        self.placed.regions.iter().fold(AccessSet::EMPTY, |all, one| all.union(one.access))
    }

    /// Who denies an effect where the policy does and no more than these rights are supported.
    ///
    /// Metadata is bounded by read-only mounts alone: Landlock has no right for it.
    #[must_use]
    pub fn bounded(&self, effect: Effect, supported: Rights) -> Bounded {
        match effect {
            // what is not left over, the kernel decides alone, everywhere
            Effect::Access(access) if !self.left_over().contains(access) => Bounded::ByKernel,
            Effect::Access(access) => self.handled().intersection(supported).bound(access),
            Effect::Metadata if self.mounts.exact() => Bounded::ByKernel,
            Effect::Metadata => Bounded::ByNobody,
        }
    }

    /// What keeps files from being cut.
    #[must_use]
    pub fn truncation(&self) -> Truncation {
        if self.mounts.exact() { Truncation::ByMounts } else { Truncation::ByRight }
    }
}

/// Whether one path is the other or lies beneath it.
fn is_beneath(path: &AbsPath, directory: &AbsPath) -> bool {
    let mut names = path.components();
    directory.components().all(|name| names.next() == Some(name))
}
