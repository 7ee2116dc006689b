// SPDX-License-Identifier: Apache-2.0
//! Where a rule was written.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The place of a rule in a profile.
///
/// Origins are ordered by file, line and column, so that what is reported does not depend on the
/// order in which rules were read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The file as it was named, or the name of a built-in profile.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The rule as it was written.
    pub text: Arc<str>,
}

impl Origin {
    /// The place `file:line:column`, where `text` stands.
    #[must_use]
    pub fn new(file: &str, line: u32, column: u32, text: &str) -> Self {
        Self { file: file.into(), line, column, text: text.into() }
    }
}

/// `file:line`, as decisions name it.
impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}

/// A scalar that a profile sets, with the place that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it is set.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value and its place.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }
}
