// SPDX-License-Identifier: Apache-2.0
//! Waiting for a process of a container in the foreground.
//!
//! Signals are blocked before the process exists and read from a signalfd; the process itself is
//! watched by a pidfd, which is readable whether it dies before, while or after one looks. No wake-up
//! can be lost.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use super::console::{self, RawTerminal};
use super::process::Identity;
use crate::sys::signal;

/// Signals that brig forwards: blocked, with a descriptor to read them from.
#[derive(Debug)]
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks all signals. To be called before the process is made.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn block() -> anyhow::Result<Self> {
        signal::block_all().context("block signals")?;
        Ok(Signals { descriptor: signal::descriptor().context("signalfd")? })
    }
}

/// How a process ended, as an exit status for the caller: 128 and the signal's number where one
/// killed it.
///
/// # Errors
///
/// It is not brig's child.
pub fn wait(process: Identity, signals: &Signals, master: Option<OwnedFd>) -> anyhow::Result<u8> {
    let mut relay = master.map(Relay::new).transpose()?;
    let pidfd = process.open().context("pidfd_open")?;
    while let Some(pidfd) = &pidfd {
        let ended = turn(process, pidfd.as_fd(), signals, relay.as_mut())?;
        if ended {
            break;
        }
    }
    if let Some(relay) = &mut relay {
        relay.drain();
    }
    drop(relay);
    reap(process)
}

/// Waits for one event and handles it; true when the process has ended.
fn turn(
    process: Identity,
    pidfd: BorrowedFd<'_>,
    signals: &Signals,
    mut relay: Option<&mut Relay>,
) -> anyhow::Result<bool> {
    let mut fds = vec![
        PollFd::from_borrowed_fd(pidfd, PollFlags::IN),
        PollFd::new(&signals.descriptor, PollFlags::IN),
    ];
    if let Some(relay) = &relay {
        relay.add_to(&mut fds);
    }
    match poll(&mut fds, None) {
        Err(rustix::io::Errno::INTR) => return Ok(false),
        other => other.context("poll")?,
    };
    let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
    drop(fds);
    if !ready[1].is_empty() {
        forward(process, signals, relay.as_deref())?;
    }
    if let Some(relay) = relay.as_mut() {
        relay.copy(&ready[2..])?;
    }
    Ok(!ready[0].is_empty())
}

fn forward(process: Identity, signals: &Signals, relay: Option<&Relay>) -> anyhow::Result<()> {
    while let Some(number) = signal::next(signals.descriptor.as_fd()).context("read signalfd")? {
        match number {
            libc::SIGCHLD => reap_others(process),
            libc::SIGWINCH if relay.is_some() => {
                if let Some(relay) = relay {
                    console::copy_size(&relay.master);
                }
            }
            // brig's own reading and writing of a closed pipe, and what Go runtimes send themselves
            libc::SIGPIPE | libc::SIGURG => {}
            number => {
                // a process that has just ended takes no signal: the next turn sees its end
                if let Err(error) = process.signal(number) {
                    tracing::warn!("forward signal {number}: {error}");
                }
            }
        }
    }
    Ok(())
}

/// Orphans that came to brig as the subreaper, and libcontainer's helpers.
fn reap_others(process: Identity) {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let children = std::fs::read_to_string(path).unwrap_or_default();
    for pid in children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()) {
        if pid == process.pid {
            continue;
        }
        // a child that still runs is left alone
        if let Some(pid) = Pid::from_raw(pid)
            && let Err(error) = waitpid(Some(pid), WaitOptions::NOHANG)
        {
            tracing::debug!("reap {pid:?}: {error}");
        }
    }
}

fn reap(process: Identity) -> anyhow::Result<u8> {
    let pid = Pid::from_raw(process.pid).context("pid 0")?;
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the container's process"),
            Ok(Some((_, status))) => return Ok(exit_status(status)),
            Ok(None) => {}
        }
    }
}

fn exit_status(status: WaitStatus) -> u8 {
    let number = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(number).unwrap_or(255)
}

/// Copies between the caller's standard streams and the container's terminal.
struct Relay {
    master: OwnedFd,
    stdin_open: bool,
    master_open: bool,
    /// What was typed and the terminal has not taken yet.
    pending: Vec<u8>,
    _raw: Option<RawTerminal>,
}

impl Relay {
    fn new(master: OwnedFd) -> anyhow::Result<Self> {
        console::copy_size(&master);
        let flags = fcntl_getfl(&master).context("terminal")?;
        fcntl_setfl(&master, flags | OFlags::NONBLOCK).context("terminal")?;
        let raw = RawTerminal::enter().context("set the caller's terminal to raw mode")?;
        Ok(Relay { master, stdin_open: true, master_open: true, pending: Vec::new(), _raw: raw })
    }

    fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if self.master_open {
            let writable =
                if self.pending.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(&self.master, PollFlags::IN | writable));
        }
        if self.stdin_open && self.pending.is_empty() {
            fds.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN));
        }
    }

    fn copy(&mut self, ready: &[PollFlags]) -> anyhow::Result<()> {
        let mut ready = ready.iter();
        let waits_for_input = self.stdin_open && self.pending.is_empty();
        if self.master_open
            && let Some(flags) = ready.next()
        {
            if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.master_open = self.read_master();
            }
            if flags.contains(PollFlags::OUT) {
                self.write_master();
            }
        }
        if waits_for_input && ready.next().is_some_and(|flags| !flags.is_empty()) {
            let mut buffer = [0; 4096];
            let length = io::stdin().read(&mut buffer).unwrap_or_default();
            self.stdin_open = length > 0;
            self.pending.extend_from_slice(&buffer[..length]);
            self.write_master();
        }
        Ok(())
    }

    /// False at the end: EIO says that nobody has the other side open any more.
    fn read_master(&self) -> bool {
        let mut buffer = [0; 8192];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                let mut out = io::stdout();
                out.write_all(&buffer[..length]).and_then(|()| out.flush()).is_ok()
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
            Err(_) => false,
        }
    }

    fn write_master(&mut self) {
        match rustix::io::write(&self.master, &self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.pending.clear(),
        }
    }

    /// What the container wrote before it ended.
    fn drain(&mut self) {
        while self.master_open {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            match poll(&mut fds, Some(&none)) {
                Ok(1..) => {}
                _ => return,
            }
            self.master_open = self.read_master();
        }
    }
}
