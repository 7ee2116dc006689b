// SPDX-License-Identifier: Apache-2.0
//! pidfd_open(2) for a single thread, and signals to threads of one's own.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `PIDFD_THREAD` of linux/pidfd.h. KERNEL(6.9).
const PIDFD_THREAD: libc::c_int = libc::O_EXCL;

/// `pidfd_open(tid, PIDFD_THREAD)`: what is done with it is about this thread, whose descriptors may
/// be other ones than its process's.
///
/// # Errors
///
/// EINVAL where the kernel knows processes only, ESRCH.
pub fn open_thread(tid: i32) -> io::Result<OwnedFd> {
    open(tid, PIDFD_THREAD)
}

/// `pidfd_open(pid, 0)`.
///
/// # Errors
///
/// EINVAL where it is no process but a thread of one, ESRCH.
pub fn open_process(pid: i32) -> io::Result<OwnedFd> {
    open(pid, 0)
}

fn open(id: i32, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    let raw = super::check(unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) })?;
    let raw = i32::try_from(raw).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us, with close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// `_IOWR(0xff, 11, struct pidfd_info)`, with the struct as its first kernel had it.
pub const GET_INFO: u32 = 0xc040_ff0b;

/// `struct pidfd_info` of linux/pidfd.h, its first version.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Info {
    mask: u64,
    cgroupid: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ruid: u32,
    rgid: u32,
    euid: u32,
    egid: u32,
    suid: u32,
    sgid: u32,
    fsuid: u32,
    fsgid: u32,
    exit_code: i32,
}

const _: () = assert!(size_of::<Info>() == 64);

/// Whose a living task is: real, effective, saved and filesystem ids, as the caller's user namespace
/// has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user ids.
    pub uids: [u32; 4],
    /// The group ids.
    pub gids: [u32; 4],
}

/// `ioctl(pidfd, PIDFD_GET_INFO, { PIDFD_INFO_CREDS })`. KERNEL(6.13).
///
/// # Errors
///
/// ESRCH where the task is gone; ENOTTY or EINVAL where the kernel does not know the request.
pub fn credentials(pidfd: BorrowedFd<'_>) -> io::Result<Credentials> {
    const PIDFD_INFO_CREDS: u64 = 1 << 1;
    let mut info = Info { mask: PIDFD_INFO_CREDS, ..Info::default() };
    // SAFETY: the kernel reads and writes as many bytes as the request says, which is the struct's
    // size (asserted); it is exclusively ours.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    super::check(result.into())?;
    if info.mask & PIDFD_INFO_CREDS == 0 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(Credentials {
        uids: [info.ruid, info.euid, info.suid, info.fsuid],
        gids: [info.rgid, info.egid, info.sgid, info.fsgid],
    })
}

/// `kcmp(one, other, KCMP_FILES)`: whether two tasks have the same table of descriptors.
///
/// # Errors
///
/// ENOSYS where the kernel was built without it, EPERM, ESRCH.
pub fn share_descriptors(one: i32, other: i32) -> io::Result<Sharing> {
    const KCMP_FILES: libc::c_int = 2;
    // SAFETY: integers only.
    let result = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0, 0) };
    match super::check(result)? {
        0 => Ok(Sharing::Same),
        _ => Ok(Sharing::Different),
    }
}

/// Whether two tasks have the same of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// They have.
    Same,
    /// Each has its own.
    Different,
}

/// `tgkill(getpid(), tid, signal)`: to a thread of the calling process.
///
/// # Errors
///
/// ESRCH where it has ended.
pub fn signal_thread(tid: i32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: integers only; the process is one's own.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
    super::check(result).map(drop)
}
