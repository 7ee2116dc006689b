// SPDX-License-Identifier: Apache-2.0
//! What kind of socket an address is for: that decides how the kernel reads it.

use crate::net::Transport;

pub(super) const AF_UNSPEC: u16 = 0;
pub(super) const AF_UNIX: u16 = 1;
pub(super) const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;
const AF_SMC: i32 = 43;

const SOCK_STREAM: i32 = 1;
const SOCK_DGRAM: i32 = 2;
const SOCK_RAW: i32 = 3;
const SOCK_SEQPACKET: i32 = 5;

const IPPROTO_ICMP: i32 = 1;
const IPPROTO_TCP: i32 = 6;
const IPPROTO_UDP: i32 = 17;
const IPPROTO_ICMPV6: i32 = 58;
const IPPROTO_UDPLITE: i32 = 136;
const IPPROTO_SMC: i32 = 256;
const IPPROTO_MPTCP: i32 = 262;
/// `SMCPROTO_SMC6`: a socket of AF_SMC over IPv6.
const SMCPROTO_SMC6: i32 = 1;

/// A socket, as getsockopt(2) describes it: a property of the descriptor that is acted on, not
/// something that the workload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// `SO_DOMAIN`.
    pub domain: i32,
    /// `SO_TYPE`.
    pub kind: i32,
    /// `SO_PROTOCOL`.
    pub protocol: i32,
}

/// Sockets whose addresses are read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Inet(Version, Protocol),
    Unix(UnixKind),
    /// Of no family that a policy speaks about.
    Other,
}

/// Version of the internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// TCP, and what falls back to it: MPTCP and SMC over it.
    Tcp,
    /// SMC through its own family, which looks at an address before TCP does.
    Smc,
    /// UDP, UDP-Lite.
    Udp,
    /// ICMP echo without privileges (`SOCK_DGRAM`).
    Ping,
    Raw,
    /// SCTP and whatever else: read in the one way that has no surprises, or refused.
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnixKind {
    Stream,
    Datagram,
    /// `SOCK_SEQPACKET`: connects as streams do, ignores names when sending.
    Packet,
}

/// How what is sent is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Bytes follow bytes: what is sent may be sent in several pieces.
    Anywhere,
    /// Each call sends one message.
    Nowhere,
}

impl Socket {
    /// How what is sent is cut. SCTP's streams are of messages.
    #[must_use]
    pub const fn cut(self) -> Cut {
        match (self.kind, self.family()) {
            (SOCK_STREAM, Family::Inet(_, Protocol::Foreign)) => Cut::Nowhere,
            (SOCK_STREAM, _) => Cut::Anywhere,
            _ => Cut::Nowhere,
        }
    }

    /// Whether connecting and sending waits for nobody: it is UDP, or like it.
    #[must_use]
    pub const fn is_connectionless(self) -> bool {
        !matches!(self.kind, SOCK_STREAM | SOCK_SEQPACKET)
    }

    /// Whether its addresses are of the internet: they have ports, where the protocol does.
    #[must_use]
    pub const fn is_internet(self) -> bool {
        matches!(self.family(), Family::Inet(..))
    }

    /// Whether data can connect it (`MSG_FASTOPEN`).
    #[must_use]
    pub const fn is_tcp(self) -> bool {
        matches!(self.family(), Family::Inet(_, Protocol::Tcp | Protocol::Smc))
    }

    pub(super) const fn family(self) -> Family {
        match self.domain {
            1 => Family::Unix(match self.kind {
                SOCK_STREAM => UnixKind::Stream,
                SOCK_DGRAM => UnixKind::Datagram,
                _ => UnixKind::Packet,
            }),
            2 => Family::Inet(Version::V4, self.inet_protocol()),
            10 => Family::Inet(Version::V6, self.inet_protocol()),
            AF_SMC if self.protocol == SMCPROTO_SMC6 => Family::Inet(Version::V6, Protocol::Smc),
            AF_SMC => Family::Inet(Version::V4, Protocol::Smc),
            _ => Family::Other,
        }
    }

    const fn inet_protocol(self) -> Protocol {
        match (self.kind, self.protocol) {
            (SOCK_STREAM, IPPROTO_TCP | IPPROTO_MPTCP) => Protocol::Tcp,
            (SOCK_STREAM, IPPROTO_SMC) => Protocol::Smc,
            (SOCK_DGRAM, IPPROTO_UDP | IPPROTO_UDPLITE) => Protocol::Udp,
            (SOCK_DGRAM, IPPROTO_ICMP | IPPROTO_ICMPV6) => Protocol::Ping,
            (SOCK_RAW, _) => Protocol::Raw,
            _ => Protocol::Foreign,
        }
    }
}

impl Protocol {
    /// What rules call it.
    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::Tcp | Self::Smc => Transport::Tcp,
            Self::Udp => Transport::Udp,
            Self::Ping | Self::Raw | Self::Foreign => Transport::Other,
        }
    }
}
