// SPDX-License-Identifier: Apache-2.0
//! What can go wrong where rules meet files, and what is worth telling.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tree::TreeError;
use crate::path::{AbsPath, PathError};
use crate::policy::{Access, AccessSet, Origin};

/// Why a policy cannot be placed in a tree. Each names the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A path leads nowhere, or cannot be looked at.
    #[error("{origin}: {}: {error}", origin.text)]
    Tree {
        /// The rule.
        origin: Origin,
        /// What the tree says.
        error: TreeError,
    },
    /// A path that cannot be one.
    #[error("{origin}: {error}: {}", cut(&origin.text))]
    Path {
        /// The rule.
        origin: Origin,
        /// What is wrong with it.
        error: PathError,
    },
    /// `required = true`, and the path does not exist.
    #[error("{origin}: {}: {path} does not exist, and the rule says required = true", origin.text)]
    Missing {
        /// The rule.
        origin: Origin,
        /// The path as it is written.
        path: AbsPath,
    },
    /// The policy needs more Landlock rules than it may.
    #[error(
        "{origin}: {}: takes more than {most} Landlock rules: what lies beside it beneath {path} \
         has to be granted one by one (max_rules in config.toml sets the limit; mask takes none)",
        origin.text
    )]
    TooMany {
        /// The rule.
        origin: Origin,
        /// The directory that was being gone through.
        path: AbsPath,
        /// The limit.
        most: usize,
    },
}

impl PlaceError {
    /// The rule.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Tree { origin, .. }
            | Self::Path { origin, .. }
            | Self::Missing { origin, .. }
            | Self::TooMany { origin, .. } => origin,
        }
    }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    const LONG: usize = 64;
    let short: String = text.chars().take(LONG).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

/// Something that holds and that the policy's author may not expect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// A granted path does not exist: nothing is granted.
    Missing {
        /// The rule.
        origin: Origin,
        /// The path as it is written.
        path: AbsPath,
    },
    /// What lies in a directory was granted one by one: what appears there later is not.
    Carved {
        /// A rule because of which that is so.
        origin: Origin,
        /// The directory.
        path: AbsPath,
        /// What was granted so.
        access: AccessSet,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { origin, path } => {
                write!(out, "{origin}: {path} does not exist: nothing is granted")
            }
            Self::Carved { origin, path, access } => {
                let names: Vec<&str> = access.iter().map(Access::name).collect();
                write!(
                    out,
                    "{origin}: what lies in {path} is granted one by one ({}): what appears there \
                     later is not granted",
                    names.join(", ")
                )?;
                if access.contains(Access::Create) || access.contains(Access::Delete) {
                    out.write_str(", and the kernel lets no name be made or removed there")?;
                }
                Ok(())
            }
        }
    }
}
