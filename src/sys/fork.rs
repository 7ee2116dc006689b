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

/// `clone3({CLONE_PARENT})`: the child's parent is the caller's.
///
/// As [`fork`], but the C library does not learn of it: what it has noted of the calling thread (its
/// id) is the caller's. Nothing that brig or libcontainer does afterwards asks for that.
///
/// # Errors
///
/// The kernel's, and `EDEADLK` where the process has more threads.
pub fn fork_sibling() -> io::Result<Fork> {
    if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() != 1) {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    // SAFETY: all-zero is a valid value of a struct of integers.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = libc::CLONE_PARENT.cast_unsigned().into();
    // SAFETY: without CLONE_VM the child has its own copy of the address space, this stack
    // included; the process has one thread (checked), so that the copy of every lock is in a state
    // that this thread knows. The struct is borrowed for the call, with its size.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, std::ptr::from_ref(&args), size_of::<libc::clone_args>())
    };
    match super::check(pid)? {
        0 => Ok(Fork::Child),
        pid => {
            Ok(Fork::Parent(libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidData)?))
        }
    }
}

/// `_exit(status)`: ends the process at once, without destructors or exit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(status) }
}
