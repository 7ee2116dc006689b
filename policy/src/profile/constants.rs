// SPDX-License-Identifier: Apache-2.0
//! Names of the values that arguments of system calls have.
//!
//! The values are those of the kernel's headers for x86-64, aarch64 and riscv64,
//! which agree on all of them.

use crate::diagnostics::nearest;

/// Name and value, by name.
const CONSTANTS: &[(&str, u64)] = &[
    ("AF_ALG", 38),
    ("AF_APPLETALK", 5),
    ("AF_AX25", 3),
    ("AF_BLUETOOTH", 31),
    ("AF_CAN", 29),
    ("AF_IB", 27),
    ("AF_INET", 2),
    ("AF_INET6", 10),
    ("AF_IPX", 4),
    ("AF_KCM", 41),
    ("AF_KEY", 15),
    ("AF_LLC", 26),
    ("AF_MCTP", 45),
    ("AF_MPLS", 28),
    ("AF_NETLINK", 16),
    ("AF_NFC", 39),
    ("AF_PACKET", 17),
    ("AF_PHONET", 35),
    ("AF_PPPOX", 24),
    ("AF_QIPCRTR", 42),
    ("AF_RDS", 21),
    ("AF_RXRPC", 33),
    ("AF_SMC", 43),
    ("AF_TIPC", 30),
    ("AF_UNIX", 1),
    ("AF_VSOCK", 40),
    ("AF_X25", 9),
    ("AF_XDP", 44),
    ("CLONE_NEWCGROUP", 0x0200_0000),
    ("CLONE_NEWIPC", 0x0800_0000),
    ("CLONE_NEWNET", 0x4000_0000),
    ("CLONE_NEWNS", 0x0002_0000),
    ("CLONE_NEWPID", 0x2000_0000),
    ("CLONE_NEWTIME", 0x80),
    ("CLONE_NEWUSER", 0x1000_0000),
    ("CLONE_NEWUTS", 0x0400_0000),
    ("FIOSETOWN", 0x8901),
    ("MFD_EXEC", 0x10),
    ("PER_LINUX", 0),
    ("PER_LINUX32", 8),
    ("PER_QUERY", 0xffff_ffff),
    ("PR_SET_MM", 35),
    ("PR_SET_PTRACER", 0x5961_6d61),
    ("PR_SET_SPECULATION_CTRL", 53),
    ("SIOCSIFFLAGS", 0x8914),
    ("SIOCSPGRP", 0x8902),
    ("SOCK_DGRAM", 2),
    ("SOCK_RAW", 3),
    ("SOCK_SEQPACKET", 5),
    ("SOCK_STREAM", 1),
    ("TIOCLINUX", 0x541c),
    ("TIOCSETD", 0x5423),
    ("TIOCSTI", 0x5412),
];

/// All names.
pub(super) fn names() -> Vec<&'static str> {
    CONSTANTS.iter().map(|(name, _)| *name).collect()
}

/// The number that a text stands for: a number in decimal or with `0x`, a name,
/// or several of these with `|` between them.
pub(super) fn value(text: &str) -> Result<u64, Unknown<'_>> {
    text.split('|').try_fold(0, |all, part| Ok(all | single(part.trim())?))
}

/// The part of a text that is no name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown<'a>(pub(super) &'a str);

impl Unknown<'_> {
    /// What was probably meant.
    pub(super) fn nearest(&self) -> Option<&'static str> {
        nearest(self.0, CONSTANTS.iter().map(|(name, _)| *name))
    }
}

fn single(text: &str) -> Result<u64, Unknown<'_>> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let named = || CONSTANTS.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    number.or_else(named).ok_or(Unknown(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_combinations_have_values() {
        assert_eq!(value("TIOCSTI"), Ok(0x5412));
        assert_eq!(value("0xffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(value("7"), Ok(7));
        assert_eq!(value("CLONE_NEWUSER | CLONE_NEWNS"), Ok(0x1002_0000));
        assert_eq!(value("TIOCSTY"), Err(Unknown("TIOCSTY")));
        assert_eq!(Unknown("TIOCSTY").nearest(), Some("TIOCSTI"));
        assert!(value("").is_err() && value("1|").is_err());
    }

    #[test]
    fn constants_are_sorted_by_name() {
        assert!(CONSTANTS.is_sorted_by_key(|(name, _)| *name));
    }
}
