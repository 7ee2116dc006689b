// SPDX-License-Identifier: Apache-2.0
//! keyctl(2), as far as a container needs it.

use std::ffi::CStr;
use std::io;

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)`: the process and its children get a session keyring
/// of this name and lose the caller's.
pub fn join_session(name: &CStr) -> io::Result<()> {
    // SAFETY: name is NUL-terminated and lives over the call, which copies it.
    let result = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr())
    };
    super::check(result).map(drop)
}
