// SPDX-License-Identifier: Apache-2.0
//! `brig policy`: what a profile means, without a container.

mod check;
mod diff;
mod explain;
mod plan;
mod seccomp;
mod show;
mod test;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use brig_policy::diagnostics::{Paint, Report, Sources, human};
use brig_policy::profile::{Reading, Resolved};

use crate::profiles::{self, Overrides};

/// Check, show, explain, test and compare profiles.
#[derive(Debug, clap::Args)]
pub struct Policy {
    /// Give a variable of the profile a value
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = profiles::assignment)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Report every mistake and oddity of profiles; exit 1 if there are errors
    Check(check::Check),
    /// Print the resolved policy, as a profile without `extends`
    Show(show::Show),
    /// Say whether an operation is allowed, and which rule decides; exit 1 if it is not
    Explain(explain::Explain),
    /// Evaluate the tests of profiles; exit 1 if one fails
    Test(test::Test),
    /// Say what B allows that A does not, and the reverse; exit 1 if they differ
    Diff(diff::Diff),
    Seccomp(seccomp::Seccomp),
    /// Print what enforces a profile; today: its seccomp program
    Plan(plan::Plan),
}

/// A profile: a file, or the name of a built-in one.
#[derive(Debug, Clone, clap::Args)]
struct Profile {
    /// A profile's file, or the name of a built-in profile
    file: PathBuf,
}

/// Does what the command line says. `set` gives variables of profiles their values;
/// what stands behind `policy` itself wins.
///
/// # Errors
/// What went wrong besides the profiles, such as writing the output.
pub fn run(policy: Policy, set: Vec<(String, String)>) -> anyhow::Result<ExitCode> {
    let overrides = &set.into_iter().chain(policy.set).collect();
    let done = match policy.command {
        Command::Check(command) => check::run(&command, overrides),
        Command::Show(command) => show::run(&command, overrides),
        Command::Explain(command) => explain::run(&command, overrides),
        Command::Test(command) => test::run(&command, overrides),
        Command::Diff(command) => diff::run(&command, overrides),
        Command::Seccomp(command) => return seccomp::run(&command),
        Command::Plan(command) => return plan::run(&command, overrides),
    };
    match done {
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => Ok(other?),
    }
}

/// Reads a profile. A file that cannot be read is a report like any other.
fn read(file: &Path, overrides: &Overrides) -> Reading {
    profiles::read(file, overrides).unwrap_or_else(|error| {
        let mut report = Report::new();
        report.push(error.diagnostic());
        Reading { sources: Sources::new(), report, resolved: None }
    })
}

/// Reads a profile that must be right; else says what is wrong with it.
fn resolved(file: &Path, overrides: &Overrides) -> io::Result<Option<Resolved>> {
    let reading = read(file, overrides);
    if reading.resolved.is_none() {
        complain(&reading)?;
    }
    Ok(reading.resolved)
}

/// Writes the report to the standard error.
fn complain(reading: &Reading) -> io::Result<()> {
    let text = human(&reading.report, &reading.sources, paint(&io::stderr()));
    io::stderr().write_all(text.as_bytes())
}

/// Colours are for terminals, unless <https://no-color.org> is asked for.
fn paint(stream: &impl IsTerminal) -> Paint {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !refused { Paint::Colour } else { Paint::Plain }
}
