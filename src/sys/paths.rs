// SPDX-License-Identifier: Apache-2.0
//! truncate(2) and file_setattr(2), which know no descriptor that was opened with `O_PATH`.

use std::ffi::CStr;
use std::io;

/// `truncate(path, length)`.
///
/// # Errors
///
/// The kernel's.
pub fn truncate(path: &CStr, length: u64) -> rustix::io::Result<()> {
    let length = i64::try_from(length).map_err(|_| rustix::io::Errno::INVAL)?;
    // SAFETY: the path is a string that is borrowed for the call.
    let result = unsafe { libc::truncate64(path.as_ptr(), length) };
    match super::check(result.into()) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))
        }
    }
}

/// `file_setattr(AT_FDCWD, path, attributes, size, 0)`, the struct as bytes. KERNEL(6.17).
///
/// # Errors
///
/// ENOSYS where the kernel has no such call, and what it says about the bytes.
pub fn file_setattr(path: &CStr, attributes: &[u8]) -> io::Result<()> {
    const SYS_FILE_SETATTR: libc::c_long = 469;
    // SAFETY: the path is a string; the kernel reads as many bytes as the slice has; both are
    // borrowed for the call.
    let result = unsafe {
        libc::syscall(
            SYS_FILE_SETATTR,
            libc::AT_FDCWD,
            path.as_ptr(),
            attributes.as_ptr(),
            attributes.len(),
            0,
        )
    };
    super::check(result).map(drop)
}
