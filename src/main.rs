// SPDX-License-Identifier: Apache-2.0
//! brig: a hardened OCI container runtime.

mod commands;
mod profiles;

use std::process::ExitCode;

use clap::Parser;

/// A hardened OCI container runtime.
#[derive(Debug, Parser)]
#[command(name = "brig", version)]
struct Cli {
    /// Give a variable of the profile a value
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = profiles::assignment)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Policy(commands::policy::Policy),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Command::Policy(policy) = cli.command;
    match commands::policy::run(policy, &cli.set.into_iter().collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("brig: {error:#}");
            ExitCode::FAILURE
        }
    }
}
