// SPDX-License-Identifier: Apache-2.0
//! `brig policy show FILE`

use std::io::{self, Write};
use std::process::ExitCode;

use brig_policy::profile::print;

use super::{Profile, resolved};
use crate::profiles::Overrides;

#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    profile: Profile,
}

pub fn run(show: &Show, overrides: &Overrides) -> io::Result<ExitCode> {
    let Some(resolved) = resolved(&show.profile.file, overrides)? else {
        return Ok(ExitCode::FAILURE);
    };
    io::stdout().write_all(print(&resolved.policy, &resolved.tests).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
