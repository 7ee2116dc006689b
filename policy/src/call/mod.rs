// SPDX-License-Identifier: Apache-2.0
//! What a workload hands to the kernel, read: bytes in, typed requests out.
//!
//! The supervisor answers system calls of processes that nobody trusts. Registers, and the memory
//! that they point to, are what the workload says they are. This module turns them into values that
//! can be decided about, in two steps that never mix:
//!
//! 1. a *plan* says which bytes have to be copied: a [`Span`], whose length was checked against what
//!    the kernel would accept before anything is allocated;
//! 2. a *parse* is given the copy. It keeps no pointer to look at again: what it returns is what is
//!    decided about, and what is performed is made from it.
//!
//! Guarantees: no input makes it panic, and none makes it ask for more than the kernel itself would
//! copy. What the kernel refuses as malformed is refused with the kernel's errno; what this module
//! does not know is refused too.
//!
//! What it does not know: whether an address can be read, what a path resolves to, what a descriptor
//! is, and the state of a socket. Numbers are in the byte order of the machine, which is that of the
//! workload; constants are those of x86-64, aarch64 and riscv64 and of what else their kernels run.
// INVARIANT: no input panics here, or wraps, which release builds do not look for: clippy refuses
// what could.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod address;
pub mod attribute;
pub mod control;
mod fields;
pub mod files;
pub mod ids;
mod layout;
pub mod limits;
pub mod message;
pub mod mounts;
pub mod open;
mod sized;
pub mod sockets;
pub mod status;
pub mod string;
pub mod time;
pub mod vector;
pub mod xattr;

pub use layout::{Layout, Pointer, Span};
