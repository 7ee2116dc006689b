// SPDX-License-Identifier: Apache-2.0
//! `[syscalls]`: which system calls, with which arguments.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Origin;
use crate::seccomp::{Arch, Syscall};

/// The section `[syscalls]`, "on top of the spec's own seccomp".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syscalls {
    /// `allow`: when present, nothing else is. `None`: nothing is restricted.
    pub allow: Option<Vec<SyscallRule>>,
    /// `deny`: answered with the rule's errno.
    pub deny: Vec<SyscallRule>,
    /// `kill`: the process is killed.
    pub kill: Vec<SyscallRule>,
}

/// System calls that a rule names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SyscallRule {
    /// The calls: one, or a set's members less the rule's `except`. Sorted, without duplicates.
    pub calls: Vec<Syscall>,
    /// The name of the set (`@mount`), if it was written as one.
    pub set: Option<Arc<str>>,
    /// Conditions on arguments; all must hold. None: always.
    pub conditions: Vec<Condition>,
    /// What a deny answers.
    pub errno: Errno,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// Where it is written.
    pub origin: Origin,
}

impl SyscallRule {
    /// A rule without conditions, without a reason, answered with `EPERM`.
    #[must_use]
    pub fn new(mut calls: Vec<Syscall>, origin: Origin) -> Self {
        calls.sort();
        calls.dedup();
        Self { calls, set: None, conditions: Vec::new(), errno: Errno::EPERM, reason: None, origin }
    }
}

/// A condition on one argument.
///
/// "Arguments are compared at the width that the kernel uses (32 bits for `int` arguments)"
/// (section 5): which that is, the call and the architecture say, so it is not written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condition {
    /// Which argument, 0 to 5.
    pub arg: u8,
    /// How it is compared, as an unsigned number.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// The argument is the value.
    Equal,
    /// The argument is not the value.
    NotEqual,
    /// The argument is less than the value.
    Less,
    /// The argument is at most the value.
    LessOrEqual,
    /// The argument is greater than the value.
    Greater,
    /// The argument is at least the value.
    GreaterOrEqual,
    /// The argument's bits in the mask are the value.
    MaskedEqual {
        /// The bits that are looked at.
        mask: u64,
    },
    /// The argument's bits in the mask are not the value.
    MaskedNotEqual {
        /// The bits that are looked at.
        mask: u64,
    },
}

impl Condition {
    /// Whether it holds for a call's arguments, as they are in the registers of `arch`.
    #[must_use]
    pub fn holds(&self, call: Syscall, arch: Arch, args: &[u64; 6]) -> bool {
        let cut = call.width(arch, self.arg).mask();
        let Some(arg) = args.get(usize::from(self.arg)).map(|arg| arg & cut) else { return false };
        let value = self.value & cut;
        match self.comparison {
            Comparison::Equal => arg == value,
            Comparison::NotEqual => arg != value,
            Comparison::Less => arg < value,
            Comparison::LessOrEqual => arg <= value,
            Comparison::Greater => arg > value,
            Comparison::GreaterOrEqual => arg >= value,
            Comparison::MaskedEqual { mask } => arg & mask & cut == value,
            Comparison::MaskedNotEqual { mask } => arg & mask & cut != value,
        }
    }
}

/// An error number of the kernel, as errno(3) has them on every architecture that brig runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Errno(pub i32);

impl Errno {
    /// Operation not permitted.
    pub const EPERM: Self = Self(1);
    /// No such file or directory.
    pub const ENOENT: Self = Self(2);
    /// No such process.
    pub const ESRCH: Self = Self(3);
    /// Interrupted system call.
    pub const EINTR: Self = Self(4);
    /// Input/output error.
    pub const EIO: Self = Self(5);
    /// Argument list too long.
    pub const E2BIG: Self = Self(7);
    /// Bad file descriptor.
    pub const EBADF: Self = Self(9);
    /// Resource temporarily unavailable.
    pub const EAGAIN: Self = Self(11);
    /// Out of memory.
    pub const ENOMEM: Self = Self(12);
    /// Permission denied.
    pub const EACCES: Self = Self(13);
    /// Bad address.
    pub const EFAULT: Self = Self(14);
    /// Device or resource busy.
    pub const EBUSY: Self = Self(16);
    /// File exists.
    pub const EEXIST: Self = Self(17);
    /// Invalid cross-device link.
    pub const EXDEV: Self = Self(18);
    /// Not a directory.
    pub const ENOTDIR: Self = Self(20);
    /// Is a directory.
    pub const EISDIR: Self = Self(21);
    /// Invalid argument.
    pub const EINVAL: Self = Self(22);
    /// Too many open files.
    pub const EMFILE: Self = Self(24);
    /// File too large.
    pub const EFBIG: Self = Self(27);
    /// Read-only file system.
    pub const EROFS: Self = Self(30);
    /// Broken pipe.
    pub const EPIPE: Self = Self(32);
    /// Result out of range.
    pub const ERANGE: Self = Self(34);
    /// File name too long.
    pub const ENAMETOOLONG: Self = Self(36);
    /// Function not implemented.
    pub const ENOSYS: Self = Self(38);
    /// Too many levels of symbolic links.
    pub const ELOOP: Self = Self(40);
    /// Socket operation on non-socket.
    pub const ENOTSOCK: Self = Self(88);
    /// Message too long.
    pub const EMSGSIZE: Self = Self(90);
    /// Operation not supported.
    pub const EOPNOTSUPP: Self = Self(95);
    /// Address family not supported by protocol.
    pub const EAFNOSUPPORT: Self = Self(97);
    /// Address already in use.
    pub const EADDRINUSE: Self = Self(98);
    /// No buffer space available.
    pub const ENOBUFS: Self = Self(105);
    /// Connection refused.
    pub const ECONNREFUSED: Self = Self(111);

    const NAMES: [(Self, &'static str); 16] = [
        (Self::EPERM, "EPERM"),
        (Self::ENOENT, "ENOENT"),
        (Self::E2BIG, "E2BIG"),
        (Self::EAGAIN, "EAGAIN"),
        (Self::ENOMEM, "ENOMEM"),
        (Self::EACCES, "EACCES"),
        (Self::EFAULT, "EFAULT"),
        (Self::EXDEV, "EXDEV"),
        (Self::EINVAL, "EINVAL"),
        (Self::ERANGE, "ERANGE"),
        (Self::ENAMETOOLONG, "ENAMETOOLONG"),
        (Self::ENOSYS, "ENOSYS"),
        (Self::EMSGSIZE, "EMSGSIZE"),
        (Self::EOPNOTSUPP, "EOPNOTSUPP"),
        (Self::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (Self::ENOBUFS, "ENOBUFS"),
    ];

    /// The number of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(errno, _)| errno)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.into_iter().find(|(errno, _)| errno == self) {
            Some((_, name)) => out.write_str(name),
            None => write!(out, "errno {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(comparison: Comparison, call: &str, value: u64, arg: u64) -> bool {
        let call = Syscall::from_name(call).unwrap();
        Condition { arg: 1, comparison, value }.holds(call, Arch::X86_64, &[9, arg, 9, 9, 9, 9])
    }

    const INT: &str = "ioctl";
    const LONG: &str = "munmap";

    #[test]
    fn thirty_two_bit_arguments_are_compared_in_thirty_two_bits() {
        let tiocsti = 0x5412;
        assert!(holds(Comparison::Equal, INT, tiocsti, tiocsti | 1 << 32));
        assert!(!holds(Comparison::Equal, LONG, tiocsti, tiocsti | 1 << 32));
        assert!(holds(Comparison::Less, INT, 1, 1 << 32));
        assert!(holds(Comparison::Equal, INT, u64::MAX, 0xffff_ffff));
    }

    #[test]
    fn each_comparison_is_what_its_name_says() {
        for (arg, results) in [
            (4, [false, true, true, true, false, false]),
            (5, [true, false, false, true, false, true]),
            (6, [false, true, false, false, true, true]),
        ] {
            let all = [
                Comparison::Equal,
                Comparison::NotEqual,
                Comparison::Less,
                Comparison::LessOrEqual,
                Comparison::Greater,
                Comparison::GreaterOrEqual,
            ];
            assert_eq!(all.map(|comparison| holds(comparison, LONG, 5, arg)), results, "{arg}");
        }
        assert!(holds(Comparison::MaskedEqual { mask: 0xf0 }, LONG, 0x30, 0x3f));
        assert!(!holds(Comparison::MaskedEqual { mask: 0xff }, LONG, 0x30, 0x3f));
        assert!(holds(Comparison::MaskedNotEqual { mask: 0xff }, LONG, 0x30, 0x3f));
    }

    #[test]
    fn an_argument_that_does_not_exist_meets_no_condition() {
        let condition = Condition { arg: 6, comparison: Comparison::Equal, value: 0 };
        assert!(!condition.holds(Syscall::from_name(LONG).unwrap(), Arch::X86_64, &[0; 6]));
    }
}
