// SPDX-License-Identifier: Apache-2.0
//! `brig policy check FILE…`

use std::io::{self, Write};
use std::process::ExitCode;

use brig_policy::diagnostics::{Report, json};
use brig_policy::profile::{lint, lint_for};
use brig_policy::target::Target;

use super::{Profile, complain, read};
use crate::profiles::Overrides;
use crate::runtime::target;

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, on the standard error
    Human,
    /// One JSON object for each file, on the standard output
    Json,
}

#[derive(Debug, clap::Args)]
pub struct Check {
    /// Profiles' files, or the names of built-in profiles
    #[arg(required = true, value_name = "FILE")]
    files: Vec<std::path::PathBuf>,
    /// How to write what is found
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub fn run(check: &Check, overrides: &Overrides) -> io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    // a machine that is no target can check profiles all the same
    let host: Option<Target> = target::this_host().ok();
    for file in &check.files {
        let profile = Profile { file: file.clone() };
        let mut reading = read(&profile.file, overrides);
        lint(&mut reading);
        if let Some(host) = &host {
            lint_for(&mut reading, host);
        }
        if reading.report.errors() > 0 {
            code = ExitCode::FAILURE;
        }
        match check.format {
            Format::Human => {
                complain(&reading)?;
                writeln!(io::stdout(), "{}: {}", file.display(), summary(&reading.report))?;
            }
            Format::Json => {
                let mut value = json(&reading.report, &reading.sources);
                value["profile"] = file.display().to_string().into();
                writeln!(io::stdout(), "{value}")?;
            }
        }
    }
    Ok(code)
}

fn summary(report: &Report) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    };
    match (report.errors(), report.warnings()) {
        (0, 0) => "ok".to_owned(),
        (0, warnings) => count(warnings, "warning"),
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => {
            format!("{}, {}", count(errors, "error"), count(warnings, "warning"))
        }
    }
}
