// SPDX-License-Identifier: Apache-2.0
//! Thin wrappers of system calls: the only `unsafe` of brig.
//!
//! What rustix wraps is used from there. Here is the rest: one function per system call, borrowed
//! descriptors in and owned ones out, errors as [`std::io::Error`]. No function decides anything.

#![allow(unsafe_code)]

pub mod descriptors;
pub mod environment;
pub mod exec;
pub mod fork;
pub mod identity;
pub mod keyring;
pub mod landlock;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod notify;
pub mod paths;
pub mod pidfd;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod sockaddr;
pub mod socket;

use std::io;

/// Turns the result of a raw system call into a [`Result`].
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
