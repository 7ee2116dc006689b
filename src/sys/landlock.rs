// SPDX-License-Identifier: Apache-2.0
//! landlock(7), as far as a process of brig's confines itself: a domain that grants nothing.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `struct landlock_ruleset_attr` of linux/landlock.h, ABI 6.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

const _: () = assert!(size_of::<RulesetAttr>() == 24);

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;

/// The kernel's Landlock ABI.
///
/// # Errors
///
/// ENOSYS or EOPNOTSUPP where there is none.
pub fn abi() -> io::Result<u32> {
    // SAFETY: with the VERSION flag the pointer must be null and the size 0.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttr>(),
            0usize,
            VERSION,
        )
    };
    Ok(u32::try_from(super::check(result)?).unwrap_or(u32::MAX))
}

/// Puts the calling thread into a domain that handles all that the kernel can handle and grants
/// nothing. no_new_privs must be set.
///
/// # Errors
///
/// The kernel's.
pub fn deny_everything() -> io::Result<()> {
    let abi = abi()?;
    // KERNEL(5.13, 5.19, 6.2, 6.7, 6.10, 6.12): the rights of each ABI, landlock(7)
    let fs_rights = match abi {
        0 | 1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    let attr = RulesetAttr {
        handled_access_fs: (1 << fs_rights) - 1,
        handled_access_net: if abi >= 4 { 0b11 } else { 0 },
        scoped: if abi >= 6 { 0b11 } else { 0 },
    };
    let size: usize = match abi {
        0..4 => 8,
        4..6 => 16,
        _ => 24,
    };
    // SAFETY: the struct is at least `size` bytes long and borrowed for the call.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::from_ref(&attr), size, 0u32)
    };
    let number = RawFd::try_from(super::check(result)?).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let ruleset = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: integers only; the descriptor is borrowed for the call.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    super::check(result).map(drop)
}
