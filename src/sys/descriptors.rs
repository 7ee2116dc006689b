// SPDX-License-Identifier: Apache-2.0
//! Descriptors as numbers: which are inherited over execve(2), which are open.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `close_range(first, ~0, CLOSE_RANGE_CLOEXEC)`: nothing from `first` on survives an execve.
pub fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the call takes integers only and, with CLOSE_RANGE_CLOEXEC, closes nothing.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    super::check(result).map(drop)
}

/// `close_range(first, last, 0)`: closes descriptors that no value in this process owns.
///
/// Only for a process that has just been forked and keeps none of its parent's descriptors but
/// those outside the range; the parent's owners are never dropped in it.
pub fn close_between(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    let bound = |fd: RawFd| libc::c_uint::try_from(fd).map_err(|_| io::ErrorKind::InvalidInput);
    let (first, last) = (bound(first)?, bound(last)?);
    // SAFETY: integers only. The caller states that nobody in this process uses the range.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    super::check(result).map(drop)
}

/// `fcntl(fd, F_SETFD, 0)`: the descriptor survives execve.
pub fn keep_over_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: F_SETFD takes an integer and changes a flag of the descriptor only.
    super::check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }.into()).map(drop)
}

/// Whether `fd` is open: `fcntl(fd, F_GETFD)`.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag of the descriptor, or fails with EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Moves a descriptor to the lowest free number from `at_least` on, with close-on-exec.
pub fn move_up(fd: &OwnedFd, at_least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and returns a new descriptor.
    let raw = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at_least) };
    super::check(raw.into())?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// `dup3(fd, number, O_CLOEXEC)` for every open number from `first` on: what was open is closed, and
/// whoever still uses a number uses `fd`.
///
/// Only for a process that is about to end: what its threads hold is taken from them. Numbers are
/// given away from below, so that looking ends where many in a row are free.
pub fn cover_from(first: RawFd, fd: impl AsFd) {
    const MANY: RawFd = 1024;
    let fd = fd.as_fd().as_raw_fd();
    let (mut number, mut free) = (first, 0);
    while free < MANY {
        free = if is_open(number) { 0 } else { free + 1 };
        if free == 0 {
            // SAFETY: integers only; no number becomes free that somebody could take for his own. In
            // the worst case (EBUSY: it is being opened) it stays what it is.
            unsafe { libc::dup3(fd, number, libc::O_CLOEXEC) };
        }
        number += 1;
    }
}

/// `dup2(fd, number)`: the descriptor under a number of one's choice, surviving nothing else.
///
/// What was open under the number is closed: only for numbers that nothing in the process owns.
pub fn install(fd: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: integers only. The caller states that nobody in this process owns the number.
    let raw = unsafe { libc::dup3(fd.as_raw_fd(), number, libc::O_CLOEXEC) };
    super::check(raw.into())?;
    // SAFETY: the number is open now and the caller gives it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
