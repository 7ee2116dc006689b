// SPDX-License-Identifier: Apache-2.0
//! Network addresses: what an address rule names.
//!
//! `DESIGN.md` section 4: "`PROTO ADDRESS[:PORT[-PORT]]`, PROTO `tcp`, `udp`, `ip` (any protocol)
//! or `unix`; ADDRESS an address, a prefix, `*` or a named set […]; `unix /path` takes a path
//! pattern, `unix @name` an abstract name. IPv4-mapped IPv6 is IPv4; connecting to the unspecified
//! address is loopback; names, not bytes before the first NUL, are compared."
//!
//! Guarantees: an [`Address`] means the same whichever way it was spelt; an address that is
//! neither in a rule's prefix nor mapped into it is not covered. What it does not do: resolve
//! names of hosts, know the host's interfaces, or follow translation on the way (NAT, NAT64).

mod address;
mod error;
mod index;
mod named;
mod parse;

pub use address::{Address, Hosts, InetAddress, Ports, Protocol, UnixAddress};
pub use error::{AddressError, AddressErrorKind};
pub use index::Transport;
pub(crate) use index::{InetIndex, InetRule};
pub use named::NamedSet;
