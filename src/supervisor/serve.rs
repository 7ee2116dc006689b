// SPDX-License-Identifier: Apache-2.0
//! The loop: listeners come in, notifications are answered, listeners end.
//!
//! One thread, no allocation per notification. A listener that reports the end of its last process
//! is closed; the loop ends with the last of them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context as _, anyhow};
use brig_policy::seccomp::{Arch, Syscall};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SocketFlags, accept_with, sockopt};

use super::LISTENER;
use crate::sys::notify::{self, Answer};
use crate::sys::socket;

/// The native numbers of calls.
///
/// # Errors
///
/// A name that this architecture does not have.
pub fn numbers(names: &[String]) -> anyhow::Result<Vec<i32>> {
    let native = Arch::of_build()
        .ok_or_else(|| anyhow!("no table of system calls for this architecture"))?;
    let number = |name: &String| {
        let number = Syscall::from_name(name).and_then(|call| call.number(native));
        let number = number.and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| anyhow!("{name}: this architecture has no such call"))
    };
    names.iter().map(number).collect()
}

/// What the loop holds.
struct Seat<'a> {
    /// Until the first process has handed over its listener or ended.
    control: Option<OwnedFd>,
    /// Where added processes connect.
    added: OwnedFd,
    /// Connections of added processes that have not handed over a listener yet.
    arriving: Vec<OwnedFd>,
    listeners: Vec<OwnedFd>,
    continued: &'a [i32],
    /// How the caller of create looks from here.
    operator: u32,
}

/// Serves until nothing is left to be served.
///
/// # Errors
///
/// The kernel's, other than about one single caller.
pub fn serve(control: OwnedFd, added: OwnedFd, continued: &[i32]) -> anyhow::Result<()> {
    let operator = sockopt::socket_peercred(&control).context("SO_PEERCRED")?.uid.as_raw();
    let mut seat = Seat {
        control: Some(control),
        added,
        arriving: Vec::new(),
        listeners: Vec::new(),
        continued,
        operator,
    };
    while seat.control.is_some() || !seat.listeners.is_empty() {
        seat.turn()?;
    }
    Ok(())
}

impl Seat<'_> {
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let all = self.listeners.iter().chain(&self.arriving).chain(self.control.as_ref());
        fds.extend(all.map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.push(PollFd::new(&self.added, PollFlags::IN));
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other.context("poll")?,
        };
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        let (listeners, rest) = ready.split_at(self.listeners.len());
        let (arriving, rest) = rest.split_at(self.arriving.len());
        self.answer(listeners);
        self.take_arrivals(arriving);
        let (control, added) = rest.split_at(usize::from(self.control.is_some()));
        if control.iter().any(|flags| !flags.is_empty()) {
            self.take_first();
        }
        if added.iter().any(|flags| flags.contains(PollFlags::IN)) {
            self.accept();
        }
        Ok(())
    }

    fn answer(&mut self, ready: &[PollFlags]) {
        let mut ready = ready.iter();
        let continued = self.continued;
        self.listeners.retain(|listener| {
            let flags = ready.next().copied().unwrap_or(PollFlags::empty());
            if flags.contains(PollFlags::IN) {
                answer_one(listener.as_fd(), continued);
            }
            !flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
        });
    }

    /// The first process's message, or the end of create or of that process.
    fn take_first(&mut self) {
        let Some(control) = self.control.take() else { return };
        if let Some(listener) = receive_listener(&control) {
            self.listeners.push(listener);
        }
    }

    fn take_arrivals(&mut self, ready: &[PollFlags]) {
        let mut ready = ready.iter();
        let mut found = Vec::new();
        self.arriving.retain(|connection| {
            if ready.next().is_none_or(|flags| flags.is_empty()) {
                return true;
            }
            found.extend(receive_listener(connection));
            false
        });
        self.listeners.append(&mut found);
    }

    /// Only who may create containers may add processes to one. The socket lies in a directory that
    /// the container cannot reach; this is the second lock.
    fn accept(&mut self) {
        let Ok(connection) = accept_with(&self.added, SocketFlags::CLOEXEC) else { return };
        let trusted = sockopt::socket_peercred(&connection)
            .is_ok_and(|peer| peer.uid.as_raw() == self.operator);
        if trusted && self.arriving.len() < 64 {
            self.arriving.push(connection);
        }
    }
}

fn receive_listener(socket: &OwnedFd) -> Option<OwnedFd> {
    let mut buffer = [0; 64];
    let (length, mut fds) = socket::receive(socket, &mut buffer).ok()?;
    (&buffer[..length] == LISTENER && fds.len() == 1).then(|| fds.pop()).flatten()
}

/// A caller that is gone by now needs no answer, and a notification that cannot be received is
/// none: both are the next turn's business, where the listener says so.
fn answer_one(listener: BorrowedFd<'_>, continued: &[i32]) {
    let Ok(notification) = notify::receive(listener) else { return };
    let native = Arch::of_build().map(Arch::token);
    let known = native == Some(notification.arch) && continued.contains(&notification.number);
    // INVARIANT: the calls of this table are ones that the specification allows with every
    // argument, so that nothing that the caller swaps in is denied to it anyway
    let answer = if known { Answer::Continue } else { Answer::Errno(libc::EPERM) };
    notify::answer(listener, notification.id, answer).unwrap_or_default();
}
