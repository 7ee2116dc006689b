// SPDX-License-Identifier: Apache-2.0
//! The one word about a host.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::report::{Check, State};

/// How containers can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With all that brig has.
    Full,
    /// The same, inside a container.
    Nested,
    /// With something missing, or not at all.
    Degraded,
}

impl Mode {
    /// From what was checked.
    pub(super) fn of(checks: &[Check], is_nested: bool) -> Self {
        match State::worst(checks) {
            State::Limited | State::Blocking => Mode::Degraded,
            State::Ok | State::Optional if is_nested => Mode::Nested,
            State::Ok | State::Optional => Mode::Full,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Mode::Full => "full",
            Mode::Nested => "nested",
            Mode::Degraded => "degraded",
        })
    }
}
