// SPDX-License-Identifier: Apache-2.0
//! What masks with wildcards match when the container starts.

use super::error::PlaceError;
use super::place::join;
use super::tree::{Kind, Tree};
use crate::path::{AbsPath, Cursor, PatternSet};
use crate::policy::{PathRule, Policy};

/// Finds what the masks with wildcards of all layers match; literals are the specification's
/// `maskedPaths`. At most `most` files are looked at for each.
pub(crate) fn find(
    policy: &Policy,
    tree: &mut dyn Tree,
    most: usize,
) -> Result<Vec<(AbsPath, Kind)>, PlaceError> {
    let mut found = Vec::new();
    let layers = policy.layers().filter(|layer| layer.enforces());
    for rule in layers.flat_map(|layer| &layer.files.mask) {
        if rule.pattern.literal().is_none() {
            let mut search = Search { rule, tree: &mut *tree, left: most, found: &mut found };
            search.run()?;
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.dedup();
    Ok(found)
}

struct Search<'a> {
    rule: &'a PathRule,
    tree: &'a mut dyn Tree,
    left: usize,
    found: &'a mut Vec<(AbsPath, Kind)>,
}

impl Search<'_> {
    fn run(&mut self) -> Result<(), PlaceError> {
        let Ok(prefix) = AbsPath::new(self.rule.pattern.literal_prefix()) else { return Ok(()) };
        let there = self.tree.resolve(&prefix).map_err(|error| self.error(error))?;
        if there.kind != Some(Kind::Directory) {
            return Ok(());
        }
        let mut set = PatternSet::default();
        set.insert_at(there.path.as_bytes(), self.rule.pattern.tail());
        let except = self.except()?;
        let names = there.path.components();
        let at = names.fold(set.at_root(), |at, name| set.child_of(&at, name));
        self.directory(&set, &except, &there.path, &at)
    }

    fn except(&mut self) -> Result<PatternSet, PlaceError> {
        let mut set = PatternSet::default();
        for one in &self.rule.except {
            let Ok(prefix) = AbsPath::new(one.literal_prefix()) else { continue };
            let there = self.tree.resolve(&prefix).map_err(|error| self.error(error))?;
            set.insert_at(there.path.as_bytes(), one.tail());
        }
        Ok(set)
    }

    fn directory(
        &mut self,
        set: &PatternSet,
        except: &PatternSet,
        path: &AbsPath,
        at: &Cursor,
    ) -> Result<(), PlaceError> {
        if !at.in_region() {
            return Ok(());
        }
        let entries = self.tree.list(path, self.left).map_err(|error| self.error(error))?;
        self.left = self.left.saturating_sub(entries.len());
        for (name, kind) in entries {
            let Some(child) = join(path, &name) else { continue };
            let at = set.child_of(at, &name);
            let masked = !at.covering().is_empty() && except.covering(&child).is_empty();
            match kind {
                Kind::Link => {}
                kind if masked => self.found.push((child, kind)),
                Kind::Directory => self.directory(set, except, &child, &at)?,
                Kind::File => {}
            }
        }
        Ok(())
    }

    fn error(&self, error: super::tree::TreeError) -> PlaceError {
        PlaceError::Tree { origin: self.rule.origin.clone(), error }
    }
}
