// SPDX-License-Identifier: Apache-2.0
//! Where the paths of rules are: as they are written, or where they lead in a container.
//!
//! "Rules are about real files: a rule written through a symbolic link applies to what the link
//! resolves to when the container starts" (`DESIGN.md` section 4). Before there is a container, a
//! rule is about the names that it is written with.

use std::borrow::Cow;

use crate::path::{Pattern, Token};
use crate::policy::{Origin, Presence};

use super::decision::List;

/// Whose pattern is to be placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    /// The list of the rule.
    pub(crate) list: List,
    /// The rule.
    pub(crate) origin: &'a Origin,
    /// For what a grant of `[files]` names: whether it has to exist. `None`: it holds whether or
    /// not it exists.
    pub(crate) presence: Option<Presence>,
}

/// A pattern, where it is.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'p> {
    /// The path of its literal beginning.
    pub(crate) prefix: Cow<'p, [u8]>,
    /// What follows that and a slash.
    pub(crate) tail: &'p [Token],
}

/// What knows where paths are.
pub(crate) trait Site {
    /// What a pattern is there: nothing, itself, or several.
    fn place<'p>(&mut self, pattern: &'p Pattern, asking: Asking<'_>) -> Vec<Placed<'p>>;
}

/// Every path is where its name says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsWritten;

impl Site for AsWritten {
    fn place<'p>(&mut self, pattern: &'p Pattern, _: Asking<'_>) -> Vec<Placed<'p>> {
        let prefix = Cow::Borrowed(pattern.literal_prefix());
        vec![Placed { prefix, tail: pattern.tail() }]
    }
}
