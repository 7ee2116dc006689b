// SPDX-License-Identifier: Apache-2.0
//! What can be wrong with a specification, and what is merely worth knowing.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why there is no program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An entry of the specification is wrong.
    #[error("{place}: {problem}")]
    Spec {
        /// The entry, e.g. `linux.seccomp.syscalls[12].args[0].index`.
        place: String,
        /// What is wrong with it and, where there is one, a suggestion.
        problem: String,
    },
    /// The specification has an agent of its own and the policy needs the listener; the kernel
    /// has one listener for a tree of filters.
    #[error(
        "{} asks for a seccomp agent (SCMP_ACT_NOTIFY), but these rules of the policy need the \
         one listener that the kernel allows: {}",
        .entries.join(", "), .rules.join(", ")
    )]
    TwoListeners {
        /// Entries of the specification that notify.
        entries: Vec<String>,
        /// Labels of the rules that mediate.
        rules: Vec<String>,
    },
    /// The rules need a longer program than the kernel takes.
    #[error(
        "the seccomp rules need {needed} instructions or more; the kernel takes {}",
        super::program::MAX_INSTRUCTIONS
    )]
    TooLong {
        /// A lower bound of the instructions.
        needed: usize,
    },
    /// The finished program disagrees with the meaning of the rules: a bug of brig's, and the
    /// reason why nothing is returned.
    #[error("the compiled seccomp program is wrong ({0}); please report this")]
    Unverified(String),
    /// A program from elsewhere is not one that the kernel would load.
    #[error("not a seccomp program: {0}")]
    Program(String),
}

impl Error {
    pub(super) fn spec(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Spec { place: place.to_string(), problem: problem.to_string() }
    }
}

/// Something that a specification says and that does not mean what it seems to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The entry, as in [`Error::Spec`].
    pub place: String,
    /// What to know about it.
    pub message: String,
}

impl Warning {
    pub(super) fn new(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { place: place.to_string(), message: message.to_string() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}
