// SPDX-License-Identifier: Apache-2.0
//! `brig run`: create, start, wait, delete.

use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{getpid, set_child_subreaper};

use super::delete;
use crate::runtime::create::{Bundle, Created, Keyring, Options, Terminal, create};
use crate::runtime::foreground::{self, Signals};
use crate::runtime::{Context, console, start};

/// Runs a container and returns its exit status.
///
/// # Errors
///
/// What could not be done; nothing is left of the container then.
pub fn run(context: &Context, args: liboci_cli::Run) -> anyhow::Result<ExitCode> {
    let bundle = Bundle::load(&args.bundle)?;
    let options = Options {
        id: args.container_id,
        pid_file: args.pid_file.map(std::path::absolute).transpose().context("--pid-file")?,
        no_pivot: args.no_pivot,
        keyring: if args.no_new_keyring { Keyring::Callers } else { Keyring::New },
        preserve_fds: args.preserve_fds,
    };
    let socket = args.console_socket.as_deref().map(console::connect_socket).transpose()?;
    if args.detach {
        let terminal = socket.map_or(Terminal::None, Terminal::Socket);
        let created = create(context, &options, bundle, terminal)?;
        start_or_delete(context, &created)?;
        return Ok(ExitCode::SUCCESS);
    }
    let signals = Signals::block()?;
    if !args.no_subreaper {
        set_child_subreaper(Some(getpid())).context("prctl(PR_SET_CHILD_SUBREAPER)")?;
    }
    let (terminal, ours) = match socket {
        Some(socket) => (Terminal::Socket(socket), None),
        None if bundle.wants_terminal() => {
            let (ours, theirs) = console::own_socket().context("socketpair")?;
            (Terminal::Socket(theirs), Some(ours))
        }
        None => (Terminal::None, None),
    };
    let created = create(context, &options, bundle, terminal)?;
    let master = ours.map(|socket| console::receive_master(socket.as_fd())).transpose();
    let waited = master.and_then(|master| {
        if let Some(master) = &master {
            console::copy_size(master);
        }
        start_or_delete(context, &created)?;
        let init = created.record.init.context("the container has no process")?;
        foreground::wait(init, &signals, master)
    });
    if !args.keep || waited.is_err() {
        delete::by_force(context, &options.id)?;
    }
    Ok(ExitCode::from(waited?))
}

/// A container whose program cannot be executed is of no use to anybody.
fn start_or_delete(context: &Context, created: &Created) -> anyhow::Result<()> {
    let started = start::start(&created.directory);
    if started.is_err() {
        delete::by_force(context, &created.record.id)?;
    }
    started.map(drop)
}
