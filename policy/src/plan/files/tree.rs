// SPDX-License-Identifier: Apache-2.0
//! The files of a container, as far as placing rules needs them.

use crate::path::AbsPath;

/// What kind of file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else.
    File,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path without symbolic links. Of one that does not exist: that of the deepest directory
    /// that does, and behind it the rest as it was written.
    pub path: AbsPath,
    /// What is there; `None`: nothing.
    pub kind: Option<Kind>,
}

/// Why a tree does not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct TreeError {
    /// The path that was asked for.
    pub path: AbsPath,
    /// What went wrong: lower case, without a final stop.
    pub why: String,
}

/// A tree of files that does not change while it is asked.
pub trait Tree {
    /// Follows symbolic links to where a path leads, within the tree.
    ///
    /// # Errors
    /// It leads through a file, in a circle, through a magic link, or is too long.
    fn resolve(&mut self, path: &AbsPath) -> Result<Found, TreeError>;

    /// What is at a path that has no symbolic link in it; `None`: nothing.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn kind(&mut self, path: &AbsPath) -> Result<Option<Kind>, TreeError>;

    /// The entries of the directory at a path that has no symbolic link in it, in ascending order,
    /// and at most `most` of them.
    ///
    /// # Errors
    /// It cannot be read, or has more entries.
    fn list(&mut self, path: &AbsPath, most: usize) -> Result<Vec<(Vec<u8>, Kind)>, TreeError>;

    /// The same without what nobody can execute and without directories beneath which there is
    /// nothing else. What cannot be told can be executed.
    ///
    /// # Errors
    /// As for [`Tree::list`].
    fn programs(&mut self, path: &AbsPath, most: usize) -> Result<Programs, TreeError> {
        self.list(path, most).map(Programs::of)
    }
}

/// What can be executed in a directory, and the directories there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// How many entries there are in all.
    pub looked_at: usize,
    /// Those that matter, in ascending order.
    pub entries: Vec<(Vec<u8>, Kind)>,
}

impl Programs {
    /// All of these entries.
    #[must_use]
    pub fn of(entries: Vec<(Vec<u8>, Kind)>) -> Self {
        Programs { looked_at: entries.len(), entries }
    }
}

/// The tree in which everything that a policy names exists, as a directory, and nothing else
/// does: for a plan without a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assumed;

impl Tree for Assumed {
    fn resolve(&mut self, path: &AbsPath) -> Result<Found, TreeError> {
        Ok(Found { path: path.clone(), kind: Some(Kind::Directory) })
    }

    fn kind(&mut self, _: &AbsPath) -> Result<Option<Kind>, TreeError> {
        Ok(Some(Kind::Directory))
    }

    fn list(&mut self, _: &AbsPath, _: usize) -> Result<Vec<(Vec<u8>, Kind)>, TreeError> {
        Ok(Vec::new())
    }
}
