// SPDX-License-Identifier: Apache-2.0
//! From the rules of `[files]` and a tree of files to Landlock rules.
//!
//! Landlock only grants: what is granted for a directory is granted for all of it. So the tree is
//! walked from its root, as far as the policy tells what lies there apart. Where an access is
//! allowed for everything at and beneath a directory, that is one rule. Where a literal is denied
//! beneath, its siblings are granted in the place of their directory: *carving*. Where a pattern
//! tells apart what lies beneath, nothing is granted (a *region*, which the supervisor answers for);
//! only `execute` is expanded there, file by file ([`super::programs`]), so that nothing that runs
//! depends on a check that can be raced. Where names decide ([`super::names`]), making and removing
//! them is not granted either.
//!
//! Guarantee (invariant 2): what the grants allow, the policy allows.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::{Note, PlaceError};
use super::layer::{Bounds, Layer};
use super::names::NAMES;
use super::placements::Recorder;
use super::tree::{Kind, Programs, Tree, TreeError};
use crate::path::{AbsPath, Cursor};
use crate::policy::{Access, AccessSet, Origin, Policy};

/// How much may be made of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The most Landlock rules.
    pub rules: usize,
    /// The most files that are looked at.
    pub files: usize,
}

impl Default for Bound {
    fn default() -> Self {
        Self { rules: 4096, files: 1_000_000 }
    }
}

/// What is allowed to everything at and beneath a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The path, without symbolic links.
    pub path: AbsPath,
    /// What is allowed, beyond what is allowed to a directory above.
    pub access: AccessSet,
    /// Whether it is a directory.
    pub directory: bool,
}

/// Where a pattern tells apart what the kernel cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Region {
    /// The directory.
    pub path: AbsPath,
    /// The accesses that are allowed to some of it only.
    pub access: AccessSet,
    /// The rules that tell it apart.
    pub rules: Vec<Origin>,
}

/// The rules of `[files]`, in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// The accesses that are restricted anywhere.
    pub restricted: AccessSet,
    /// What is allowed, where.
    pub grants: Vec<Grant>,
    /// What the kernel must grant besides, to single files, so that they run. To open one of them is
    /// left to the supervisor all the same.
    pub programs: Vec<Grant>,
    /// What is left to the supervisor.
    pub regions: Vec<Region>,
    /// What has to be said about it.
    pub notes: Vec<Note>,
}

/// The layers of a policy that enforce something about files, in a tree.
#[derive(Debug)]
pub(crate) struct Placement<'a> {
    layers: Vec<Layer<'a>>,
}

/// Where the walk is, in the eyes of each layer.
pub(crate) type At = Vec<Cursor>;

impl<'a> Placement<'a> {
    /// Finds where the rules' paths really are; what it has to tell is in the recorder.
    pub(crate) fn new(policy: &'a Policy, recorder: &mut Recorder<'_>) -> Self {
        let layers = policy.layers().filter(|layer| layer.enforces());
        Self { layers: layers.map(|layer| Layer::new(&layer.files, recorder)).collect() }
    }

    pub(crate) fn at_root(&self) -> At {
        self.layers.iter().map(Layer::at_root).collect()
    }

    pub(crate) fn child_of(&self, at: &At, name: &[u8]) -> At {
        self.layers.iter().zip(at).map(|(layer, at)| layer.child_of(at, name)).collect()
    }

    /// At a child that no rule names, outside regions.
    pub(crate) fn other_child_of(&self, at: &At) -> At {
        self.layers.iter().zip(at).map(|(layer, at)| layer.other_child_of(at)).collect()
    }

    pub(crate) fn bounds(&self, at: &At) -> Bounds {
        let all = Bounds { always: AccessSet::ALL, sometimes: AccessSet::ALL };
        self.layers.iter().zip(at).fold(all, |all, (layer, at)| all.both(layer.bounds(at)))
    }

    /// What is allowed there itself.
    pub(crate) fn allowed(&self, at: &At) -> AccessSet {
        let layers = self.layers.iter().zip(at);
        layers.fold(AccessSet::ALL, |all, (layer, at)| all.intersection(layer.allowed(at)))
    }

    pub(crate) fn in_region(&self, at: &At) -> bool {
        at.iter().any(Cursor::in_region)
    }

    pub(crate) fn named_children(&self, at: &At) -> BTreeSet<Vec<u8>> {
        self.layers.iter().zip(at).flat_map(|(layer, at)| layer.named_children(at)).collect()
    }

    pub(crate) fn live_rules(&self, at: &At) -> Vec<Origin> {
        let layers = self.layers.iter().zip(at);
        sorted(layers.flat_map(|(layer, at)| layer.live_rules(at)).collect())
    }

    /// Because of which rules something is done at a path: those that tell apart what lies beneath,
    /// or else those that decide there.
    pub(crate) fn reasons(&self, at: &At) -> Vec<Origin> {
        let live = self.live_rules(at);
        if !live.is_empty() {
            return live;
        }
        let layers = self.layers.iter().zip(at);
        sorted(layers.flat_map(|(layer, at)| layer.rules_at(at)).collect())
    }

    /// What the tree says, with a rule because of which it was asked.
    pub(crate) fn tree_error(&self, at: &At, error: TreeError) -> PlaceError {
        let origin = self.live_rules(at).into_iter().next().unwrap_or_else(nowhere);
        PlaceError::Tree { origin, error }
    }
}

fn sorted(mut rules: Vec<Origin>) -> Vec<Origin> {
    rules.sort();
    rules.dedup();
    rules
}

/// INVARIANT: there is a rule wherever a walk goes on; were there none, the error still says what
/// went wrong.
fn nowhere() -> Origin {
    Origin::new("", 0, 0, "[files]")
}

/// The path of a directory's entry; `None`: it would be longer than a path can be.
pub(crate) fn join(directory: &AbsPath, name: &[u8]) -> Option<AbsPath> {
    let mut path = directory.as_bytes().to_vec();
    if path.len() > 1 {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    AbsPath::new(&path).ok()
}

/// The walk.
pub(crate) struct Walk<'a> {
    pub(crate) placement: &'a Placement<'a>,
    pub(crate) tree: &'a mut dyn Tree,
    pub(crate) bound: Bound,
    pub(crate) placed: &'a mut Placed,
    /// The directories in which no name may be made or removed without the supervisor.
    pub(crate) held: &'a BTreeSet<AbsPath>,
    /// How many files may still be looked at.
    pub(crate) left: usize,
}

/// What a directory's children are still to be given.
#[derive(Clone, Copy)]
struct Wanted {
    /// What may still be granted.
    access: AccessSet,
    /// What has been granted above.
    granted: AccessSet,
}

impl Walk<'_> {
    /// Walks the whole tree.
    pub(crate) fn run(&mut self) -> Result<(), PlaceError> {
        let at = self.placement.at_root();
        let bounds = self.bounds(&AbsPath::root(), &at);
        self.placed.restricted = AccessSet::ALL.difference(bounds.always);
        if self.placed.restricted.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { access: AccessSet::ALL, granted: AccessSet::EMPTY };
        self.visit(&AbsPath::root(), Kind::Directory, &at, wanted)
    }

    /// What is known about a directory and what is beneath it, for the kernel to be told.
    fn bounds(&self, path: &AbsPath, at: &At) -> Bounds {
        let mut bounds = self.placement.bounds(at);
        if self.held.contains(path) {
            bounds.always = bounds.always.difference(NAMES);
        }
        bounds
    }

    fn visit(
        &mut self,
        path: &AbsPath,
        kind: Kind,
        at: &At,
        wanted: Wanted,
    ) -> Result<(), PlaceError> {
        let Wanted { access, granted } = wanted;
        match kind {
            Kind::Link => Ok(()),
            Kind::File => {
                let allowed = self.placement.allowed(at).intersection(access);
                self.grant(path, kind, at, allowed.difference(granted))
            }
            Kind::Directory => {
                let mut bounds = self.bounds(path, at);
                if bounds.mixed().contains(Access::List) && self.lists_all(path, at)? {
                    bounds.always = bounds.always.union(AccessSet::of(&[Access::List]));
                }
                let always = bounds.always.intersection(access).union(granted);
                self.grant(path, kind, at, always.difference(granted))?;
                let mixed = bounds.mixed().intersection(access).difference(granted);
                if mixed.is_empty() {
                    return Ok(());
                }
                self.beneath(path, at, Wanted { access: mixed, granted: always })
            }
        }
    }

    /// Whether every directory at and beneath this one may be listed: then what the rules tell apart
    /// there are files, to which the right to list means nothing.
    fn lists_all(&mut self, path: &AbsPath, at: &At) -> Result<bool, PlaceError> {
        if self.placement.in_region(at) || !self.placement.allowed(at).contains(Access::List) {
            return Ok(false);
        }
        for name in self.placement.named_children(at) {
            let Some(child) = join(path, &name) else { continue };
            let below = self.placement.child_of(at, &name);
            let kind =
                self.tree.kind(&child).map_err(|error| self.placement.tree_error(at, error))?;
            let lists = match kind {
                Some(Kind::File | Kind::Link) => true,
                Some(Kind::Directory) => self.lists_all(&child, &below)?,
                // whatever it will be
                None => self.placement.bounds(&below).always.contains(Access::List),
            };
            if !lists {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A directory beneath which some of the wanted accesses are allowed to some.
    fn beneath(&mut self, path: &AbsPath, at: &At, wanted: Wanted) -> Result<(), PlaceError> {
        let mut access = wanted.access;
        let region = self.placement.in_region(at);
        if region {
            let runs = AccessSet::of(&[Access::Execute]);
            let rest = access.difference(runs);
            if !rest.is_empty() {
                let rules = self.placement.live_rules(at);
                self.placed.regions.push(Region { path: path.clone(), access: rest, rules });
            }
            if access.contains(Access::Read) {
                self.note_carved(path, at, runs);
                return self.programs(path, at, access);
            }
            access = access.intersection(runs);
            if access.is_empty() {
                return Ok(());
            }
        }
        let wanted = Wanted { access, granted: wanted.granted };
        let named = self.placement.named_children(at);
        for name in &named {
            let Some(child) = join(path, name) else { continue };
            let kind =
                self.tree.kind(&child).map_err(|error| self.placement.tree_error(at, error))?;
            if let Some(kind) = kind {
                let at = self.placement.child_of(at, name);
                self.visit(&child, kind, &at, wanted)?;
            }
        }
        let others = self.placement.other_child_of(at);
        let carves = !self.placement.allowed(&others).intersection(access).is_empty();
        if !region && !carves {
            return Ok(());
        }
        self.others(path, at, wanted, &named)
    }

    /// The entries of a directory that no rule names.
    fn others(
        &mut self,
        path: &AbsPath,
        at: &At,
        wanted: Wanted,
        named: &BTreeSet<Vec<u8>>,
    ) -> Result<(), PlaceError> {
        self.note_carved(path, at, wanted.access.intersection(self.placed.restricted));
        let found = match self.placement.in_region(at) {
            // only to execute is expanded there
            true => self.tree.programs(path, self.left),
            false => self.tree.list(path, self.left).map(Programs::of),
        };
        let found = found.map_err(|error| self.placement.tree_error(at, error))?;
        self.left = self.left.saturating_sub(found.looked_at);
        for (name, kind) in found.entries {
            if named.contains(&name) {
                continue;
            }
            let Some(child) = join(path, &name) else { continue };
            let at = self.placement.child_of(at, &name);
            self.visit(&child, kind, &at, wanted)?;
        }
        Ok(())
    }

    fn note_carved(&mut self, path: &AbsPath, at: &At, access: AccessSet) {
        if let Some(origin) = self.placement.live_rules(at).into_iter().next() {
            self.placed.notes.push(Note::Carved { origin, path: path.clone(), access });
        }
    }

    fn grant(
        &mut self,
        path: &AbsPath,
        kind: Kind,
        at: &At,
        access: AccessSet,
    ) -> Result<(), PlaceError> {
        if access.is_empty() {
            return Ok(());
        }
        self.check_bound(path, at)?;
        let directory = kind == Kind::Directory;
        self.placed.grants.push(Grant { path: path.clone(), access, directory });
        Ok(())
    }

    /// That there may be one rule more.
    pub(crate) fn check_bound(&self, path: &AbsPath, at: &At) -> Result<(), PlaceError> {
        match self.placed.grants.len() + self.placed.programs.len() < self.bound.rules {
            true => Ok(()),
            false => Err(self.too_many(path, at)),
        }
    }

    /// The rule because of which single files are granted here: one that makes a difference beside
    /// them.
    fn too_many(&self, path: &AbsPath, at: &At) -> PlaceError {
        let mut above = self.placement.at_root();
        let mut rules = self.placement.live_rules(at);
        let mut directory = AbsPath::root();
        for name in path.components() {
            let live = self.placement.live_rules(&above);
            if live.is_empty() {
                break;
            }
            rules = live;
            above = self.placement.child_of(&above, name);
            if let Some(next) = join(&directory, name)
                && next != *path
            {
                directory = next;
            }
        }
        let origin = rules.into_iter().next().unwrap_or_else(nowhere);
        PlaceError::TooMany { origin, path: directory, most: self.bound.rules }
    }
}
