// SPDX-License-Identifier: Apache-2.0
//! `brig start`

use std::process::ExitCode;

use crate::runtime::state::StateDir;
use crate::runtime::{Context, start};

/// Starts a created container.
///
/// # Errors
///
/// The program could not be executed.
pub fn run(context: &Context, args: &liboci_cli::Start) -> anyhow::Result<ExitCode> {
    start::start(&StateDir::open(&context.root, &args.container_id)?)?;
    Ok(ExitCode::SUCCESS)
}
