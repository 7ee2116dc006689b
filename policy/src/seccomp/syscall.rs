// SPDX-License-Identifier: Apache-2.0
//! System calls by name: numbers on every architecture and the widths of arguments.
//!
//! A name is resolved once, to a [`Syscall`]; from then on nothing compares strings. The table is
//! generated from the kernel's own headers (`policy/tables/syscalls.py`), so a name that an
//! installed library does not know works like any other.
//!
//! What it does not know: names that no architecture of the OCI specification has, and what lies
//! behind a pointer.

use super::arch::{Arch, X32_BIT};
use super::table::ROWS;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A system call that some architecture has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syscall(u16);

/// How much of a register the kernel looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// `umode_t`: the low 16 bits.
    Bits16,
    /// `int`, `unsigned`, descriptors, ids, flag words: the low 32 bits.
    Bits32,
    /// Pointers, sizes, `long`, and every argument of a call whose types are not known.
    Bits64,
}

impl Width {
    /// The bits that count.
    pub fn mask(self) -> u64 {
        match self {
            Self::Bits16 => 0xFFFF,
            Self::Bits32 => 0xFFFF_FFFF,
            Self::Bits64 => u64::MAX,
        }
    }
}

impl Syscall {
    /// The call of that name on any architecture; names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        let index = ROWS.binary_search_by(|row| row.0.cmp(name)).ok()?;
        u16::try_from(index).ok().map(Self)
    }

    /// Every call, sorted by name.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        #[allow(clippy::cast_possible_truncation)] // 509 rows
        (0..ROWS.len() as u16).map(Self)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ROWS[usize::from(self.0)].0
    }

    /// The number that the kernel reports on `arch`, with x32's bit; `None` if it has no such call.
    pub fn number(self, arch: Arch) -> Option<u32> {
        let number = ROWS[usize::from(self.0)].1[arch.table() as usize];
        let number = u32::try_from(number).ok()?;
        Some(if arch == Arch::X32 { number | X32_BIT } else { number })
    }

    /// The calls that have this number on `arch`: none, one, or one under two names.
    pub fn by_number(arch: Arch, nr: u32) -> impl Iterator<Item = Self> {
        Self::all().filter(move |call| call.number(arch) == Some(nr))
    }

    /// How much of argument `index` (0 to 5) the kernel looks at on `arch`.
    pub fn width(self, arch: Arch, index: u8) -> Width {
        let declared = if self.name() == "clone" && arch.clone_flags_index() == 1 {
            // The stack and the flags change places.
            if index == 1 { Width::Bits32 } else { Width::Bits64 }
        } else {
            match ROWS[usize::from(self.0)].2 >> (4 * u32::from(index.min(7))) & 0xF {
                2 => Width::Bits16,
                1 => Width::Bits32,
                _ => Width::Bits64,
            }
        };
        if arch.register_bytes() == 4 { declared.min(Width::Bits32) } else { declared }
    }

    /// Names that look like `name`, best first: what an error suggests.
    pub fn similar(name: &str) -> Option<Self> {
        let limit = 1 + name.len() / 5;
        Self::all()
            .map(|call| {
                let other = call.name();
                (distance(name, other, limit), name.len().abs_diff(other.len()), call)
            })
            .filter(|(distance, _, _)| *distance <= limit)
            .min()
            .map(|(_, _, call)| call)
    }
}

/// Levenshtein's distance, or something above `limit`.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl fmt::Debug for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Syscall({})", self.name())
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Syscall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Syscall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_name(&name)
            .ok_or_else(|| de::Error::custom(format!("no kernel has a system call \"{name}\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str) -> Syscall {
        Syscall::from_name(name).unwrap()
    }

    #[test]
    fn the_table_is_sorted_so_that_names_are_found() {
        assert!(ROWS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for call in Syscall::all() {
            assert_eq!(Syscall::from_name(call.name()), Some(call));
        }
    }

    #[test]
    fn numbers_are_those_of_the_headers() {
        for (name, arch, number) in [
            ("read", Arch::X86_64, 0),
            ("fchroot", Arch::X86_64, 472),
            ("socketcall", Arch::X86, 102),
            ("execve", Arch::X32, X32_BIT | 520),
            ("openat", Arch::Aarch64, 56),
            ("cacheflush", Arch::Arm, 0xF0002),
            ("sync_file_range2", Arch::Arm, 341),
            ("riscv_hwprobe", Arch::Riscv64, 258),
            ("clone3", Arch::S390x, 435),
            ("swapcontext", Arch::Ppc64le, 249),
            ("listns", Arch::S390, 470),
            ("cachectl", Arch::Mipsel, 4148),
        ] {
            assert_eq!(call(name).number(arch), Some(number), "{name} {arch:?}");
        }
        assert_eq!(call("open").number(Arch::Aarch64), None);
    }

    #[test]
    fn widths_are_those_of_the_kernel_types() {
        use Width::{Bits16, Bits32, Bits64};
        for (name, expected) in [
            ("ioctl", [Bits32, Bits32, Bits64]),
            ("socket", [Bits32, Bits32, Bits32]),
            ("personality", [Bits32, Bits64, Bits64]),
            ("openat", [Bits32, Bits64, Bits32]),
            ("chmod", [Bits64, Bits16, Bits64]),
            ("clone", [Bits32, Bits64, Bits64]),
            ("prctl", [Bits32, Bits64, Bits64]),
            ("fcntl", [Bits32, Bits32, Bits64]),
            ("setns", [Bits32, Bits32, Bits64]),
            ("unshare", [Bits32, Bits64, Bits64]),
            ("mprotect", [Bits64, Bits64, Bits32]),
            ("mmap", [Bits64, Bits64, Bits32]),
            ("keyctl", [Bits32, Bits64, Bits64]),
            ("bpf", [Bits32, Bits64, Bits32]),
            ("ptrace", [Bits64, Bits64, Bits64]),
            ("kcmp", [Bits32, Bits32, Bits32]),
            ("futex", [Bits64, Bits32, Bits32]),
            ("seccomp", [Bits32, Bits32, Bits64]),
        ] {
            let got = [0, 1, 2].map(|index| call(name).width(Arch::X86_64, index));
            assert_eq!(got, expected, "{name}");
        }
    }

    #[test]
    fn a_32_bit_architecture_has_no_wider_argument() {
        assert_eq!(call("read").width(Arch::X86, 1), Width::Bits32);
        assert_eq!(call("read").width(Arch::X32, 1), Width::Bits64);
    }

    #[test]
    fn s390_takes_the_flags_of_clone_second() {
        assert_eq!(call("clone").width(Arch::S390x, 0), Width::Bits64);
        assert_eq!(call("clone").width(Arch::S390x, 1), Width::Bits32);
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        assert_eq!(Syscall::similar("opeant"), Some(call("openat")));
        assert_eq!(Syscall::similar("keyctll"), Some(call("keyctl")));
        assert_eq!(Syscall::similar("something_else_entirely"), None);
    }
}
