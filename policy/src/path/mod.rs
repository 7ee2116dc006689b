// SPDX-License-Identifier: Apache-2.0
//! Path patterns: what a path rule names.
//!
//! `DESIGN.md` section 4: "A path names the file or directory and everything beneath it. `*` and
//! `?` stay within a component, `**` crosses, `[...]`, `{a,b}`. A pattern, too, covers everything
//! beneath what it matches. Bytes, not UTF-8. `..`, `.` and `//` are errors, not normalised away."
//!
//! Guarantees: parsing is linear in the text; a [`Pattern`] is never larger than a constant times
//! its text, whatever its braces say. What it does not do: follow symbolic links, look at a file
//! system, or know what exists; it compares names that somebody else has resolved.

mod absolute;
mod bits;
mod children;
mod covering;
mod cursor;
mod dfa;
mod error;
mod explore;
mod matcher;
mod nfa;
mod parse;
mod pattern;
mod relation;
mod set;
mod slash;

pub use absolute::{AbsPath, PathError};
pub(crate) use absolute::{Printed, unprinted};
pub use covering::Covering;
pub(crate) use cursor::Cursor;
pub use error::{PatternError, PatternErrorKind};
pub use explore::TooComplex;
pub(crate) use explore::{Budget, Next, Visitor, explore, explore_beneath, explore_names};
pub use matcher::Matcher;
pub use pattern::{ByteSet, NamePattern, Pattern, Token, escape};
pub use relation::{overlap, uncovered};
pub use set::{NameSet, PatternId, PatternSet};
