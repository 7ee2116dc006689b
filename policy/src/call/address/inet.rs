// SPDX-License-Identifier: Apache-2.0
//! Addresses of the internet, as each protocol of the kernel reads them.
//!
//! Protocols differ in the shortest address, in the families beside their own that they take, and in
//! which mistake they see first. KERNEL(6.1 to 6.18): `net/ipv4/{af_inet,datagram,udp,ping,raw,
//! tcp_ipv4}.c` and their peers in `net/ipv6`; compared with the running kernel by the tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::socket::{AF_INET, AF_INET6, AF_UNSPEC, Protocol, Version};
use super::{Action, Destination};
use crate::call::fields::Fields;
use crate::decide::Endpoint;
use crate::net::Transport;
use crate::policy::Errno;

/// `sizeof(struct sockaddr_in)`.
const V4_LENGTH: usize = 16;
/// `SIN6_LEN_RFC2133`: a `sockaddr_in6` without scope.
const V6_SHORT: usize = 24;
/// `sizeof(struct sockaddr_in6)`.
const V6_LENGTH: usize = 28;

/// An address of the internet, with everything of it that the kernel will be told.
///
/// The flow information of IPv6 is not among it: a flow label can carry a routing header that its
/// owner has attached to it (`IPV6_FLOWLABEL_MGR`), which leads the packet elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InetAddress {
    /// The protocol, as rules have it.
    pub transport: Transport,
    /// The host; `V6` also for an IPv4-mapped one.
    pub address: IpAddr,
    /// The port field, which is something else or nothing where the protocol has no ports.
    pub port: u16,
    /// The interface that a link-local address belongs to; 0: none was named.
    pub scope: u32,
}

impl InetAddress {
    /// What is to be decided about.
    #[must_use]
    pub const fn endpoint(&self) -> Endpoint {
        let port = match self.transport {
            Transport::Tcp | Transport::Udp => self.port,
            Transport::Other => 0,
        };
        Endpoint::Inet { transport: self.transport, address: self.address, port }
    }

    /// The `sockaddr` to perform with.
    ///
    /// Where a peer is meant, the unspecified address is written as loopback, which is what a decision
    /// takes it for. The kernel would take it for the socket's own source address, if that is set.
    #[must_use]
    pub fn encode(&self, action: Action) -> Vec<u8> {
        let address = match action {
            Action::Bind => self.address,
            Action::Connect | Action::FastOpen | Action::Send => peer(self.address),
        };
        let mut bytes = Vec::with_capacity(V6_LENGTH);
        match address {
            IpAddr::V4(v4) => {
                bytes.extend_from_slice(&AF_INET.to_ne_bytes());
                bytes.extend_from_slice(&self.port.to_be_bytes());
                bytes.extend_from_slice(&v4.octets());
                bytes.resize(V4_LENGTH, 0);
            }
            IpAddr::V6(v6) => {
                bytes.extend_from_slice(&AF_INET6.to_ne_bytes());
                bytes.extend_from_slice(&self.port.to_be_bytes());
                bytes.extend_from_slice(&[0; 4]);
                bytes.extend_from_slice(&v6.octets());
                bytes.extend_from_slice(&self.scope.to_ne_bytes());
            }
        }
        bytes
    }
}

/// A peer's address: loopback for the unspecified one, in the same form.
fn peer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.to_ipv4_mapped() == Some(Ipv4Addr::UNSPECIFIED) => {
            Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()
        }
        _ => address,
    }
}

pub(super) fn parse(
    version: Version,
    protocol: Protocol,
    action: Action,
    bytes: &[u8],
) -> Result<Destination, Errno> {
    let given = Given { bytes, protocol };
    match (protocol, action) {
        (Protocol::Foreign, _) => given.foreign(),
        (Protocol::Tcp | Protocol::Smc, Action::Send) => Ok(Destination::Ignored),
        (_, Action::Connect) => given.connect(version),
        (Protocol::Tcp | Protocol::Smc, Action::FastOpen) => match given.connect(version)? {
            Destination::Disconnect => Err(Errno::EOPNOTSUPP),
            destination => Ok(destination),
        },
        (_, Action::Bind) => given.bind(version),
        (_, Action::Send | Action::FastOpen) => given.send(version),
    }
}

/// The bytes of an address and what they are for.
#[derive(Clone, Copy)]
struct Given<'b> {
    bytes: &'b [u8],
    protocol: Protocol,
}

impl Given<'_> {
    fn family(self) -> Result<u16, Errno> {
        Fields::new(self.bytes).u16().map_err(|_| Errno::EINVAL)
    }

    fn connect(self, version: Version) -> Result<Destination, Errno> {
        match (self.family()?, version, self.protocol) {
            (AF_INET | AF_INET6, Version::V4, Protocol::Smc) => self.v4(&[AF_INET]),
            (AF_INET | AF_INET6, Version::V6, Protocol::Smc) => self.v6(V6_SHORT, &[AF_INET6]),
            (_, _, Protocol::Smc) => Err(Errno::EINVAL),
            (AF_UNSPEC, ..) => Ok(Destination::Disconnect),
            (_, Version::V4, _) => self.v4(&[AF_INET]),
            (AF_INET, Version::V6, Protocol::Udp) => self.v4(&[AF_INET]),
            (AF_INET6, Version::V6, _) => self.v6(V6_SHORT, &[AF_INET6]),
            // These look at the family before the length.
            (_, Version::V6, Protocol::Ping | Protocol::Raw) => Err(Errno::EAFNOSUPPORT),
            (_, Version::V6, _) => self.v6(V6_SHORT, &[AF_INET6]),
        }
    }

    fn bind(self, version: Version) -> Result<Destination, Errno> {
        match (version, self.protocol) {
            // Raw sockets take whatever family is said.
            (Version::V4, Protocol::Raw) => self.v4_of_any_family(),
            (Version::V4, _) => self.bind_v4(),
            (Version::V6, Protocol::Ping) => self.v6(V6_LENGTH, &[AF_INET6]),
            (Version::V6, Protocol::Raw) => {
                let wrong_family = |errno| match errno {
                    Errno::EAFNOSUPPORT => Errno::EINVAL,
                    other => other,
                };
                self.v6(V6_SHORT, &[AF_INET6]).map_err(wrong_family)
            }
            (Version::V6, _) => self.v6(V6_SHORT, &[AF_INET6]),
        }
    }

    /// "Compatibility games": AF_UNSPEC is AF_INET, but only for the unspecified address.
    fn bind_v4(self) -> Result<Destination, Errno> {
        let destination = self.v4(&[AF_INET, AF_UNSPEC])?;
        let unspecified = matches!(&destination,
            Destination::Inet(inet) if inet.address == IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        match self.family()? {
            AF_UNSPEC if !unspecified => Err(Errno::EAFNOSUPPORT),
            _ => Ok(destination),
        }
    }

    fn send(self, version: Version) -> Result<Destination, Errno> {
        match (version, self.protocol) {
            (Version::V4, Protocol::Raw) if self.bytes.is_empty() => Ok(Destination::Absent),
            (Version::V4, Protocol::Raw) => self.v4(&[AF_INET, AF_UNSPEC]),
            (Version::V4, Protocol::Udp) => with_port(self.v4(&[AF_INET, AF_UNSPEC])?),
            (Version::V4, _) => self.v4(&[AF_INET]),
            (Version::V6, Protocol::Udp) => match self.family()? {
                AF_INET => with_port(self.v4(&[AF_INET])?),
                AF_INET6 => with_port(self.v6(V6_SHORT, &[AF_INET6])?),
                AF_UNSPEC => Ok(Destination::Absent),
                _ => Err(Errno::EINVAL),
            },
            (Version::V6, Protocol::Raw) => self.v6(V6_SHORT, &[AF_INET6, AF_UNSPEC]),
            (Version::V6, _) => self.v6(V6_LENGTH, &[AF_INET6]),
        }
    }

    /// A protocol that this module does not know further: an address that is nothing else.
    fn foreign(self) -> Result<Destination, Errno> {
        match self.family()? {
            AF_INET => self.v4(&[AF_INET]),
            AF_INET6 => self.v6(V6_LENGTH, &[AF_INET6]),
            _ => Err(Errno::EINVAL),
        }
    }

    fn v4(self, families: &[u16]) -> Result<Destination, Errno> {
        let destination = self.v4_of_any_family()?;
        self.of_family(families)?;
        Ok(destination)
    }

    fn v4_of_any_family(self) -> Result<Destination, Errno> {
        let bytes = self.bytes.get(..V4_LENGTH).ok_or(Errno::EINVAL)?;
        let mut fields = Fields::new(bytes);
        fields.u16()?;
        let port = u16::from_be_bytes(fields.array()?);
        let address = Ipv4Addr::from(fields.array::<4>()?).into();
        Ok(self.inet(address, port, 0))
    }

    fn v6(self, shortest: usize, families: &[u16]) -> Result<Destination, Errno> {
        if self.bytes.len() < shortest {
            return Err(Errno::EINVAL);
        }
        self.of_family(families)?;
        let mut fields = Fields::new(self.bytes);
        fields.u16()?;
        let port = u16::from_be_bytes(fields.array()?);
        fields.u32()?; // flow information
        let address = Ipv6Addr::from(fields.array::<16>()?).into();
        // A shorter address has no scope.
        let scope = fields.u32().unwrap_or(0);
        Ok(self.inet(address, port, scope))
    }

    fn inet(self, address: IpAddr, port: u16, scope: u32) -> Destination {
        let transport = self.protocol.transport();
        Destination::Inet(InetAddress { transport, address, port, scope })
    }

    fn of_family(self, families: &[u16]) -> Result<(), Errno> {
        if families.contains(&self.family()?) { Ok(()) } else { Err(Errno::EAFNOSUPPORT) }
    }
}

/// Datagrams are not sent to port 0.
fn with_port(destination: Destination) -> Result<Destination, Errno> {
    match destination {
        Destination::Inet(InetAddress { port: 0, .. }) => Err(Errno::EINVAL),
        destination => Ok(destination),
    }
}
