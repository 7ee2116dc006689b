// SPDX-License-Identifier: Apache-2.0
//! seccomp(2): loading a program, and what the kernel has of it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use brig_policy::seccomp::Instruction;

const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
const _: () = assert!(align_of::<Instruction>() >= align_of::<libc::sock_filter>());
const _: () = assert!(std::mem::offset_of!(Instruction, k) == 4);

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags, &{len, filter})` for the calling thread.
///
/// Returns the listener's descriptor where `flags` has `SECCOMP_FILTER_FLAG_NEW_LISTENER`, as a bare
/// number: the caller may be under a filter by then that knows neither close(2) nor fcntl(2).
/// Allocates nothing.
///
/// # Errors
///
/// The kernel's: EINVAL for a malformed program, EACCES without no_new_privs and CAP_SYS_ADMIN,
/// EBUSY where a filter with a listener is there already.
pub fn load(program: &[Instruction], flags: libc::c_ulong) -> io::Result<RawFd> {
    let len = libc::c_ushort::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let argument =
        libc::sock_fprog { len, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: the argument points to `len` instructions of the kernel's layout (asserted above),
    // borrowed for the call; the kernel copies and never writes them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(&argument),
        )
    };
    let number = super::check(result)?;
    RawFd::try_from(number).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Takes ownership of the listener that [`load`] returned.
pub fn listener(number: RawFd) -> OwnedFd {
    // SAFETY: the kernel made the descriptor for the caller of load, who gives it away here once.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// `seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action)`: whether the kernel has an action.
///
/// # Errors
///
/// ENOSYS and the like where seccomp(2) itself cannot be had.
pub fn has_action(action: u32) -> io::Result<bool> {
    // SAFETY: the kernel reads one u32, which is borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0u32,
            std::ptr::from_ref(&action),
        )
    };
    match super::check(result) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes)`: the sizes of `seccomp_notif`,
/// `seccomp_notif_resp` and `seccomp_data`.
///
/// # Errors
///
/// EINVAL where the kernel has no notifications.
pub fn notification_sizes() -> io::Result<[u16; 3]> {
    let mut sizes = [0u16; 3];
    // SAFETY: the kernel writes a struct of three u16, the array's layout, which is ours alone.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0u32, sizes.as_mut_ptr())
    };
    super::check(result).map(|_| sizes)
}

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags, NULL)`: whether the kernel knows these flags. It looks at
/// them before the program, so that nothing is loaded: EFAULT says yes and EINVAL no.
///
/// # Errors
///
/// ENOSYS and the like where seccomp(2) itself cannot be had.
pub fn knows_flags(flags: u32) -> io::Result<bool> {
    // SAFETY: a null program is never read: the kernel refuses it with EFAULT.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::null::<libc::sock_fprog>(),
        )
    };
    match super::check(result) {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}
