// SPDX-License-Identifier: Apache-2.0
//! `brig policy test FILE…`

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use brig_policy::explain::explain;
use brig_policy::profile::{Outcome, Reading};

use super::{complain, read};
use crate::profiles::Overrides;

#[derive(Debug, clap::Args)]
pub struct Test {
    /// Profiles' files, or the names of built-in profiles
    #[arg(required = true, value_name = "FILE")]
    files: Vec<std::path::PathBuf>,
}

pub fn run(test: &Test, overrides: &Overrides) -> io::Result<ExitCode> {
    let (mut passed, mut failed) = (0, 0);
    let mut broken = 0;
    for file in &test.files {
        let reading = read(file, overrides);
        let Some(resolved) = &reading.resolved else {
            complain(&reading)?;
            broken += 1;
            continue;
        };
        for outcome in resolved.evaluate() {
            if outcome.passed() {
                passed += 1;
            } else {
                failed += 1;
                report(file, &reading, &outcome)?;
            }
        }
    }
    writeln!(io::stdout(), "{passed} passed, {failed} failed")?;
    Ok(if failed + broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(file: &Path, reading: &Reading, outcome: &Outcome) -> io::Result<()> {
    let span = outcome.test.span;
    let line = reading.sources.line(span.source, span.start);
    let name = outcome.test.name.as_deref().map_or(String::new(), |name| format!(" ({name})"));
    writeln!(
        io::stdout(),
        "{}:{line}: expected {}{name}\n  {}",
        file.display(),
        outcome.test.expect.word(),
        explain(&outcome.test.operation, &outcome.decision)
    )
}
