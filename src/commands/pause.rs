// SPDX-License-Identifier: Apache-2.0
//! `brig pause` and `brig resume`

use std::process::ExitCode;

use anyhow::bail;
use libcgroups::common::FreezerState;

use crate::runtime::state::{StateDir, Status};
use crate::runtime::{Context, cgroup};

/// Freezes a running container.
///
/// # Errors
///
/// It does not run, or has no freezer.
pub fn pause(context: &Context, args: &liboci_cli::Pause) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let _lock = directory.lock()?;
    let record = directory.load()?;
    match record.status(&directory)? {
        Status::Running | Status::Created => {
            cgroup::freeze(&record.cgroup, FreezerState::Frozen)?;
        }
        status => bail!("container {:?} cannot be paused: it is {status}", record.id),
    }
    Ok(ExitCode::SUCCESS)
}

/// Thaws a paused container.
///
/// # Errors
///
/// It is not paused.
pub fn resume(context: &Context, args: &liboci_cli::Resume) -> anyhow::Result<ExitCode> {
    let directory = StateDir::open(&context.root, &args.container_id)?;
    let _lock = directory.lock()?;
    let record = directory.load()?;
    match record.status(&directory)? {
        Status::Paused => cgroup::freeze(&record.cgroup, FreezerState::Thawed)?,
        status => bail!("container {:?} is not paused: it is {status}", record.id),
    }
    Ok(ExitCode::SUCCESS)
}
