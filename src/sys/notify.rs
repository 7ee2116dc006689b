// SPDX-License-Identifier: Apache-2.0
//! seccomp_unotify(2): the listener's side.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A notification: `struct seccomp_notif`.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// The cookie that the answer carries.
    pub id: u64,
    /// The thread that made the call, as the receiver's pid namespace numbers it.
    pub tid: i32,
    /// The call's number.
    pub number: i32,
    /// The audit architecture.
    pub arch: u32,
    /// The call's registers.
    pub args: [u64; 6],
}

const _: () = assert!(size_of::<libc::seccomp_notif>() == 80);
const _: () = assert!(size_of::<libc::seccomp_notif_resp>() == 24);
const _: () = assert!(size_of::<libc::seccomp_notif_addfd>() == 24);

/// `_IOWR('!', 0, struct seccomp_notif)`.
pub const RECV: u32 = 0xc050_2100;
/// `_IOWR('!', 1, struct seccomp_notif_resp)`.
pub const SEND: u32 = 0xc018_2101;
/// `_IOW('!', 2, __u64)`.
pub const ID_VALID: u32 = 0x4008_2102;
/// `_IOW('!', 3, struct seccomp_notif_addfd)`.
pub const ADDFD: u32 = 0x4018_2103;
/// `_IOW('!', 4, __u64)`.
pub const SET_FLAGS: u32 = 0x4008_2104;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`: the constant of libc has another width than the field.
const CONTINUE: u32 = 1;
/// `SECCOMP_ADDFD_FLAG_SEND`. KERNEL(5.14).
const ADDFD_SEND: u32 = 2;

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV)`: waits for the next notification.
///
/// # Errors
///
/// EINTR; ENOENT where the caller was gone before it could be received, or, KERNEL(6.11), where
/// nobody is left who could call.
pub fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: all-zero is a valid value of this struct of integers; the kernel requires zeroes.
    let mut notif: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of the kernel's size (asserted), exclusively ours.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), RECV as _, &raw mut notif) };
    super::check(result.into())?;
    let tid = i32::try_from(notif.pid).map_err(|_| io::ErrorKind::InvalidData)?;
    let libc::seccomp_data { nr, arch, args, .. } = notif.data;
    Ok(Notification { id: notif.id, tid, number: nr, arch, args })
}

/// An answer to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call fails with this errno (positive; the kernel's own numbers from 512 on ask for a
    /// restart as an interrupted call does).
    Errno(i32),
    /// The call returns this.
    Value(i64),
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
    let (val, error, flags) = match answer {
        Answer::Errno(errno) => (0, -errno, 0),
        Answer::Value(value) => (value, 0, 0),
        Answer::Continue => (0, 0, CONTINUE),
    };
    let mut response = libc::seccomp_notif_resp { id, val, error, flags };
    // SAFETY: the pointer is to a struct of the kernel's size (asserted), exclusively ours.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response) };
    super::check(result.into()).map(drop)
}

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID)`: whether the caller still waits.
#[must_use]
pub fn is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one u64, which is borrowed for the call.
    unsafe { libc::ioctl(listener.as_raw_fd(), ID_VALID as _, std::ptr::from_ref(&id)) == 0 }
}

/// Whether a descriptor survives execve(2) in the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExec {
    /// It does not (`FD_CLOEXEC`).
    Close,
    /// It does.
    Keep,
}

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, { SECCOMP_ADDFD_FLAG_SEND })`: the caller gets a
/// descriptor, and its number is what the call returns, in one step.
///
/// # Errors
///
/// The caller's limit (EMFILE), EBADF for a descriptor of `O_PATH`, ENOENT where the caller is gone.
/// Where it fails for another reason than that, the call is still to be answered.
pub fn answer_with_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    on_exec: OnExec,
) -> io::Result<()> {
    add(listener, id, fd, on_exec, ADDFD_SEND).map(drop)
}

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD)`: the caller, who still waits, gets a descriptor of
/// this number.
///
/// # Errors
///
/// The same. The call is still to be answered in any case.
pub fn add_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    on_exec: OnExec,
) -> io::Result<i64> {
    add(listener, id, fd, on_exec, 0)
}

fn add(
    listener: BorrowedFd<'_>,
    id: u64,
    fd: BorrowedFd<'_>,
    on_exec: OnExec,
    flags: u32,
) -> io::Result<i64> {
    let srcfd = u32::try_from(fd.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let newfd_flags = match on_exec {
        OnExec::Close => libc::O_CLOEXEC.cast_unsigned(),
        OnExec::Keep => 0,
    };
    let request = libc::seccomp_notif_addfd { id, flags, srcfd, newfd: 0, newfd_flags };
    // SAFETY: the kernel reads a struct of its size (asserted), which is borrowed for the call.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), ADDFD as _, std::ptr::from_ref(&request)) };
    super::check(result.into())
}

/// `ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)`: caller and
/// receiver take turns on one processor.
///
/// KERNEL(6.6).
///
/// # Errors
///
/// EINVAL where the kernel does not know it.
pub fn wake_in_turn(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes a number in the place of a pointer.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), SET_FLAGS as _, 1u64) };
    super::check(result.into()).map(drop)
}
