// SPDX-License-Identifier: Apache-2.0
//! Peers' addresses: decided about, and in the form that is used.

use brig_policy::call::Pointer;
use brig_policy::call::address::{Action, Destination};
use brig_policy::call::files::{At, Base, Empty, Last};
use brig_policy::decide::{Endpoint, NetworkOperation};
use brig_policy::policy::Errno;

use crate::supervisor::answer::errno;
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::place::{Found, Limits};

/// A peer's address that may be used.
#[derive(Debug)]
pub struct Target {
    sockaddr: Vec<u8>,
    /// What the address leads to by a descriptor's number.
    _held: Option<Found>,
}

impl Target {
    /// The `sockaddr`; empty where there is none.
    pub fn sockaddr(&self) -> &[u8] {
        &self.sockaddr
    }

    fn of(sockaddr: Vec<u8>) -> Self {
        Self { sockaddr, _held: None }
    }

    /// The address that was `given`, if it may be used. May become the caller.
    ///
    /// # Errors
    /// The errno of what denies it; what the kernel says of a path.
    pub fn permitted(
        call: &Call<'_>,
        action: Action,
        destination: &Destination,
        given: &[u8],
    ) -> Result<Self, Errno> {
        match destination {
            Destination::UnixPath(path) => Self::at_path(call, action, path),
            Destination::Absent => Ok(Self::of(Vec::new())),
            // the kernel looks at it no further, or no rule speaks about it
            Destination::Ignored | Destination::NotGoverned => Ok(Self::of(given.to_vec())),
            Destination::Disconnect
            | Destination::Inet(_)
            | Destination::UnixAbstract(_)
            | Destination::UnixUnnamed => {
                if let Some(endpoint) = destination.endpoint() {
                    let _permitted = decide(call, action, endpoint)?;
                }
                destination.encode(action).map(Self::of).ok_or(Errno::EINVAL)
            }
        }
    }

    /// What a path leads to is held, decided about by its real name, and reached by the descriptor,
    /// from the /proc/self/fd that workers are in.
    fn at_path(call: &Call<'_>, action: Action, path: &[u8]) -> Result<Self, Errno> {
        const AF_UNIX: u16 = 1;
        let found = call.find(&from_cwd(Last::Follow), path, Limits::NONE)?;
        // what has no place in a file system has no name that could have been bound
        let real = found.path.clone().ok_or(Errno::ECONNREFUSED)?;
        let _permitted = decide(call, action, Endpoint::UnixPath(real))?;
        let mut sockaddr = AF_UNIX.to_ne_bytes().to_vec();
        sockaddr.extend_from_slice(found.by_descriptor().as_bytes());
        sockaddr.push(0);
        Ok(Self { sockaddr, _held: Some(found) })
    }
}

/// Asks for an address.
///
/// # Errors
/// The errno of what denies it.
pub fn decide(call: &Call<'_>, action: Action, endpoint: Endpoint) -> Result<Permitted, Errno> {
    let operation = NetworkOperation { action: action.decided(), endpoint };
    call.shared.judge.network(call, operation)
}

/// Where the paths of sockets begin. Their bytes have been copied already.
pub fn from_cwd(last: Last) -> At {
    At { base: Base::Cwd, path: Pointer(0), last, empty: Empty::Refused }
}

/// Copies the address that a call was given.
///
/// # Errors
/// EINVAL for a length that no address has, EFAULT.
pub fn copy(
    call: &Call<'_>,
    address: brig_policy::call::sockets::Address,
) -> Result<Vec<u8>, Errno> {
    let brig_policy::call::sockets::Address { pointer, length } = address;
    call.copy(brig_policy::call::address::plan(call.layout, pointer, length)?)
}

/// The name that a socket has.
///
/// # Errors
/// The kernel's.
pub fn own_name(socket: &super::Held) -> Result<Vec<u8>, Errno> {
    crate::sys::sockaddr::name(socket.as_fd()).map_err(errno)
}
