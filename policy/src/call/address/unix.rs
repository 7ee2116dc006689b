// SPDX-License-Identifier: Apache-2.0
//! Addresses of UNIX sockets.
//!
//! A name that does not begin with a NUL is a path and ends at its first NUL, or where the address
//! ends: all 108 bytes may be used. One that does is abstract, and every byte of it counts, NULs
//! included (unix(7)).

use super::socket::{AF_UNIX, AF_UNSPEC, UnixKind};
use super::{Action, Destination};
use crate::call::fields::Fields;
use crate::policy::Errno;

/// `offsetof(struct sockaddr_un, sun_path)`.
const PATH_OFFSET: usize = 2;
/// `sizeof(struct sockaddr_un)`.
const LENGTH: usize = 110;

pub(super) fn parse(kind: UnixKind, action: Action, bytes: &[u8]) -> Result<Destination, Errno> {
    match (action, kind) {
        (Action::Bind, _) if bytes == AF_UNIX.to_ne_bytes() => Ok(Destination::UnixUnnamed),
        (Action::Connect, UnixKind::Datagram) if family(bytes)? == AF_UNSPEC => {
            Ok(Destination::Disconnect)
        }
        (Action::Send | Action::FastOpen, UnixKind::Datagram) if bytes.is_empty() => {
            Ok(Destination::Absent)
        }
        (Action::Send | Action::FastOpen, UnixKind::Stream | UnixKind::Packet) => {
            Ok(Destination::Ignored)
        }
        _ => name(bytes),
    }
}

fn family(bytes: &[u8]) -> Result<u16, Errno> {
    Fields::new(bytes).u16().map_err(|_| Errno::EINVAL)
}

fn name(bytes: &[u8]) -> Result<Destination, Errno> {
    if bytes.len() <= PATH_OFFSET || bytes.len() > LENGTH || family(bytes)? != AF_UNIX {
        return Err(Errno::EINVAL);
    }
    let path = bytes.get(PATH_OFFSET..).ok_or(Errno::EINVAL)?;
    Ok(match path.split_first() {
        Some((0, name)) => Destination::UnixAbstract(name.into()),
        _ => Destination::UnixPath(path.split(|byte| *byte == 0).next().unwrap_or(path).into()),
    })
}

/// The `sockaddr` of an abstract name.
pub(super) fn encode_abstract(name: &[u8]) -> Vec<u8> {
    let mut bytes = AF_UNIX.to_ne_bytes().to_vec();
    bytes.push(0);
    bytes.extend_from_slice(name);
    bytes
}
