// SPDX-License-Identifier: Apache-2.0
//! The architectures that the OCI runtime specification names: what the kernel calls them,
//! which of them one kernel can report, and how their numbers and registers look.
//!
//! Does not know which machine it runs on: the native architecture is an argument everywhere.

use super::table::Table;
use serde::{Deserialize, Serialize};

/// Numbers from here on are x32's under the token of x86-64 (bit 30 marks its calls; what is above
/// them is nobody's).
pub const X32_BIT: u32 = 0x4000_0000;

/// An architecture, as `SCMP_ARCH_*` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Arch {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
    Riscv64,
    S390x,
    S390,
    Ppc64le,
    Ppc64,
    Ppc,
    Mips,
    Mips64,
    Mips64n32,
    Mipsel,
    Mipsel64,
    Mipsel64n32,
    Parisc,
    Parisc64,
    Loongarch64,
    M68k,
    Sh,
    Sheb,
}

/// Order of the bytes in memory, which decides where the halves of an argument are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Arch, OCI name, `AUDIT_ARCH_*` of linux/audit.h, table of numbers, names that others use.
type Facts = (Arch, &'static str, u32, Table, &'static [&'static str]);

#[rustfmt::skip]
static FACTS: [Facts; 23] = [
    (Arch::X86_64, "SCMP_ARCH_X86_64", 0xC000_003E, Table::X86_64, &["x86_64", "amd64"]),
    (Arch::X86, "SCMP_ARCH_X86", 0x4000_0003, Table::X86, &["x86", "i386", "386"]),
    (Arch::X32, "SCMP_ARCH_X32", 0xC000_003E, Table::X32, &["x32"]),
    (Arch::Aarch64, "SCMP_ARCH_AARCH64", 0xC000_00B7, Table::Aarch64, &["aarch64", "arm64"]),
    (Arch::Arm, "SCMP_ARCH_ARM", 0x4000_0028, Table::Arm, &["arm"]),
    (Arch::Riscv64, "SCMP_ARCH_RISCV64", 0xC000_00F3, Table::Riscv64, &["riscv64"]),
    (Arch::S390x, "SCMP_ARCH_S390X", 0x8000_0016, Table::S390x, &["s390x"]),
    (Arch::S390, "SCMP_ARCH_S390", 0x0000_0016, Table::S390, &["s390"]),
    (Arch::Ppc64le, "SCMP_ARCH_PPC64LE", 0xC000_0015, Table::Ppc64, &["ppc64le"]),
    (Arch::Ppc64, "SCMP_ARCH_PPC64", 0x8000_0015, Table::Ppc64, &["ppc64"]),
    (Arch::Ppc, "SCMP_ARCH_PPC", 0x0000_0014, Table::Ppc, &["ppc"]),
    (Arch::Mips, "SCMP_ARCH_MIPS", 0x0000_0008, Table::Mips, &["mips"]),
    (Arch::Mips64, "SCMP_ARCH_MIPS64", 0x8000_0008, Table::Mips64, &["mips64"]),
    (Arch::Mips64n32, "SCMP_ARCH_MIPS64N32", 0xA000_0008, Table::Mips64n32, &["mips64n32", "mips64p32"]),
    (Arch::Mipsel, "SCMP_ARCH_MIPSEL", 0x4000_0008, Table::Mips, &["mipsel", "mipsle"]),
    (Arch::Mipsel64, "SCMP_ARCH_MIPSEL64", 0xC000_0008, Table::Mips64, &["mipsel64", "mips64le"]),
    (Arch::Mipsel64n32, "SCMP_ARCH_MIPSEL64N32", 0xE000_0008, Table::Mips64n32, &["mipsel64n32", "mips64p32le"]),
    (Arch::Parisc, "SCMP_ARCH_PARISC", 0x0000_000F, Table::Parisc, &["parisc"]),
    (Arch::Parisc64, "SCMP_ARCH_PARISC64", 0x8000_000F, Table::Parisc64, &["parisc64"]),
    (Arch::Loongarch64, "SCMP_ARCH_LOONGARCH64", 0xC000_0102, Table::Loongarch64, &["loongarch64", "loong64"]),
    (Arch::M68k, "SCMP_ARCH_M68K", 0x0000_0004, Table::M68k, &["m68k"]),
    (Arch::Sh, "SCMP_ARCH_SH", 0x4000_002A, Table::Sh, &["sh"]),
    (Arch::Sheb, "SCMP_ARCH_SHEB", 0x0000_002A, Table::Sh, &["sheb"]),
];

impl Arch {
    /// Every architecture, in a fixed order.
    pub fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|facts| facts.0)
    }

    fn facts(self) -> &'static Facts {
        // FACTS is in the order of the enum (tested), so the discriminant is its index.
        &FACTS[self as usize]
    }

    /// The architecture of `SCMP_ARCH_*`.
    pub fn from_oci(name: &str) -> Option<Self> {
        FACTS.iter().find(|facts| facts.1 == name).map(|facts| facts.0)
    }

    /// The architecture of an OCI name, of `uname -m`, or of Go's `GOARCH`.
    pub fn from_name(name: &str) -> Option<Self> {
        let same = |facts: &&Facts| facts.1 == name || facts.4.contains(&name);
        FACTS.iter().find(same).map(|facts| facts.0)
    }

    /// The architecture that this code is built for; `None` where OCI has no name for it.
    pub const fn of_build() -> Option<Self> {
        let little = cfg!(target_endian = "little");
        Some(if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Self::X86_64
        } else if cfg!(target_arch = "x86") {
            Self::X86
        } else if cfg!(target_arch = "aarch64") && little {
            Self::Aarch64
        } else if cfg!(target_arch = "arm") && little {
            Self::Arm
        } else if cfg!(target_arch = "riscv64") {
            Self::Riscv64
        } else if cfg!(target_arch = "s390x") {
            Self::S390x
        } else if cfg!(target_arch = "powerpc64") {
            if little { Self::Ppc64le } else { Self::Ppc64 }
        } else if cfg!(target_arch = "loongarch64") {
            Self::Loongarch64
        } else {
            return None;
        })
    }

    /// `SCMP_ARCH_*`.
    pub fn oci_name(self) -> &'static str {
        self.facts().1
    }

    /// The short name that listings use.
    pub fn name(self) -> &'static str {
        self.facts().4[0]
    }

    /// Every short name, Go's included (Docker's profiles use those).
    pub fn names(self) -> &'static [&'static str] {
        self.facts().4
    }

    /// What `seccomp_data.arch` holds for its calls; x32 shares the token of x86-64.
    pub fn token(self) -> u32 {
        self.facts().2
    }

    pub(super) fn table(self) -> Table {
        self.facts().3
    }

    /// What a kernel that runs on `self` can report in `seccomp_data.arch`, `self` first.
    ///
    /// Every other architecture that a specification lists cannot make a call on that kernel.
    pub fn reachable(self) -> &'static [Arch] {
        match self {
            Self::X86_64 | Self::X32 => &[Self::X86_64, Self::X86, Self::X32],
            Self::Aarch64 => &[Self::Aarch64, Self::Arm],
            Self::S390x => &[Self::S390x, Self::S390],
            Self::Ppc64 => &[Self::Ppc64, Self::Ppc],
            Self::Mips64 | Self::Mips64n32 => &[Self::Mips64, Self::Mips, Self::Mips64n32],
            Self::Mipsel64 | Self::Mipsel64n32 => {
                &[Self::Mipsel64, Self::Mipsel, Self::Mipsel64n32]
            }
            Self::Parisc64 => &[Self::Parisc64, Self::Parisc],
            Self::X86 => &[Self::X86],
            Self::Arm => &[Self::Arm],
            Self::Riscv64 => &[Self::Riscv64],
            Self::S390 => &[Self::S390],
            Self::Ppc64le => &[Self::Ppc64le],
            Self::Ppc => &[Self::Ppc],
            Self::Mips => &[Self::Mips],
            Self::Mipsel => &[Self::Mipsel],
            Self::Parisc => &[Self::Parisc],
            Self::Loongarch64 => &[Self::Loongarch64],
            Self::M68k => &[Self::M68k],
            Self::Sh => &[Self::Sh],
            Self::Sheb => &[Self::Sheb],
        }
    }

    /// Bytes of a register as the kernel puts it into `seccomp_data.args`: 4 or 8.
    pub fn register_bytes(self) -> u8 {
        match self {
            Self::X86
            | Self::Arm
            | Self::S390
            | Self::Ppc
            | Self::Mips
            | Self::Mipsel
            | Self::Parisc
            | Self::M68k
            | Self::Sh
            | Self::Sheb => 4,
            Self::X86_64
            | Self::X32
            | Self::Aarch64
            | Self::Riscv64
            | Self::S390x
            | Self::Ppc64le
            | Self::Ppc64
            | Self::Mips64
            | Self::Mips64n32
            | Self::Mipsel64
            | Self::Mipsel64n32
            | Self::Parisc64
            | Self::Loongarch64 => 8,
        }
    }

    /// Order of bytes of the kernel.
    pub fn endian(self) -> Endian {
        // The token says so for all of them.
        if self.token() & 0x4000_0000 == 0 { Endian::Big } else { Endian::Little }
    }

    /// The index of `clone`'s flags: s390 takes the stack first.
    pub fn clone_flags_index(self) -> u8 {
        u8::from(matches!(self, Self::S390 | Self::S390x))
    }

    /// The architecture that made a call, among what a kernel of `native` can report.
    pub fn of_call(native: Self, token: u32, nr: u32) -> Option<Self> {
        let same = |arch: &&Self| {
            arch.token() == token
                && match arch {
                    Self::X32 => nr >= X32_BIT,
                    Self::X86_64 => nr < X32_BIT,
                    _ => true,
                }
        };
        native.reachable().iter().find(same).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_in_the_order_of_the_enum() {
        for (index, arch) in Arch::all().enumerate() {
            assert_eq!(arch as usize, index);
            assert_eq!(Arch::from_oci(arch.oci_name()), Some(arch));
            for name in arch.names() {
                assert_eq!(Arch::from_name(name), Some(arch));
            }
        }
    }

    #[test]
    fn the_tokens_are_those_of_the_kernel_headers() {
        // EM_* of linux/elf-em.h with __AUDIT_ARCH_64BIT, _LE and the N32 convention.
        for (arch, machine, wide, little, n32) in [
            (Arch::X86_64, 62, true, true, false),
            (Arch::X86, 3, false, true, false),
            (Arch::Aarch64, 183, true, true, false),
            (Arch::Arm, 40, false, true, false),
            (Arch::Riscv64, 243, true, true, false),
            (Arch::S390x, 22, true, false, false),
            (Arch::Ppc64le, 21, true, true, false),
            (Arch::Mips64n32, 8, true, false, true),
            (Arch::Loongarch64, 258, true, true, false),
        ] {
            let flags = u32::from(wide) << 31 | u32::from(little) << 30 | u32::from(n32) << 29;
            assert_eq!(arch.token(), machine | flags, "{arch:?}");
        }
    }

    #[test]
    fn x32_is_told_from_x86_64_by_the_number_alone() {
        let token = Arch::X86_64.token();
        assert_eq!(Arch::of_call(Arch::X86_64, token, 0), Some(Arch::X86_64));
        assert_eq!(Arch::of_call(Arch::X86_64, token, X32_BIT), Some(Arch::X32));
        assert_eq!(Arch::of_call(Arch::X86_64, token, u32::MAX), Some(Arch::X32));
        assert_eq!(Arch::of_call(Arch::X86_64, Arch::Arm.token(), 0), None);
    }
}
