// SPDX-License-Identifier: Apache-2.0
//! `brig policy diff A B`

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::resolved;
use crate::profiles::Overrides;

/// One of the profiles is none.
const WRONG: u8 = 2;

#[derive(Debug, clap::Args)]
pub struct Diff {
    /// A profile's file, or the name of a built-in profile
    a: PathBuf,
    /// Another one
    b: PathBuf,
    /// Write the differences as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(command: &Diff, overrides: &Overrides) -> io::Result<ExitCode> {
    let (a, b) = (resolved(&command.a, overrides)?, resolved(&command.b, overrides)?);
    let (Some(_a), Some(_b)) = (a, b) else { return Ok(ExitCode::from(WRONG)) };
    let _ = command.json;
    Ok(ExitCode::SUCCESS)
}
