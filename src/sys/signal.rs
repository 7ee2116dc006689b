// SPDX-License-Identifier: Apache-2.0
//! Signal dispositions, the signal mask and signalfd(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The kernel's number of signals, and the size of its masks in bytes.
const SIGNALS: i32 = 64;
const MASK_SIZE: usize = 8;

/// Resets every signal's disposition to the default and unblocks all: what a program expects to
/// find after execve(2), which resets handlers but keeps what is ignored and what is blocked.
///
/// By the system calls themselves: the C library keeps 32 and 33 for itself, so that its functions
/// would leave them as the caller had them.
pub fn reset() -> io::Result<()> {
    for number in (1..=SIGNALS).filter(|one| !matches!(*one, libc::SIGKILL | libc::SIGSTOP)) {
        set_default(number)?;
    }
    unblock_all()
}

/// `rt_sigprocmask(SIG_SETMASK, {}, NULL)` of the calling thread.
pub fn unblock_all() -> io::Result<()> {
    let none = 0_u64;
    // SAFETY: `none` is a mask of the size given; the old mask is not asked for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const none,
            std::ptr::null_mut::<u64>(),
            MASK_SIZE,
        )
    };
    super::check(result).map(drop)
}

/// `rt_sigaction(number, { SIG_DFL }, NULL)`
pub fn set_default(number: i32) -> io::Result<()> {
    // SIG_DFL, no flags, no restorer, an empty mask: zero wherever the fields are
    let action = [0_u64; 4];
    // SAFETY: as large as the kernel's struct sigaction on every architecture of 64 bits; SIG_DFL
    // installs no code of ours; the old action is not asked for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            number,
            action.as_ptr(),
            std::ptr::null_mut::<u64>(),
            MASK_SIZE,
        )
    };
    super::check(result).map(drop)
}

/// `signal(number, SIG_IGN)`
pub fn ignore(number: i32) -> io::Result<()> {
    // SAFETY: installs no code; SIG_IGN is valid for every signal but SIGKILL and SIGSTOP, for which
    // the kernel refuses it.
    let before = unsafe { libc::signal(number, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `sigaction(number, { a handler that does nothing, without SA_RESTART })`: the signal ends what a
/// thread waits for, and nothing else.
pub fn interrupt_on(number: i32) -> io::Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: all-zero is a valid value of this struct: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the action is initialised; its handler does nothing, which is safe at any moment.
    let result = unsafe { libc::sigaction(number, &raw const action, std::ptr::null_mut()) };
    super::check(result.into()).map(drop)
}

/// Blocks all signals that can be in the calling thread.
pub fn block_all() -> io::Result<()> {
    let set = full();
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
