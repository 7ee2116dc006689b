// SPDX-License-Identifier: Apache-2.0
//! How wide a caller's words are, and where its bytes are said to be.
//!
//! A [`Span`] is the only thing that the supervisor is ever asked to copy. It does not wrap round,
//! and lies where its caller can have memory at all; whether it has is found out by copying.

use crate::policy::Errno;
use crate::seccomp::Arch;

/// Width of `long`, `size_t` and pointers in what a caller lays out in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// Eight bytes.
    Bits64,
    /// Four bytes: a 32-bit process, or x32 on the memory that it shares with i386's structures.
    Bits32,
}

impl Layout {
    /// The layout of an architecture's callers. x32 and n32 have wide registers but short pointers.
    #[must_use]
    pub fn of(arch: Arch) -> Self {
        match arch {
            Arch::X32 | Arch::Mips64n32 | Arch::Mipsel64n32 => Self::Bits32,
            _ if arch.register_bytes() == 4 => Self::Bits32,
            _ => Self::Bits64,
        }
    }

    /// Bytes of a pointer, of `long` and of `size_t`; what these are aligned to.
    #[must_use]
    pub const fn word(self) -> usize {
        match self {
            Self::Bits64 => 8,
            Self::Bits32 => 4,
        }
    }

    /// The pointer in a register. The kernel ignores the upper half of a 32-bit caller's.
    #[must_use]
    pub const fn pointer(self, register: u64) -> Pointer {
        Pointer(self.unsigned(register))
    }

    /// The `size_t` in a register.
    #[must_use]
    pub const fn unsigned(self, register: u64) -> u64 {
        match self {
            Self::Bits64 => register,
            Self::Bits32 => register & 0xffff_ffff,
        }
    }

    /// The `long` in a register.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
    pub const fn signed(self, register: u64) -> i64 {
        match self {
            Self::Bits64 => register.cast_signed(),
            Self::Bits32 => (register as u32).cast_signed() as i64,
        }
    }

    /// One more than the last address that a caller can have, and more than any has.
    const fn limit(self) -> u64 {
        match self {
            Self::Bits64 => 1 << 63,
            Self::Bits32 => 1 << 32,
        }
    }
}

/// An address in the caller's memory, as the caller alleges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(pub u64);

impl Pointer {
    /// Whether it is the null pointer.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address this many bytes further.
    ///
    /// # Errors
    ///
    /// `EFAULT` where addresses end.
    pub fn offset(self, bytes: usize) -> Result<Self, Errno> {
        let bytes = u64::try_from(bytes).map_err(|_| Errno::EFAULT)?;
        self.0.checked_add(bytes).map(Self).ok_or(Errno::EFAULT)
    }
}

/// Bytes in the caller's memory that are to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    address: Pointer,
    length: usize,
}

impl Span {
    /// The bytes from an address on.
    ///
    /// # Errors
    ///
    /// `EFAULT` if no process of this layout can have them.
    pub fn new(layout: Layout, address: Pointer, length: usize) -> Result<Self, Errno> {
        let end = address.offset(length)?;
        if end.0 > layout.limit() { Err(Errno::EFAULT) } else { Ok(Self { address, length }) }
    }

    /// Where they begin.
    #[must_use]
    pub const fn address(&self) -> Pointer {
        self.address
    }

    /// How many they are.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_wide_as_the_architecture_has_them() {
        for (arch, word) in [
            (Arch::X86_64, 8),
            (Arch::Aarch64, 8),
            (Arch::Riscv64, 8),
            (Arch::X86, 4),
            (Arch::Arm, 4),
            (Arch::X32, 4),
        ] {
            assert_eq!(Layout::of(arch).word(), word, "{arch:?}");
        }
    }

    #[test]
    fn a_span_never_wraps_round() {
        let span = |layout, address, length| Span::new(layout, Pointer(address), length);
        assert_eq!(span(Layout::Bits64, u64::MAX, 1), Err(Errno::EFAULT));
        assert_eq!(span(Layout::Bits64, (1 << 63) - 1, 2), Err(Errno::EFAULT));
        assert_eq!(span(Layout::Bits32, 0xffff_fff0, 0x11), Err(Errno::EFAULT));
        assert_eq!(span(Layout::Bits32, 0xffff_fff0, 0x10).map(|span| span.length()), Ok(0x10));
    }

    #[test]
    fn the_upper_half_of_a_short_pointer_is_ignored() {
        assert_eq!(Layout::Bits32.pointer(0xdead_0000_1000), Pointer(0x1000));
        assert_eq!(Layout::Bits64.pointer(0xdead_0000_1000), Pointer(0xdead_0000_1000));
    }
}
