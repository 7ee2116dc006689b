// SPDX-License-Identifier: Apache-2.0
//! seccomp_unotify(2): the listener's side.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A notification: `struct seccomp_notif`.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// The cookie that the answer carries.
    pub id: u64,
    /// The call's number.
    pub number: i32,
    /// The audit architecture.
    pub arch: u32,
}

const _: () = assert!(size_of::<libc::seccomp_notif>() == 80);
const _: () = assert!(size_of::<libc::seccomp_notif_resp>() == 24);

/// `_IOWR('!', 0, struct seccomp_notif)`.
const RECV: libc::c_ulong = 0xc050_2100;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`: the constant of libc has another width than the field.
const CONTINUE: u32 = 1;
/// `_IOWR('!', 1, struct seccomp_notif_resp)`.
const SEND: libc::c_ulong = 0xc018_2101;

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV)`: waits for the next notification.
///
/// # Errors
///
/// EINTR; ENOENT where the caller was gone before it could be received.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: all-zero is a valid value of this struct of integers; the kernel requires zeroes.
    let mut notif: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of the kernel's size (asserted), exclusively ours.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), RECV as _, &raw mut notif) };
    super::check(result.into())?;
    Ok(Notification { id: notif.id, number: notif.data.nr, arch: notif.data.arch })
}

/// An answer to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call fails with this errno (positive).
    Errno(i32),
    /// The kernel goes on with the call, reading the caller's memory again
    /// (`SECCOMP_USER_NOTIF_FLAG_CONTINUE`). Sound only where every operation that the caller
    /// could swap in is one that the kernel itself decides rightly.
    Continue,
}

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND)`.
///
/// # Errors
///
/// ENOENT where the caller is gone or was interrupted: nothing is left to be done then.
pub fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> io::Result<()> {
    let (error, flags) = match answer {
        Answer::Errno(errno) => (-errno, 0),
        Answer::Continue => (0, CONTINUE),
    };
    let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the pointer is to a struct of the kernel's size (asserted), exclusively ours.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response) };
    super::check(result.into()).map(drop)
}
