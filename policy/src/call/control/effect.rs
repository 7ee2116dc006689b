// SPDX-License-Identifier: Apache-2.0
//! What an item of control data can do to a message whose address was decided about.
//!
//! The question is where the packet goes, not what it looks like. What is not in the table is
//! refused: a protocol that this module does not know may well take destinations from control data
//! (SCTP does: `SCTP_DSTADDRV4`). KERNEL(6.18): `ip_cmsg_send`, `ip6_datagram_send_ctl`,
//! `__sock_cmsg_send`, `udp_cmsg_send`, `__scm_send`.

use super::{Item, SOL_SOCKET};
use crate::call::address::Destination;
use crate::policy::Errno;

const SOL_IP: i32 = 0;
const SOL_UDP: i32 = 17;
const SOL_IPV6: i32 = 41;
const SOL_TLS: i32 = 282;

/// What an item can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Carries descriptors of the caller, which the sender has to have under numbers of its own.
    Descriptors,
    /// Claims an identity: the kernel checks it against that of the sender.
    Identity,
    /// Changes nothing about where a packet goes.
    Harmless,
    /// Needs a capability, which the kernel looks for in the sender: harmless only if the sender has
    /// no more than the caller. `SO_MARK` and `SO_PRIORITY` choose among routes; IPv6's options of
    /// hops and destinations are read by whoever gets the packet.
    Privileged,
    /// Chooses another way or another sender than was decided about: `IP_RETOPTS` can hold a source
    /// route, a routing header is one, a flow label can have one attached to it (`IPV6_FLOWINFO`),
    /// and `IP_PKTINFO` and `IPV6_PKTINFO` name the source address and the interface.
    Redirects,
    /// Not known.
    Unknown,
}

impl Effect {
    /// Whether a message may carry the item.
    ///
    /// # Errors
    ///
    /// `EACCES` for what leads elsewhere, `EINVAL` for what is not known, as a kernel has it that
    /// does not know it.
    pub const fn admit(self) -> Result<(), Errno> {
        match self {
            Self::Descriptors | Self::Identity | Self::Harmless | Self::Privileged => Ok(()),
            Self::Redirects => Err(Errno::EACCES),
            Self::Unknown => Err(Errno::EINVAL),
        }
    }
}

impl Item {
    /// What it can do to a message with this destination.
    #[must_use]
    pub const fn effect(&self, destination: &Destination) -> Effect {
        match (self, destination) {
            (Self::Rights(_), _) => Effect::Descriptors,
            (Self::Credentials { .. }, _) => Effect::Identity,
            // No rule speaks about where these go.
            (Self::Other { .. }, Destination::NotGoverned) => Effect::Harmless,
            (Self::Other { level, kind, .. }, _) => effect(*level, *kind),
        }
    }
}

const fn effect(level: i32, kind: i32) -> Effect {
    match level {
        SOL_SOCKET => match kind {
            // SO_TIMESTAMPING (both widths), SCM_TXTIME, SCM_TS_OPT_ID
            37 | 65 | 61 | 81 => Effect::Harmless,
            // SO_PRIORITY, SO_MARK
            12 | 36 => Effect::Privileged,
            _ => Effect::Unknown,
        },
        SOL_IP => match kind {
            // IP_TOS, IP_TTL
            1 | 2 => Effect::Harmless,
            // IP_RETOPTS, IP_PKTINFO
            7 | 8 => Effect::Redirects,
            // Among them IP_PROTOCOL, with which a raw socket sends another protocol than its own.
            _ => Effect::Unknown,
        },
        SOL_IPV6 => match kind {
            // IPV6_2292HOPLIMIT, IPV6_HOPLIMIT, IPV6_DONTFRAG, IPV6_TCLASS
            8 | 52 | 62 | 67 => Effect::Harmless,
            // IPV6_2292HOPOPTS, IPV6_2292DSTOPTS, IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, IPV6_DSTOPTS
            3 | 4 | 54 | 55 | 59 => Effect::Privileged,
            // IPV6_2292PKTINFO, IPV6_2292RTHDR, IPV6_FLOWINFO, IPV6_PKTINFO, IPV6_RTHDR
            2 | 5 | 11 | 50 | 57 => Effect::Redirects,
            _ => Effect::Unknown,
        },
        // UDP_SEGMENT
        SOL_UDP if kind == 103 => Effect::Harmless,
        // TLS_SET_RECORD_TYPE
        SOL_TLS if kind == 1 => Effect::Harmless,
        _ => Effect::Unknown,
    }
}
