// SPDX-License-Identifier: Apache-2.0
//! Signal dispositions, the signal mask and signalfd(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Resets every signal's disposition to the default and unblocks all: what a program expects to
/// find after execve(2), which resets handlers but keeps what is ignored and what is blocked.
pub fn reset() -> io::Result<()> {
    for number in 1..=libc::SIGRTMAX() {
        // SIGKILL and SIGSTOP cannot be changed; glibc keeps 32 and 33 for itself and refuses them
        if matches!(number, libc::SIGKILL | libc::SIGSTOP | 32 | 33) {
            continue;
        }
        // SAFETY: SIG_DFL installs no code of ours.
        if unsafe { libc::signal(number, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    set_mask(Mask::None)
}

/// Which signals are blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// None.
    None,
    /// All that can be.
    All,
}

/// `sigprocmask(SIG_SETMASK, …)` of the calling thread.
pub fn set_mask(mask: Mask) -> io::Result<()> {
    let set = match mask {
        Mask::None => empty(),
        Mask::All => full(),
    };
    // SAFETY: the set is initialised and borrowed for the call; the old mask is not asked for.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// `signalfd(-1, all signals, SFD_CLOEXEC | SFD_NONBLOCK)`.
pub fn descriptor() -> io::Result<OwnedFd> {
    let set = full();
    // SAFETY: the set is initialised and borrowed for the call.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    super::check(fd.into())?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads one pending signal's number from a signalfd; `None` where none is pending.
pub fn next(fd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    // SAFETY: all-zero is a valid value of this struct of integers.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer is `size` bytes long and exclusively ours; any bytes are a valid value.
    let read = unsafe { libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size) };
    match super::check(read as libc::c_long) {
        Ok(_) => Ok(i32::try_from(info.ssi_signo).ok()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// `pidfd_send_signal(pidfd, signal)`, for any number that the kernel takes, real-time ones included.
pub fn send(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: integers and a null siginfo pointer, which the call allows.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    super::check(result).map(drop)
}

fn full() -> libc::sigset_t {
    // SAFETY: sigfillset initialises the set that it is given.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        set
    }
}

fn empty() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        set
    }
}
