// SPDX-License-Identifier: Apache-2.0
//! Seccomp: from the OCI specification's `linux.seccomp` to one classic BPF program.

mod arch;
mod syscall;
mod table;

pub use arch::{Arch, Endian, X32_BIT};
pub use syscall::{Syscall, Width};
