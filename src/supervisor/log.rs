// SPDX-License-Identifier: Apache-2.0
//! Decisions, as lines for whoever wants to know.

use std::os::fd::OwnedFd;

use brig_policy::decide::{Decision, Operation};

use super::caller::Call;

/// Where decisions go.
#[derive(Debug)]
pub enum Target {
    /// Nowhere.
    None,
}

impl Target {
    /// What has to be kept open.
    pub fn descriptor(&self) -> Option<&OwnedFd> {
        None
    }

    /// Opens the log.
    pub fn open(&self, _: Option<&OwnedFd>) -> anyhow::Result<Log> {
        Ok(Log)
    }
}

/// A log.
#[derive(Debug)]
pub struct Log;

impl Log {
    /// Notes what is refused whatever the policy says.
    pub fn note_refused(&self, _: &Call<'_>, _: &'static str) {}

    /// Notes a decision.
    pub fn note(&self, _: &Call<'_>, _: &Operation, _: &Decision) {}
}
