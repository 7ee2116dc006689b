// SPDX-License-Identifier: Apache-2.0
//! What can be wrong with an address rule, and where.

use crate::path::PatternErrorKind;

/// An error in an address rule, with the bytes of its text that a caret should point at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct AddressError {
    /// The first byte of the text that is wrong.
    pub offset: usize,
    /// How many bytes are wrong; 0 only at the end of the text.
    pub len: usize,
    /// What is wrong.
    pub kind: AddressErrorKind,
}

/// The kinds of [`AddressError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressErrorKind {
    /// The text is empty.
    #[error("an address rule must not be empty")]
    Empty,
    /// What stands first is no protocol.
    #[error("a protocol must come first: `tcp`, `udp`, `ip` or `unix`")]
    UnknownProtocol,
    /// Nothing follows the protocol.
    #[error("an address must follow the protocol (`*` for any)")]
    MissingAddress,
    /// `@name` is no named set.
    #[error("no named set of addresses is called this")]
    UnknownSet,
    /// It is neither an address, a prefix, `*` nor a named set.
    #[error(
        "this is neither an IP address, a prefix, `*` nor a named set (names are not resolved)"
    )]
    NotAnAddress,
    /// An IPv6 address without brackets.
    #[error("an IPv6 address stands in brackets: `[2001:db8::1]:443`")]
    NeedsBrackets,
    /// `[` without `]`.
    #[error("`[` has no closing `]`")]
    UnclosedBracket,
    /// An IPv4 address in brackets.
    #[error("brackets are for IPv6 addresses only")]
    NotIpv6,
    /// A length of prefix that is no number or too large.
    #[error("the prefix length must be a number from 0 to {max}")]
    BadPrefixLength {
        /// The largest for the family.
        max: u8,
    },
    /// Bits beyond the prefix length are set.
    #[error("bits beyond the prefix are set: the prefix is `{network}`")]
    HostBits {
        /// The prefix that it is in.
        network: String,
    },
    /// A zone (`%eth0`).
    #[error("addresses with a zone (`%eth0`) are not supported")]
    Zone,
    /// The port is no number up to 65535.
    #[error("a port must be a number from 0 to 65535")]
    BadPort,
    /// The range of ports runs backwards.
    #[error("the range of ports runs backwards")]
    BackwardPorts,
    /// `ip` with a port.
    #[error(
        "`ip` is any protocol, and not all have ports: write one rule for `tcp`, one for `udp`"
    )]
    PortOfAnyProtocol,
    /// Something follows where the rule should have ended.
    #[error("nothing may follow here")]
    Trailing,
    /// A path pattern or pattern of a name is wrong.
    #[error("{0}")]
    Pattern(PatternErrorKind),
    /// The text is longer than any rule can be.
    #[error("an address rule must not be longer than 8200 bytes")]
    TooLong,
}

impl AddressErrorKind {
    /// The words that could have stood there, to suggest the nearest from.
    #[must_use]
    pub fn candidates(&self) -> &'static [&'static str] {
        match self {
            Self::UnknownProtocol => &["tcp", "udp", "ip", "unix"],
            Self::UnknownSet => &super::NamedSet::NAMES,
            _ => &[],
        }
    }
}
