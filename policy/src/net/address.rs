// SPDX-License-Identifier: Apache-2.0
//! A parsed address rule.

use std::fmt;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::error::AddressError;
use super::{NamedSet, parse};
use crate::path::{NamePattern, Pattern};

/// What an address rule names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// `*`: everything, of every family.
    Everything,
    /// Internet addresses.
    Inet(InetAddress),
    /// UNIX sockets.
    Unix(UnixAddress),
}

/// Internet addresses of a protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InetAddress {
    /// Which protocol.
    pub protocol: Protocol,
    /// Which hosts.
    pub hosts: Hosts,
    /// Which ports.
    pub ports: Ports,
}

/// The protocol of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// `ip`: any, TCP and UDP included.
    Any,
}

/// The hosts of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hosts {
    /// `*`: any, of both families.
    Any,
    /// An address (a prefix of full length) or a prefix; one of IPv4-mapped addresses is IPv4's.
    Net(IpNet),
    /// `@name`.
    Named(NamedSet),
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ports {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl Ports {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// Whether the port is in the range.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// UNIX sockets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnixAddress {
    /// `unix *`: any, unnamed ones included.
    Any,
    /// `unix /path`: sockets at these paths.
    Path(Pattern),
    /// `unix @name`: abstract names.
    Abstract(NamePattern),
}

impl Address {
    /// Parses an address rule.
    ///
    /// # Errors
    /// The first error, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        parse::address(text)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Any => "ip",
        })
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Named(set) => out.write_str(set.name()),
            Self::Net(IpNet::V4(net)) if net.prefix_len() == 32 => write!(out, "{}", net.addr()),
            Self::Net(IpNet::V4(net)) => write!(out, "{net}"),
            Self::Net(IpNet::V6(net)) if net.prefix_len() == 128 => write!(out, "[{}]", net.addr()),
            Self::Net(IpNet::V6(net)) => write!(out, "[{net}]"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => out.write_str("*"),
            Self::Inet(InetAddress { protocol, hosts, ports }) => {
                write!(out, "{protocol} {hosts}")?;
                match *ports {
                    Ports::ALL => Ok(()),
                    Ports { first, last } if first == last => write!(out, ":{first}"),
                    Ports { first, last } => write!(out, ":{first}-{last}"),
                }
            }
            Self::Unix(UnixAddress::Any) => out.write_str("unix *"),
            Self::Unix(UnixAddress::Path(pattern)) => write!(out, "unix {pattern}"),
            Self::Unix(UnixAddress::Abstract(name)) => write!(out, "unix @{}", name.text()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Address({self})")
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
