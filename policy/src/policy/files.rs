// SPDX-License-Identifier: Apache-2.0
//! `[files]`: what may be done to which paths.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Origin;
use crate::path::Pattern;

/// The section `[files]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// `read`: opening for reading, listing. `None`: nothing is restricted.
    pub read: Option<Vec<PathGrant>>,
    /// `write`: creating, changing, renaming, deleting; implies reading.
    pub write: Option<Vec<PathGrant>>,
    /// `execute`: execve; implies reading.
    pub execute: Option<Vec<PathGrant>>,
    /// `deny`: nothing at all that `[files]` governs (EACCES).
    pub deny: Vec<PathRule>,
    /// `mask`: an empty file or directory stands in its place.
    pub mask: Vec<PathRule>,
}

impl Files {
    /// The accesses that a present list restricts.
    #[must_use]
    pub fn governed(&self) -> AccessSet {
        [
            (&self.read, AccessSet::GOVERNED_BY_READ),
            (&self.write, AccessSet::GOVERNED_BY_WRITE),
            (&self.execute, AccessSet::GOVERNED_BY_EXECUTE),
        ]
        .into_iter()
        .filter(|(list, _)| list.is_some())
        .fold(AccessSet::EMPTY, |present, (_, governed)| present.union(governed))
    }
}

/// Paths that a rule names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PathRule {
    /// What it covers.
    pub pattern: Pattern,
    /// What it nevertheless does not cover; this matters to no other rule.
    pub except: Vec<Pattern>,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// Where it is written.
    pub origin: Origin,
}

impl PathRule {
    /// A rule without exceptions and without a reason.
    #[must_use]
    pub fn new(pattern: Pattern, origin: Origin) -> Self {
        Self { pattern, except: Vec::new(), reason: None, origin }
    }
}

/// A grant of accesses to paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PathGrant {
    /// The paths.
    #[serde(flatten)]
    pub rule: PathRule,
    /// What is granted: [`AccessSet::READ`], [`AccessSet::WRITE`] or [`AccessSet::EXECUTE`] for
    /// the list that it stands in, or what its `access` says.
    pub access: AccessSet,
    /// Whether the path must exist when the container starts.
    pub presence: Presence,
}

/// Whether a granted path must exist when the container starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// If it does not, nothing is granted and the log notes it.
    #[default]
    Optional,
    /// `required = true`: if it does not, the container is not started.
    Required,
}

/// One thing that can be done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Opening a file for reading.
    Read,
    /// Reading a directory's entries.
    List,
    /// Changing content or metadata (mode, owner, times, extended attributes).
    Modify,
    /// Making a file, directory, link, socket or FIFO of this name.
    Create,
    /// Removing this name.
    Delete,
    /// ioctl on a device.
    Ioctl,
    /// Making a device node of this name.
    Device,
    /// execve.
    Execute,
}

impl Access {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::List,
        Self::Modify,
        Self::Create,
        Self::Delete,
        Self::Ioctl,
        Self::Device,
        Self::Execute,
    ];

    /// Its name, as in `access = ["read"]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Modify => "modify",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Ioctl => "ioctl",
            Self::Device => "device",
            Self::Execute => "execute",
        }
    }

    /// The access of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.name() == name)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A set of accesses.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessSet(u8);

impl AccessSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(0xff);
    /// What an entry of `files.read` grants.
    pub const READ: Self = Self::of(&[Access::Read, Access::List]);
    /// What an entry of `files.write` grants: "create, change (content and metadata), rename,
    /// delete; implies read". A device answers to ioctl as it does to writing, so that is in;
    /// making device nodes is not: it must be named (`access = ["device"]`).
    pub const WRITE: Self = Self::of(&[
        Access::Read,
        Access::List,
        Access::Modify,
        Access::Create,
        Access::Delete,
        Access::Ioctl,
    ]);
    /// What an entry of `files.execute` grants: "execve; implies read".
    pub const EXECUTE: Self = Self::of(&[Access::Read, Access::List, Access::Execute]);

    /// What `files.read` restricts when it is present.
    pub const GOVERNED_BY_READ: Self = Self::READ;
    /// What `files.write` restricts when it is present.
    pub const GOVERNED_BY_WRITE: Self =
        Self::of(&[Access::Modify, Access::Create, Access::Delete, Access::Ioctl, Access::Device]);
    /// What `files.execute` restricts when it is present.
    pub const GOVERNED_BY_EXECUTE: Self = Self::of(&[Access::Execute]);

    /// The set of these.
    #[must_use]
    pub const fn of(accesses: &[Access]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < accesses.len() {
            bits |= 1 << accesses[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Whether it has this access.
    #[must_use]
    pub const fn contains(self, access: Access) -> bool {
        self.0 & (1 << access as u8) != 0
    }

    /// Whether it has every access of the other.
    #[must_use]
    pub const fn contains_all(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one only.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Its members, in order.
    pub fn iter(self) -> impl Iterator<Item = Access> {
        Access::ALL.into_iter().filter(move |access| self.contains(*access))
    }
}

impl FromIterator<Access> for AccessSet {
    fn from_iter<I: IntoIterator<Item = Access>>(accesses: I) -> Self {
        accesses.into_iter().fold(Self::EMPTY, |set, access| set.union(Self::of(&[access])))
    }
}

impl fmt::Debug for AccessSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for AccessSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for AccessSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Access>::deserialize(deserializer)?.into_iter().collect())
    }
}
