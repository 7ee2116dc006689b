// SPDX-License-Identifier: Apache-2.0
//! file_setattr(2). KERNEL(6.17).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `file_setattr(fd, "", attributes, size, AT_EMPTY_PATH)`, the struct as bytes.
///
/// # Errors
///
/// ENOSYS where the kernel has no such call, and what it says about the bytes.
pub fn file_setattr(fd: BorrowedFd<'_>, attributes: &[u8]) -> io::Result<()> {
    const SYS_FILE_SETATTR: libc::c_long = 469;
    // SAFETY: the path is a string of ours; the kernel reads as many bytes as the slice has, which is
    // borrowed for the call.
    let result = unsafe {
        libc::syscall(
            SYS_FILE_SETATTR,
            fd.as_raw_fd(),
            c"".as_ptr(),
            attributes.as_ptr(),
            attributes.len(),
            libc::AT_EMPTY_PATH,
        )
    };
    super::check(result).map(drop)
}
