// SPDX-License-Identifier: Apache-2.0
//! Where the paths of rules lead in a container, found once and recorded.
//!
//! Whoever decides later about real paths ([`crate::decide::Decider::placed`]) takes them from the
//! record and not from the tree, which the workload has changed since. What a rule's literal
//! beginning leads to takes its place; braces without a wildcard are separate paths; a granted path
//! that does not exist grants nothing, and a deny of one holds at its name.
//!
//! Masks are no rules here: what stands in a masked path's place may be opened.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{Note, PlaceError};
use super::tree::Tree;
use crate::decide::{Asking, List, Placed, Site};
use crate::net::{Address, UnixAddress};
use crate::path::{AbsPath, PathError, Pattern};
use crate::policy::{AddressRule, Network, Policy, Presence};

/// The most literals that a pattern with braces is taken apart into.
pub(crate) const MOST_ALTERNATIVES: usize = 64;

/// Where each path that rules are written with really is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Placements(BTreeMap<AbsPath, Place>);

/// Where a path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The path without symbolic links, also of what does not exist.
    pub path: AbsPath,
    /// Whether anything is there.
    pub existence: Existence,
}

/// Whether something was there when the container started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Existence {
    /// It was.
    Existing,
    /// It was not.
    Missing,
}

impl Placements {
    /// Where a path is, as rules are written with it; `None`: no rule is.
    #[must_use]
    pub fn get(&self, path: &AbsPath) -> Option<&Place> {
        self.0.get(path)
    }
}

/// A record as a site: what is not in it grants nothing and is denied at its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded<'a>(pub(crate) &'a Placements);

impl Site for Recorded<'_> {
    fn place<'p>(&mut self, pattern: &'p Pattern, asking: Asking<'_>) -> Vec<Placed<'p>> {
        let grant = asking.presence.is_some();
        let real = |path: &AbsPath| match self.0.get(path) {
            Some(place) if place.existence == Existence::Existing || !grant => {
                Some(place.path.clone())
            }
            None if !grant => Some(path.clone()),
            Some(_) | None => None,
        };
        place(pattern, asking, real).unwrap_or_default()
    }
}

/// A tree as a site, which records what it is asked for.
pub(crate) struct Recorder<'a> {
    pub(crate) tree: &'a mut dyn Tree,
    pub(crate) placements: &'a mut Placements,
    /// What is wrong.
    pub(crate) errors: Vec<PlaceError>,
    /// What is worth telling.
    pub(crate) notes: Vec<Note>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(tree: &'a mut dyn Tree, placements: &'a mut Placements) -> Self {
        Self { tree, placements, errors: Vec::new(), notes: Vec::new() }
    }

    /// Records what rules about UNIX sockets are about; a socket may be made later, so that it is
    /// there is asked of none.
    pub(crate) fn network(&mut self, network: &Network) {
        let lists = [
            (List::NetworkConnect, network.connect.as_deref().unwrap_or_default()),
            (List::NetworkBind, network.bind.as_deref().unwrap_or_default()),
            (List::NetworkDeny, &network.deny),
        ];
        for (list, rules) in lists {
            rules.iter().for_each(|rule| self.address(list, rule));
        }
    }

    fn address(&mut self, list: List, rule: &AddressRule) {
        for address in rule.except.iter().chain([&rule.address]) {
            if let Address::Unix(UnixAddress::Path(pattern)) = address {
                self.place(pattern, Asking { list, origin: &rule.origin, presence: None });
            }
        }
    }

    /// Where the path really is; `None`: it grants nothing.
    fn path(&mut self, path: &AbsPath, asking: Asking<'_>) -> Option<AbsPath> {
        let place = self.look(path, asking)?;
        match (place.existence, asking.presence) {
            (Existence::Existing, _) | (Existence::Missing, None) => Some(place.path),
            (Existence::Missing, Some(Presence::Required)) => {
                let (origin, path) = (asking.origin.clone(), path.clone());
                self.errors.push(PlaceError::Missing { origin, path });
                None
            }
            (Existence::Missing, Some(Presence::Optional)) => {
                let (origin, path) = (asking.origin.clone(), path.clone());
                self.notes.push(Note::Missing { origin, path });
                None
            }
        }
    }

    fn look(&mut self, path: &AbsPath, asking: Asking<'_>) -> Option<Place> {
        if let Some(place) = self.placements.get(path) {
            return Some(place.clone());
        }
        match self.tree.resolve(path) {
            Ok(found) => {
                let existence = match found.kind {
                    Some(_) => Existence::Existing,
                    None => Existence::Missing,
                };
                let place = Place { path: found.path, existence };
                self.placements.0.insert(path.clone(), place.clone());
                Some(place)
            }
            Err(error) => {
                self.errors.push(PlaceError::Tree { origin: asking.origin.clone(), error });
                None
            }
        }
    }
}

impl Site for Recorder<'_> {
    fn place<'p>(&mut self, pattern: &'p Pattern, asking: Asking<'_>) -> Vec<Placed<'p>> {
        place(pattern, asking, |path| self.path(path, asking)).unwrap_or_else(|error| {
            self.errors.push(PlaceError::Path { origin: asking.origin.clone(), error });
            Vec::new()
        })
    }
}

/// What a pattern is where its literal beginnings are what `real` says.
fn place<'p>(
    pattern: &'p Pattern,
    asking: Asking<'_>,
    real: impl FnMut(&AbsPath) -> Option<AbsPath>,
) -> Result<Vec<Placed<'p>>, PathError> {
    if asking.list == List::FilesMask {
        return Ok(Vec::new());
    }
    let prefix = AbsPath::new(pattern.literal_prefix())?;
    let (paths, tail) = match pattern.paths(MOST_ALTERNATIVES) {
        Some(paths) => (paths, &[][..]),
        None => (vec![prefix], pattern.tail()),
    };
    let placed = |path: AbsPath| Placed { prefix: Cow::Owned(path.as_bytes().to_vec()), tail };
    Ok(paths.iter().filter_map(real).map(placed).collect())
}

/// Records where the paths of layers are that deny nothing: what they would deny is logged. A path
/// that leads nowhere is no error there.
pub(crate) fn record_audited(policy: &Policy, tree: &mut dyn Tree, placements: &mut Placements) {
    let mut recorder = Recorder::new(tree, placements);
    for layer in policy.layers().filter(|layer| !layer.enforces()) {
        super::layer::Layer::new(&layer.files, &mut recorder);
        recorder.network(&layer.network);
    }
}
