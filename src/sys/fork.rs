// SPDX-License-Identifier: Apache-2.0
//! fork(2) for a process that goes on with Rust code.

use std::io;

/// Which side of a fork one is on.
pub enum Fork {
    /// The parent, with the child's pid.
    Parent(libc::pid_t),
    /// The child.
    Child,
}

/// `fork()`.
///
/// Must be called while the process has one thread: the child goes on with ordinary code, and a
/// lock that another thread held would stay locked for ever. Checked.
///
/// # Errors
///
/// The kernel's, and `EDEADLK` where the process has more threads.
pub fn fork() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() != 1) {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    // SAFETY: the process has one thread (checked), so that the child's copy of every lock is in
    // a state that this thread knows.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// `_exit(status)`: ends the process at once, without destructors or exit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(status) }
}
