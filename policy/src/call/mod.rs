// SPDX-License-Identifier: Apache-2.0
//! System calls as a workload makes them: from registers and copied bytes to typed requests.
//!
//! Everything here is pure: it says which bytes have to be read and what they mean. Nothing is
//! believed: lengths are bounded before anything is taken, and what is malformed gets the errno that
//! the kernel gives.

pub mod files;
pub mod limits;
pub mod mounts;
pub mod status;

use crate::seccomp::Arch;

/// An address in the workload's memory, as it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(pub u64);

/// How wide the words of a caller's architecture are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// 64 bits.
    Bits64,
    /// 32 bits.
    Bits32,
}

impl Layout {
    /// Of an architecture's callers.
    #[must_use]
    pub fn of(arch: Arch) -> Self {
        if arch.register_bytes() == 8 { Self::Bits64 } else { Self::Bits32 }
    }

    /// A register as a `size_t`, an `unsigned long` or a pointer.
    #[must_use]
    pub const fn word(self, register: u64) -> u64 {
        match self {
            Self::Bits64 => register,
            Self::Bits32 => register & 0xffff_ffff,
        }
    }

    /// A register as a `long`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
    pub const fn signed(self, register: u64) -> i64 {
        match self {
            Self::Bits64 => register.cast_signed(),
            Self::Bits32 => (register as u32).cast_signed() as i64,
        }
    }
}
