// SPDX-License-Identifier: Apache-2.0
//! `brig policy diff A B`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use brig_policy::diff::{Change, Difference, diff};
use brig_policy::explain::explain_side;

use super::resolved;
use crate::profiles::Overrides;

/// One of the profiles is none, or they cannot be compared.
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
    let (Some(a), Some(b)) = (a, b) else { return Ok(ExitCode::from(WRONG)) };
    let diff = match diff(&a.policy, &b.policy) {
        Ok(diff) => diff,
        Err(error) => {
            let (a, b) = (command.a.display(), command.b.display());
            writeln!(io::stderr(), "brig: cannot compare {a} and {b}: {error}")?;
            return Ok(ExitCode::from(WRONG));
        }
    };
    if command.json {
        writeln!(io::stdout(), "{}", serde_json::to_string(&diff)?)?;
    } else {
        diff.differences.iter().try_for_each(print)?;
    }
    Ok(if diff.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `+` is what B allows besides, `-` what it denies besides, `~` any other difference.
fn print(difference: &Difference) -> io::Result<()> {
    let (sign, what) = match difference.change {
        Change::Allows => ('+', "B allows"),
        Change::Denies => ('-', "B denies"),
        Change::Answers => ('~', "B answers otherwise"),
        Change::Logs => ('~', "B logs otherwise"),
    };
    let section = serde_json::to_value(difference.section)?;
    let section = section.as_str().unwrap_or_default();
    let operations: Vec<&str> = difference.operations.iter().map(|kind| &**kind).collect();
    writeln!(
        io::stdout(),
        "{sign} [{section}] {what}: {}, for example `{}`\n    in A it {}\n    in B it {}",
        operations.join(", "),
        difference.example,
        explain_side(&difference.first),
        explain_side(&difference.second)
    )
}
