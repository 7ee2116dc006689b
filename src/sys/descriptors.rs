// SPDX-License-Identifier: Apache-2.0
//! Descriptors as numbers: which are inherited over execve(2), which are open.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

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
#[allow(clippy::needless_pass_by_value)] // given away for good
pub fn move_up(fd: OwnedFd, at_least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and returns a new descriptor.
    let raw = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, at_least) };
    super::check(raw.into())?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
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
