// SPDX-License-Identifier: Apache-2.0
//! How a call ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_policy::policy::Errno;

use super::slot::Signal;
use crate::sys::notify::{self, Answer, OnExec};

/// Why the kernel may go on with a call, reading the caller's memory again.
///
/// INVARIANT: who makes one has made sure of what it says, for every call that the caller could
/// swap in by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The kernel itself denies everything that the policy denies and that this call can do: what
    /// it needs is handled by the workload's Landlock domain.
    Landlock,
    /// Whatever the arguments are, the kernel decides as if nobody had looked: brig only takes note
    /// that the call is made.
    Noted,
    /// The call is only mediated to test the supervisor's seat.
    Seat,
}

/// What a call gets where it does not fail.
#[derive(Debug)]
pub enum Reply {
    /// The kernel goes on with it.
    Continue(Witness),
    /// It returns this.
    Value(i64),
    /// It returns a new descriptor of the caller's.
    Descriptor(OwnedFd, OnExec, LetGo),
    /// Its caller has a signal to handle.
    Interrupted(Signal),
}

/// When the supervisor lets go of what it hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetGo {
    /// Before the caller goes on: what the caller closes then is closed.
    Before,
    /// While the caller goes on, which takes half as many turns.
    Meanwhile,
}

/// What a call gets.
pub type Outcome = Result<Reply, Errno>;

/// The kernel's own number for an interrupted call that is begun again or ends with EINTR, as the
/// caller's signal handlers say (`ERESTARTSYS` of linux/errno.h).
const ERESTARTSYS: i32 = 512;

/// Gives a call its outcome. Whoever is gone by now needs none.
pub fn give(listener: BorrowedFd<'_>, id: u64, outcome: Outcome) {
    let answer = match outcome {
        // the only place where the kernel is let go on
        Ok(Reply::Continue(Witness::Landlock | Witness::Noted | Witness::Seat)) => Answer::Continue,
        Ok(Reply::Value(value)) => Answer::Value(value),
        Ok(Reply::Interrupted(Signal::Own)) => Answer::Errno(ERESTARTSYS),
        // another thread may take it: who has none to handle would see the kernel's own number
        Ok(Reply::Interrupted(Signal::Shared)) => Answer::Errno(libc::EINTR),
        Ok(Reply::Descriptor(fd, on_exec, LetGo::Meanwhile)) => {
            match notify::answer_with_descriptor(listener, id, fd.as_fd(), on_exec) {
                Ok(()) => return,
                // its table is full, say: never the kernel's turn then
                Err(error) => Answer::Errno(number(&error)),
            }
        }
        Ok(Reply::Descriptor(fd, on_exec, LetGo::Before)) => {
            // nothing but its end keeps the caller from waiting for the second step: the flag
            // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is set wherever brig answers
            let added = notify::add_descriptor(listener, id, fd.as_fd(), on_exec);
            drop(fd);
            added.map_or_else(|error| Answer::Errno(number(&error)), Answer::Value)
        }
        Err(errno) => Answer::Errno(errno.0),
    };
    // the notification may be gone: then there is nothing left to answer
    notify::answer(listener, id, answer).unwrap_or_default();
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// An error of the kernel's as what the caller gets. It is not the caller that has too many files
/// open where the supervisor has.
pub fn errno(error: impl Into<io::Error>) -> Errno {
    match number(&error.into()) {
        libc::EMFILE => NO_DESCRIPTORS,
        number => Errno(number),
    }
}

/// What a caller gets where the supervisor has no descriptor for its call.
pub const NO_DESCRIPTORS: Errno = Errno(libc::ENFILE);
