// SPDX-License-Identifier: Apache-2.0
//! Handing the listener over while the filter is already in force.
//!
//! The thread that loads the program is under it from that moment on: a policy may deny or notify
//! sendmsg(2), close(2), write(2), everything. So another thread of the same process, started
//! before and without the filter, sends the listener to its receiver. The filtered thread makes no
//! system call while it waits: it spins on an atomic. execve(2) ends the helper.
//!
//! The same helper reports an execve that failed and ends the process, since the filtered thread
//! may be able to do neither.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::sys::{fork, sched, seccomp, socket};

/// Where a listener goes, and the message that goes with it.
#[derive(Debug)]
pub struct Receiver {
    /// A connected socket.
    pub socket: OwnedFd,
    /// The message's text.
    pub message: Vec<u8>,
}

/// Where the executor tells how it went; closed by a successful execve.
#[derive(Debug)]
pub struct Report {
    socket: OwnedFd,
}

impl Report {
    /// Reports over a connected socket of a kind that keeps messages apart.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Report { socket }
    }

    /// Everything is prepared; what follows is the filter and execve.
    ///
    /// # Errors
    ///
    /// Whoever asked is gone.
    pub fn ready(&self) -> io::Result<()> {
        socket::send(self.socket.as_fd(), b"ready", &[])
    }

    /// It failed. Nobody listening is no fault: the process ends in any case.
    pub fn failed(&self, text: &str) {
        let mut message = b"error:".to_vec();
        message.extend(text.as_bytes().iter().take(4000));
        if let Err(error) = socket::send(self.socket.as_fd(), &message, &[]) {
            tracing::error!("{text} (and nobody to tell: {error})");
        }
    }
}

/// The states of the cell that both threads look at. Other values carry a number.
const IDLE: i64 = 0;
const SENT: i64 = 1;
/// The listener's number is added to it.
const LISTENER: i64 = 1 << 32;
/// The errno is added to it.
const EXEC_FAILED: i64 = 2 << 32;

/// The filtered thread's end.
#[derive(Debug)]
pub struct Handover {
    cell: Arc<AtomicI64>,
}

impl Handover {
    /// Starts the helper. To be called before the filter is loaded, by the thread that loads it.
    ///
    /// # Errors
    ///
    /// No thread can be made.
    pub fn start(
        receiver: Option<Receiver>,
        report: Arc<Report>,
        program: String,
    ) -> io::Result<Self> {
        let cell = Arc::new(AtomicI64::new(IDLE));
        let theirs = Arc::clone(&cell);
        std::thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || help(&theirs, receiver, &report, &program))?;
        Ok(Handover { cell })
    }

    /// Gives the listener away and waits until it has arrived. Makes no system call. Where it
    /// cannot be sent, the helper ends the process: it does not return then.
    pub fn send(&self, listener: RawFd) {
        self.cell.store(LISTENER + i64::from(listener), Ordering::Release);
        // INVARIANT: only the helper changes the cell now, and only to SENT
        sched::spin_until_changed(&self.cell, LISTENER + i64::from(listener));
    }

    /// Reports that execve failed and ends the process. Makes no system call.
    pub fn fail(&self, error: &io::Error) -> ! {
        let value = EXEC_FAILED + i64::from(error.raw_os_error().unwrap_or(libc::EIO));
        self.cell.store(value, Ordering::Release);
        loop {
            sched::spin_until_changed(&self.cell, value);
        }
    }
}

fn help(cell: &AtomicI64, receiver: Option<Receiver>, report: &Report, program: &str) {
    let mut receiver = receiver;
    loop {
        let value = cell.load(Ordering::Acquire);
        if value >= EXEC_FAILED {
            let errno = i32::try_from(value - EXEC_FAILED).unwrap_or(libc::EIO);
            report.failed(&exec_error(program, &io::Error::from_raw_os_error(errno)));
            fork::exit_now(1);
        }
        if value >= LISTENER {
            let number = i32::try_from(value - LISTENER).unwrap_or(-1);
            if let Err(error) = send_listener(receiver.take(), number) {
                report.failed(&format!("hand the seccomp listener over: {error}"));
                fork::exit_now(1);
            }
            cell.store(SENT, Ordering::Release);
        }
        std::thread::yield_now();
    }
}

fn send_listener(receiver: Option<Receiver>, number: RawFd) -> io::Result<()> {
    let Some(receiver) = receiver else { return Err(io::ErrorKind::NotConnected.into()) };
    let listener = seccomp::listener(number);
    socket::send(receiver.socket.as_fd(), &receiver.message, &[listener.as_fd()])
    // the listener and the socket are closed here: the receiver alone has the listener
}

/// runc's words: engines look for them.
#[must_use]
pub fn exec_error(program: &str, error: &io::Error) -> String {
    format!("exec {program}: {}", describe(error))
}

/// An error's text without the number that Rust appends, in lower case as strerror(3) in Go has it.
#[must_use]
pub fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "no such file or directory".to_owned(),
        Some(libc::EACCES) => "permission denied".to_owned(),
        Some(libc::ENOEXEC) => "exec format error".to_owned(),
        Some(libc::EISDIR) => "is a directory".to_owned(),
        Some(libc::EPERM) => "operation not permitted".to_owned(),
        Some(libc::ELOOP) => "too many levels of symbolic links".to_owned(),
        Some(libc::ENOTDIR) => "not a directory".to_owned(),
        Some(libc::E2BIG) => "argument list too long".to_owned(),
        Some(libc::ETXTBSY) => "text file busy".to_owned(),
        _ => error.to_string(),
    }
}
