// SPDX-License-Identifier: Apache-2.0
//! The policy: a profile with its `extends` resolved, typed, no strings left that mean something.
//!
//! What reads a profile makes one of these; what decides, compares and compiles takes it. The
//! types hold the rules as they were written, each with its [`Origin`]; what they mean together
//! is in [`crate::decide`]. `DESIGN.md` section 4: "a list of grants that is absent restricts
//! nothing; a list that is present allows only what it names (an empty one: nothing)": an absent
//! list is `None`, a present one `Some`.
//!
//! What this does not do: check that rules make sense together (that is for lints), or know what
//! exists on a host.

mod audit;
mod files;
mod network;
mod origin;
mod process;
mod syscalls;
mod unite;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use audit::{Audit, LogLevel, Mode};
pub use files::{Access, AccessSet, Files, PathGrant, PathRule, Presence};
pub use network::{AddressRule, Network};
pub use origin::{Origin, Setting};
pub use process::{Capability, CapabilityRule, Process};
pub use syscalls::{Comparison, Condition, Errno, SyscallRule, Syscalls};

/// What a container may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The profile's `name`.
    pub name: Option<Arc<str>>,
    /// The profile's `description`.
    pub description: Option<Arc<str>>,
    /// The section `[files]`.
    pub files: Files,
    /// The section `[network]`.
    pub network: Network,
    /// The section `[syscalls]`.
    pub syscalls: Syscalls,
    /// The section `[process]`.
    pub process: Process,
    /// The section `[audit]`.
    pub audit: Audit,
    /// A policy that must allow an operation too: the operator's `required_profile`
    /// ([`Policy::require`]). Uniting lists of grants could widen it, so it is kept apart.
    pub required: Option<Box<Policy>>,
}
