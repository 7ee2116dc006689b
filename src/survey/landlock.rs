// SPDX-License-Identifier: Apache-2.0
//! landlock(7): its ABI and its errata.

use brig_policy::survey::Attempt;
use brig_policy::target::Landlock;

use super::child::refusal;
use crate::sys::landlock::{abi, errata};

/// Landlock.
pub fn landlock() -> Attempt<Landlock> {
    match abi() {
        // KERNEL(6.15): one that does not tell has to be taken for one that has fixed none
        Ok(abi) => Attempt::Works(Landlock { abi, errata: errata().unwrap_or_default() }),
        Err(error) => Attempt::Refused(refusal("landlock_create_ruleset", &error)),
    }
}
