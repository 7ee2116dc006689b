// SPDX-License-Identifier: Apache-2.0
//! Consoles: the engine's console socket, or one of brig's own for a foreground run.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::sys;

/// Connects to an engine's console socket, however long its path is.
///
/// # Errors
///
/// Nobody listens there.
pub fn connect_socket(path: &Path) -> anyhow::Result<OwnedFd> {
    sys::socket::connect_stream(path)
        .with_context(|| format!("--console-socket: connect to {}", path.display()))
}

/// The two ends of a console socket within brig.
///
/// # Errors
///
/// The kernel's.
pub fn own_socket() -> io::Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs.into()))
}

/// Receives the terminal's master end.
///
/// # Errors
///
/// The container ended before it sent one.
pub fn receive_master(socket: BorrowedFd<'_>) -> anyhow::Result<OwnedFd> {
    let mut buffer = [0; 256];
    let (_, mut fds) = sys::socket::receive(socket, &mut buffer).context("receive the terminal")?;
    match fds.pop() {
        Some(master) => Ok(master),
        None => bail!("the container sent no terminal"),
    }
}

/// The caller's terminal in raw mode; what it was before is restored at the end of its life.
#[derive(Debug)]
pub struct RawTerminal {
    saved: Termios,
}

impl RawTerminal {
    /// Sets standard input to raw mode, where it is a terminal.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn enter() -> io::Result<Option<Self>> {
        let stdin = rustix::stdio::stdin();
        if !rustix::termios::isatty(stdin) {
            return Ok(None);
        }
        let saved = tcgetattr(stdin)?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(stdin, OptionalActions::Now, &raw)?;
        Ok(Some(RawTerminal { saved }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.saved) {
            tracing::warn!("restore the terminal: {error}");
        }
    }
}

/// The size of the caller's terminal, if it has one.
#[must_use]
pub fn own_size() -> Option<libcontainer::oci_spec::runtime::Box> {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok()?;
    let builder = libcontainer::oci_spec::runtime::BoxBuilder::default();
    builder.height(u64::from(size.ws_row)).width(u64::from(size.ws_col)).build().ok()
}

/// Gives the container's terminal the size of the caller's.
pub fn copy_size(master: impl AsFd) {
    // a caller without a terminal has no size to give
    if let Ok(size) = tcgetwinsize(rustix::stdio::stdin())
        && let Err(error) = tcsetwinsize(master, size)
    {
        tracing::warn!("set the terminal's size: {error}");
    }
}

/// Sets a terminal's size where the specification gives one.
///
/// # Errors
///
/// The kernel's.
pub fn set_size(terminal: impl AsFd, height: u16, width: u16) -> io::Result<()> {
    if height == 0 || width == 0 {
        return Ok(());
    }
    let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}
