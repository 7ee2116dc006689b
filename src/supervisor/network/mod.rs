// SPDX-License-Identifier: Apache-2.0
//! Calls with socket addresses: connect(2), bind(2), listen(2), sendto(2), sendmsg(2), sendmmsg(2).
//!
//! None of them is ever left to the kernel: a descriptor's number can become another socket, and an
//! address in memory another address, between a decision and what it was about. So the socket is
//! duplicated, the address copied, and what was decided about is done with these, as the caller.
//!
//! Guarantees: what is connected, bound and sent to is what was decided about, whatever the caller
//! does meanwhile; what waits for a peer delays no other call, and ends with its caller.
//!
//! What it does not: a peer that asks for its partner's process (`SO_PEERCRED`, `SCM_CREDENTIALS`)
//! is told the caller's user and group, but 0 for the process, since it was brig that called.

mod address;
mod bind;
mod connect;
mod control;
mod listen;
mod send;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_policy::call::address::Socket;
use brig_policy::call::sockets::{Request, decode};
use brig_policy::policy::Errno;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::sockopt;

use super::answer::{Outcome, Reply, errno};
use super::caller::Call;
use super::slot::{Signal, Wait};

/// Answers; `None`: it is no call with an address.
pub fn answer(call: &Call<'_>) -> Option<Outcome> {
    let request = decode(call.syscall, &call.notification.args, call.layout)?;
    Some(match request {
        Request::Connect { socket, address } => connect::connect(call, socket, address),
        Request::Bind { socket, address } => bind::bind(call, socket, address),
        Request::Listen { socket, backlog } => listen::listen(call, socket, backlog),
        Request::SendTo { .. } => send::to(call, &request),
        Request::SendMessage { socket, message, flags } => {
            send::message(call, socket, message, flags)
        }
        Request::SendMessages { socket, messages, count, flags } => {
            send::messages(call, socket, (messages, count), flags)
        }
    })
}

/// A socket of the caller's, duplicated.
#[derive(Debug)]
struct Held {
    fd: OwnedFd,
    /// What the kernel says of it.
    kind: Socket,
}

/// Whether waiting is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Until a peer answers.
    Waits,
    /// `O_NONBLOCK`, `MSG_DONTWAIT`.
    None,
}

impl Held {
    /// The socket of this number.
    ///
    /// # Errors
    /// EBADF, ENOTSOCK.
    fn of(call: &Call<'_>, number: i32) -> Result<Self, Errno> {
        Self::new(call.descriptor(number)?)
    }

    /// # Errors
    /// ENOTSOCK; EBADF of what was opened with `O_PATH`.
    fn new(fd: OwnedFd) -> Result<Self, Errno> {
        let protocol = sockopt::socket_protocol(&fd).map_err(errno)?;
        let kind = Socket {
            domain: sockopt::socket_domain(&fd).map_err(errno)?.as_raw().into(),
            kind: sockopt::socket_type(&fd).map_err(errno)?.as_raw().cast_signed(),
            protocol: protocol.map_or(0, |one| one.as_raw().get().cast_signed()),
        };
        Ok(Self { fd, kind })
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What its description says, which others may change at any time.
    fn patience(&self) -> Result<Patience, Errno> {
        let nonblocking = fcntl_getfl(&self.fd).map_err(errno)?.contains(OFlags::NONBLOCK);
        Ok(if nonblocking { Patience::None } else { Patience::Waits })
    }
}

/// Everything is known and decided: the next step does something, as the caller.
fn begin(call: &Call<'_>) -> Result<(), Errno> {
    call.assume()?;
    call.still_waits()
}

/// Why a call comes to nothing.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Failed(Errno),
    /// The caller has a signal to handle.
    Interrupted(Signal),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

impl Stop {
    /// What the caller gets. What has a time limit is never begun again by the kernel (signal(7)):
    /// it would wait for the whole of it once more.
    fn outcome(self, socket: &Held) -> Outcome {
        match self {
            Self::Failed(errno) => Err(errno),
            Self::Interrupted(signal) => {
                match sockopt::socket_timeout(&socket.fd, sockopt::Timeout::Send) {
                    Ok(None) => Ok(Reply::Interrupted(signal)),
                    _ => Err(Errno::EINTR),
                }
            }
        }
    }
}

/// Does what may wait for a peer.
fn wait<T>(call: &Call<'_>, mut act: impl FnMut() -> io::Result<T>) -> Result<T, Stop> {
    let number = |error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
    match call.slot.wait(|| act().map_err(number)) {
        Wait::Done(done) => done.map_err(|error| Stop::Failed(errno(error))),
        Wait::Interrupted(signal) => Err(Stop::Interrupted(signal)),
        // nobody sees it
        Wait::Gone => Err(Stop::Failed(Errno::EINTR)),
    }
}
