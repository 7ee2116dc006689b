// SPDX-License-Identifier: Apache-2.0
//! The access rights of landlock(7), and which of them an access of the profile language is.

use serde::{Deserialize, Serialize};

use crate::policy::{Access, AccessSet};

/// A set of `LANDLOCK_ACCESS_FS_*`, by the bits of linux/landlock.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(pub u64);

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE: u64 = 1 << 4 | 1 << 5;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE: u64 = 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12;
const MAKE_BLOCK: u64 = 1 << 11;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

/// The rights of linux/landlock.h by their names, without `LANDLOCK_ACCESS_FS_`.
const NAMES: [&str; 16] = [
    "EXECUTE",
    "WRITE_FILE",
    "READ_FILE",
    "READ_DIR",
    "REMOVE_DIR",
    "REMOVE_FILE",
    "MAKE_CHAR",
    "MAKE_DIR",
    "MAKE_REG",
    "MAKE_SOCK",
    "MAKE_FIFO",
    "MAKE_BLOCK",
    "MAKE_SYM",
    "REFER",
    "TRUNCATE",
    "IOCTL_DEV",
];

impl Rights {
    /// What a rule about something that is no directory may have.
    const OF_A_FILE: Self = Self(EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV);

    /// The rights that these accesses are, at and beneath a directory.
    ///
    /// Moving to another directory (`REFER`) is creating and deleting; that nothing gains by it is
    /// what the kernel makes sure of.
    #[must_use]
    pub(crate) fn of(accesses: AccessSet) -> Self {
        let moves = AccessSet::of(&[Access::Create, Access::Delete]);
        let refer = if accesses.contains_all(moves) { REFER } else { 0 };
        Self(accesses.iter().fold(refer, |rights, access| rights | right(access)))
    }

    /// What must be handled where these accesses are restricted somewhere.
    ///
    /// KERNEL(5.19): a domain that handles anything denies `REFER` unless it is handled and
    /// granted.
    #[must_use]
    pub(crate) fn to_handle(accesses: AccessSet, truncate: Truncation) -> Self {
        if accesses.is_empty() {
            return Self::default();
        }
        let rights = Self(Self::of(accesses).0 | REFER);
        match truncate {
            Truncation::ByRight => rights,
            Truncation::ByMounts => Self(rights.0 & !TRUNCATE),
        }
    }

    /// What the kernel needs of a program's loader.
    #[must_use]
    pub const fn to_run() -> Self {
        Self(EXECUTE | READ_FILE)
    }

    /// Those of them that a rule about something that is no directory may have.
    #[must_use]
    pub(crate) fn on_a_file(self) -> Self {
        self.intersection(Self::OF_A_FILE)
    }

    /// Whether a domain that handles these denies the access wherever it is not granted.
    #[must_use]
    pub(crate) const fn bound(self, access: Access) -> Bounded {
        if right(access) & !self.0 == 0 { Bounded::ByKernel } else { Bounded::ByNobody }
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one only.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a kernel of this ABI can handle.
    ///
    /// KERNEL(5.13, 5.19, 6.2, 6.10): the rights of ABI 1, 2, 3 and 5.
    #[must_use]
    pub const fn of_abi(abi: u32) -> Self {
        Self(match abi {
            0 => 0,
            1 => REFER - 1,
            2 => (REFER << 1) - 1,
            3 | 4 => (TRUNCATE << 1) - 1,
            _ => (IOCTL_DEV << 1) - 1,
        })
    }

    /// Their names, in order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, n)| n)
    }
}

/// What keeps files from being cut where changing them is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// The right `TRUNCATE`, which the kernel evaluates at every open whatever it asks for.
    ByRight,
    /// Read-only mounts, which cost nothing.
    ByMounts,
}

/// Something that is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An access; [`Access::Modify`] is changing content.
    Access(Access),
    /// Changing mode, owner, times or extended attributes.
    Metadata,
}

/// Who keeps a workload from what the policy denies, if a mediated call is let go on and its
/// arguments are exchanged meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded {
    /// The kernel: such a call may go on.
    ByKernel,
    /// Nobody: such a call must be refused, or be made for the workload.
    ByNobody,
}

const fn right(access: Access) -> u64 {
    match access {
        Access::Read => READ_FILE,
        Access::List => READ_DIR,
        Access::Modify => WRITE_FILE | TRUNCATE,
        Access::Create => MAKE,
        Access::Delete => REMOVE,
        Access::Ioctl => IOCTL_DEV,
        Access::Device => MAKE_CHAR | MAKE_BLOCK,
        Access::Execute => EXECUTE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_accesses_are_all_rights_of_abi_5() {
        assert_eq!(Rights::of(AccessSet::ALL), Rights::of_abi(5));
        assert_eq!(Rights::of_abi(5).names().count(), 16);
    }

    #[test]
    fn moving_between_directories_is_creating_and_deleting() {
        let refer = Rights(REFER);
        assert!(Rights::of(AccessSet::WRITE).intersection(refer) == refer);
        assert!(Rights::of(AccessSet::of(&[Access::Create])).intersection(refer).is_empty());
        let handled = Rights::to_handle(AccessSet::GOVERNED_BY_EXECUTE, Truncation::ByRight);
        assert_eq!(handled, Rights(REFER | EXECUTE), "else nothing could be moved at all");
    }

    #[test]
    fn an_older_kernel_lacks_the_later_rights() {
        assert_eq!(Rights::of_abi(5).difference(Rights::of_abi(4)), Rights(IOCTL_DEV));
        assert_eq!(Rights::of_abi(3).difference(Rights::of_abi(2)), Rights(TRUNCATE));
        assert_eq!(Rights::of_abi(2).difference(Rights::of_abi(1)), Rights(REFER));
        assert_eq!(Rights::of_abi(1).names().count(), 13);
    }
}
