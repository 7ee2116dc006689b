// SPDX-License-Identifier: Apache-2.0
//! execve(2) and execveat(2), with everything that they need allocated beforehand.

use std::ffi::{CStr, CString, NulError};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A NULL-terminated array of C strings, as execve takes it.
pub struct StringArray {
    strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

// SAFETY: the pointers point into the strings, which the same value owns and never changes.
unsafe impl Send for StringArray {}
// SAFETY: as above; nothing is ever written through them.
unsafe impl Sync for StringArray {}

impl StringArray {
    /// Builds the array.
    ///
    /// # Errors
    ///
    /// A string with a NUL byte.
    pub fn new<S: AsRef<[u8]>>(items: impl IntoIterator<Item = S>) -> Result<Self, NulError> {
        let strings: Vec<CString> =
            items.into_iter().map(|item| CString::new(item.as_ref())).collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Ok(StringArray { strings, pointers })
    }

    /// The number of strings.
    pub fn len(&self) -> usize {
        self.strings.len()
    }
}

/// `execve(path, argv, envp)`. Returns only where it failed; makes no other system call and
/// allocates nothing, so that it can be the first call under a seccomp filter.
pub fn execve(path: &CStr, argv: &StringArray, envp: &StringArray) -> io::Error {
    debug_assert!(argv.len() > 0, "a program has a name");
    // SAFETY: path is NUL-terminated; both arrays end with NULL and their strings live in values
    // that are borrowed for the call. On success the address space is gone.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// `execveat(fd, "", argv, envp, AT_EMPTY_PATH)`: executes the file that `fd` refers to.
pub fn fexecve(fd: BorrowedFd<'_>, argv: &StringArray, envp: &StringArray) -> io::Error {
    // SAFETY: as for execve; the empty path is a static NUL-terminated string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
