// SPDX-License-Identifier: Apache-2.0
//! `brig policy plan --seccomp FILE`: the seccomp program that a profile means.

use std::io::{self, Write};
use std::process::ExitCode;

use brig_policy::seccomp::{self, Input};

use super::{Profile, resolved, seccomp::machine};
use crate::profiles::Overrides;

/// The profile, or what is made from it, is wrong.
const WRONG: u8 = 2;

/// Print what enforces a profile; today: its seccomp program.
#[derive(Debug, clap::Args)]
pub struct Plan {
    #[command(flatten)]
    profile: Profile,
    /// List the seccomp program: architecture, call, conditions, action
    #[arg(long, required = true)]
    seccomp: bool,
    /// Print its instructions instead
    #[arg(long)]
    disassemble: bool,
    /// Capabilities of the container, for brig's default profile beneath it ("none": none)
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    capability: Vec<String>,
}

pub fn run(command: &Plan, overrides: &Overrides) -> anyhow::Result<ExitCode> {
    let Some(resolved) = resolved(&command.profile.file, overrides)? else {
        return Ok(ExitCode::from(WRONG));
    };
    let host = machine(None, &command.capability)?;
    let restrictions = seccomp::restrictions(&resolved.policy);
    let listed = seccomp::default_profile(&host).and_then(|spec| {
        let input = Input {
            spec: Some(&spec),
            restrictions: &restrictions,
            mediated: &[],
            native: host.native,
        };
        if command.disassemble {
            let compiled = seccomp::compile(&input)?;
            return Ok(seccomp::disassemble(&compiled.program, host.native));
        }
        seccomp::report(&input)
    });
    match listed {
        Ok(text) => {
            write!(io::stdout(), "{text}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(errors) => {
            for error in errors {
                writeln!(io::stderr(), "{}: {error}", command.profile.file.display())?;
            }
            Ok(ExitCode::from(WRONG))
        }
    }
}
