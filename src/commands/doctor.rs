// SPDX-License-Identifier: Apache-2.0
//! `brig doctor`: what this host has, what the lack of the rest costs, and how it could be had.

use std::io::Write;
use std::process::ExitCode;

use brig_policy::survey::{self, State};

use crate::cli::Doctor;

/// Containers can be run, with something missing.
const LIMITED: u8 = 3;
/// No container can be run.
const BLOCKED: u8 = 4;

/// Surveys the host and prints what follows.
///
/// # Errors
///
/// Standard output is closed.
pub fn run(args: &Doctor) -> anyhow::Result<ExitCode> {
    let survey = crate::survey::survey();
    let version = env!("CARGO_PKG_VERSION");
    let text = if args.json {
        serde_json::to_string_pretty(&survey::json(&survey, version))? + "\n"
    } else {
        survey::text(&survey, version)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(match survey::report(&survey).worst() {
        State::Ok | State::Optional => ExitCode::SUCCESS,
        State::Limited => ExitCode::from(LIMITED),
        State::Blocking => ExitCode::from(BLOCKED),
    })
}
