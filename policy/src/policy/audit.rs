// SPDX-License-Identifier: Apache-2.0
//! `[audit]`: what is logged, and whether anything is enforced.

use serde::{Deserialize, Serialize};

use super::Setting;

/// The section `[audit]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// `mode`; [`Mode::Enforce`] if it is not set.
    pub mode: Option<Setting<Mode>>,
    /// `log`; [`LogLevel::Denied`] if it is not set.
    pub log: Option<Setting<LogLevel>>,
}

/// What a deny does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It denies.
    #[default]
    Enforce,
    /// It is logged, and denies nothing.
    Audit,
}

/// Which decisions are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// None.
    None,
    /// Those that deny.
    #[default]
    Denied,
    /// All that anything sees.
    All,
}
