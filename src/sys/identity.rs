// SPDX-License-Identifier: Apache-2.0
//! Who the calling thread is: credentials(7), capabilities(7), umask(2).
//!
//! By the raw system calls, which are about one thread; the C library's are about all of them.

use std::io;

/// The real, effective and saved id.
pub type Ids = [u32; 3];

/// `setresuid(real, effective, saved)` of the calling thread.
///
/// # Errors
///
/// EPERM, or EINVAL for an id that the user namespace does not have.
pub fn set_uids([real, effective, saved]: Ids) -> io::Result<()> {
    // SAFETY: integers only.
    super::check(unsafe { libc::syscall(libc::SYS_setresuid, real, effective, saved) }).map(drop)
}

/// `setresgid(real, effective, saved)` of the calling thread.
///
/// # Errors
///
/// EPERM, or EINVAL for an id that the user namespace does not have.
pub fn set_gids([real, effective, saved]: Ids) -> io::Result<()> {
    // SAFETY: integers only.
    super::check(unsafe { libc::syscall(libc::SYS_setresgid, real, effective, saved) }).map(drop)
}

/// `setfsuid(id)` of the calling thread, checked: the call itself tells nobody that it failed.
///
/// # Errors
///
/// EPERM where it did.
pub fn set_fs_uid(id: u32) -> io::Result<()> {
    // SAFETY: integers only.
    let changed = |id: u32| unsafe { libc::syscall(libc::SYS_setfsuid, id) };
    changed(id);
    // an id that there is not changes nothing and returns the present one
    confirm(changed(u32::MAX), id)
}

/// `setfsgid(id)` of the calling thread, checked.
///
/// # Errors
///
/// EPERM where it failed.
pub fn set_fs_gid(id: u32) -> io::Result<()> {
    // SAFETY: integers only.
    let changed = |id: u32| unsafe { libc::syscall(libc::SYS_setfsgid, id) };
    changed(id);
    confirm(changed(u32::MAX), id)
}

fn confirm(now: libc::c_long, wanted: u32) -> io::Result<()> {
    if now == libc::c_long::from(wanted.cast_signed()) || now == libc::c_long::from(wanted) {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EPERM))
}

/// `setgroups(groups)` of the calling thread.
///
/// # Errors
///
/// EPERM, or EINVAL for an id that the user namespace does not have.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the kernel reads as many ids as the slice has, which is borrowed for the call.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    super::check(result).map(drop)
}

/// `prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP | NO_SETUID_FIXUP_LOCKED)`: capabilities do not follow
/// user ids any more.
///
/// # Errors
///
/// EPERM without CAP_SETPCAP.
pub fn keep_capabilities() -> io::Result<()> {
    const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2 | 1 << 3;
    // SAFETY: integers only.
    super::check(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) }.into())
        .map(drop)
}

/// `unshare(CLONE_FS)`: root, working directory and umask of the calling thread become its own.
///
/// # Errors
///
/// The kernel's.
pub fn own_directories() -> io::Result<()> {
    // SAFETY: an integer only; no Rust value depends on threads sharing their working directory.
    super::check(unsafe { libc::unshare(libc::CLONE_FS) }.into()).map(drop)
}

/// `umask(mask)` of the calling thread's directories.
pub fn set_umask(mask: u32) {
    // SAFETY: an integer only; the call cannot fail.
    unsafe { libc::umask(mask) };
}
