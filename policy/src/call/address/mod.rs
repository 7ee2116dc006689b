// SPDX-License-Identifier: Apache-2.0
//! Socket addresses: what a `sockaddr` means to the socket that it is given to.
//!
//! The same bytes are different addresses to different sockets: sixteen bytes of AF_UNSPEC
//! disconnect a UDP socket that connects, are an IPv4 destination where it sends, and nothing at all
//! where an IPv6 one does. So [`parse`] takes the socket and what is done with it.
//!
//! Guarantees: an address that is not refused is the one that the kernel would use, and what
//! [`Destination::encode`] writes is that address and nothing else that the workload said.
//!
//! What it does not know: options of the socket. `IP_OPTIONS` and `IPV6_RTHDR` (a route through other
//! hosts) and `IP_HDRINCL` (headers written by the sender) make packets go elsewhere whatever the
//! address is; they have to be denied where they are set.

mod inet;
mod socket;
mod unix;

pub use inet::InetAddress;
pub use socket::{Cut, Socket};

use super::layout::{Layout, Pointer, Span};
use crate::decide::{Endpoint, NetworkAction};
use crate::policy::Errno;
use socket::{AF_UNIX, AF_UNSPEC, Family};

/// `sizeof(struct sockaddr_storage)`: bytes of the longest address.
pub const LONGEST: usize = 128;

/// What an address is given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// connect(2).
    Connect,
    /// bind(2).
    Bind,
    /// sendto(2), sendmsg(2), sendmmsg(2).
    Send,
    /// The same with `MSG_FASTOPEN`, which connects a TCP socket.
    FastOpen,
}

impl Action {
    /// What is decided about.
    #[must_use]
    pub const fn decided(self) -> NetworkAction {
        match self {
            Self::Connect | Self::FastOpen => NetworkAction::Connect,
            Self::Bind => NetworkAction::Bind,
            Self::Send => NetworkAction::Send,
        }
    }
}

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An address of the internet.
    Inet(InetAddress),
    /// The path of a UNIX socket: not empty, without a NUL, still to be resolved.
    UnixPath(Box<[u8]>),
    /// An abstract name, without the NUL that it begins with.
    UnixAbstract(Box<[u8]>),
    /// No name: the kernel chooses an abstract one.
    UnixUnnamed,
    /// An end to being connected.
    Disconnect,
    /// No address: the socket's peer is meant, about which was decided when it was connected.
    Absent,
    /// An address that the kernel does not use, because the socket sends to its peer alone. Performed
    /// with the bytes that were copied, it fails or succeeds as the kernel has it.
    Ignored,
    /// An address of a family that no rule speaks about.
    NotGoverned,
}

impl Destination {
    /// What is to be decided about, if anything. A path has to be resolved first.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Inet(inet) => Some(inet.endpoint()),
            Self::UnixAbstract(name) => Some(Endpoint::UnixAbstract(name.clone())),
            Self::UnixUnnamed => Some(Endpoint::UnixUnnamed),
            Self::UnixPath(_)
            | Self::Disconnect
            | Self::Absent
            | Self::Ignored
            | Self::NotGoverned => None,
        }
    }

    /// The `sockaddr` to perform with: made from what was decided about. `None` where there is no
    /// address, and where it is not for this module to write (a path is resolved; what is not
    /// governed is performed with the bytes that were copied).
    #[must_use]
    pub fn encode(&self, action: Action) -> Option<Vec<u8>> {
        match self {
            Self::Inet(inet) => Some(inet.encode(action)),
            Self::UnixAbstract(name) => Some(unix::encode_abstract(name)),
            Self::UnixUnnamed => Some(AF_UNIX.to_ne_bytes().to_vec()),
            // Some protocols want a whole sockaddr, though they look at the family alone.
            Self::Disconnect => Some([&AF_UNSPEC.to_ne_bytes()[..], &[0; 14]].concat()),
            Self::UnixPath(_) | Self::Absent | Self::Ignored | Self::NotGoverned => None,
        }
    }
}

/// Which bytes to copy of the address that connect(2), bind(2) or sendto(2) is given.
///
/// # Errors
///
/// `EINVAL` for a length that no address has.
pub fn plan(layout: Layout, address: Pointer, length: i32) -> Result<Span, Errno> {
    match usize::try_from(length) {
        Ok(0) => Span::new(layout, Pointer(0), 0),
        Ok(length @ 1..=LONGEST) => Span::new(layout, address, length),
        _ => Err(Errno::EINVAL),
    }
}

/// What it means to a socket that no address is given at all.
#[must_use]
pub const fn absent(socket: Socket) -> Destination {
    match socket.family() {
        Family::Inet(..) | Family::Unix(_) => Destination::Absent,
        Family::Other => Destination::NotGoverned,
    }
}

/// What a copied address means to a socket.
///
/// Where no address is given at all (`NULL` for sendto(2), also no bytes for sendmsg(2)), there is
/// nothing to parse: that is [`absent`].
///
/// # Errors
///
/// What the kernel says of an address that is too short or long, or of the wrong family.
pub fn parse(socket: Socket, action: Action, bytes: &[u8]) -> Result<Destination, Errno> {
    if bytes.len() > LONGEST {
        return Err(Errno::EINVAL);
    }
    match socket.family() {
        Family::Inet(version, protocol) => inet::parse(version, protocol, action, bytes),
        Family::Unix(kind) => unix::parse(kind, action, bytes),
        Family::Other => Ok(Destination::NotGoverned),
    }
}
