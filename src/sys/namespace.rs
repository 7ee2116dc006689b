// SPDX-License-Identifier: Apache-2.0
//! setns(2), unshare(2), ioctl_ns(2) and the identity that one has in a namespace.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `_IO(0xb7, 0x2)` of linux/nsfs.h.
const NS_GET_PARENT: libc::c_ulong = 0xb702;

/// `unshare(kind)`, `kind` being `CLONE_NEWUSER`, `CLONE_NEWNS` or `CLONE_NEWNET`: none shares
/// descriptors or memory anew, so that no Rust value changes its meaning.
pub fn unshare(kind: libc::c_int) -> io::Result<()> {
    // SAFETY: an integer only. The kernel refuses CLONE_NEWUSER in a process with several threads.
    super::check(unsafe { libc::unshare(kind) }.into()).map(drop)
}

/// `ioctl(user, NS_GET_PARENT)`: the user namespace that `user` was made in.
///
/// # Errors
///
/// EPERM where that is outside of the caller's own.
pub fn parent(user: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the request takes no argument; the descriptor is borrowed for the call.
    let raw = unsafe { libc::ioctl(user.as_raw_fd(), NS_GET_PARENT as _) };
    super::check(raw.into())?;
    // SAFETY: the kernel has just made this descriptor for us, with close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// `setns(fd, kind)`, `kind` being one `CLONE_NEW…` flag.
pub fn join(fd: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: integers only; the descriptor is borrowed for the call.
    super::check(unsafe { libc::setns(fd.as_raw_fd(), kind) }.into()).map(drop)
}

/// `setgroups`, `setresgid` and `setresuid` of the calling thread, as the raw system calls.
///
/// `setgroups` may be forbidden (a user namespace made without privilege); that is tolerated,
/// since there is then nothing that could be dropped.
pub fn become_root() -> io::Result<()> {
    // SAFETY: an empty list is given with a null pointer and the length 0.
    let groups = unsafe { libc::syscall(libc::SYS_setgroups, 0usize, std::ptr::null::<u32>()) };
    if groups < 0 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EPERM) {
            return Err(error);
        }
    }
    // SAFETY: integers only.
    super::check(unsafe { libc::syscall(libc::SYS_setresgid, 0, 0, 0) })?;
    // SAFETY: integers only.
    super::check(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) }).map(drop)
}
