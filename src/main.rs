// SPDX-License-Identifier: Apache-2.0
//! brig: a hardened OCI container runtime for code nobody should trust.

mod cli;
mod commands;
mod logging;
mod profiles;
mod runtime;
mod supervisor;
mod survey;
mod sys;

use std::process::ExitCode;

use clap::Parser;

/// Variables by which a caller says what is inherited. Only `--preserve-fds` decides that.
const INHERITANCE: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

fn main() -> ExitCode {
    for name in INHERITANCE {
        sys::environment::remove(name);
    }
    // what is not needed must not reach hooks either; a caller's descriptors least of all
    if let Err(error) = sys::descriptors::close_on_exec_from(3) {
        eprintln!("brig: close_range: {error}");
        return ExitCode::FAILURE;
    }
    // a caller that ignores it would have the kernel reap brig's children before brig does
    if let Err(error) = sys::signal::set_default(libc::SIGCHLD) {
        eprintln!("brig: rt_sigaction: {error}");
        return ExitCode::FAILURE;
    }
    let arguments = cli::Cli::parse();
    match commands::run(arguments) {
        Ok(code) => code,
        Err(failure) => {
            logging::fatal(&failure.error);
            ExitCode::from(failure.status)
        }
    }
}
