// SPDX-License-Identifier: Apache-2.0
//! `brig create`

use std::process::ExitCode;

use anyhow::Context as _;

use crate::runtime::Context;
use crate::runtime::console;
use crate::runtime::create::{Bundle, Keyring, Options, Terminal, create};

/// Creates a container.
///
/// # Errors
///
/// What could not be done.
pub fn run(context: &Context, args: liboci_cli::Create) -> anyhow::Result<ExitCode> {
    let bundle = Bundle::load(&args.bundle)?;
    let terminal = match &args.console_socket {
        Some(path) => Terminal::Socket(console::connect_socket(path)?),
        None => Terminal::None,
    };
    let options = Options {
        id: args.container_id,
        pid_file: args.pid_file.map(std::path::absolute).transpose().context("--pid-file")?,
        no_pivot: args.no_pivot,
        keyring: if args.no_new_keyring { Keyring::Callers } else { Keyring::New },
        preserve_fds: args.preserve_fds,
    };
    create(context, &options, bundle, terminal)?;
    Ok(ExitCode::SUCCESS)
}
