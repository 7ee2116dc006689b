// SPDX-License-Identifier: Apache-2.0
//! listen(2), which gives a socket without a port one of the kernel's choice, on every interface.

use brig_policy::call::address::{Action, Destination, InetAddress, parse};
use brig_policy::policy::Errno;
use rustix::net::Shutdown;

use super::address::{decide, own_name};
use super::{Held, begin};
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;

/// Answers.
pub fn listen(call: &Call<'_>, number: i32, backlog: i32) -> Outcome {
    let socket = Held::of(call, number)?;
    let before = port_taken(&socket)?;
    if let Some(name @ InetAddress { port: 0, .. }) = before {
        let _permitted = decide(call, Action::Bind, name.endpoint())?;
    }
    begin(call)?;
    rustix::net::listen(&socket.fd, backlog).map_err(errno)?;
    check_after(call, &socket, before)?;
    Ok(Reply::Value(0))
}

/// RACE: the caller may have taken the socket's port away (connect(2) with AF_UNSPEC) after it was
/// looked at, so that listening took another one. It did not ask for that one: the socket is of no
/// use from here on.
fn check_after(call: &Call<'_>, socket: &Held, before: Option<InetAddress>) -> Result<(), Errno> {
    let (Some(before), Some(after)) = (before, port_taken(socket)?) else { return Ok(()) };
    if before.port == 0 || before.port == after.port {
        return Ok(());
    }
    let unasked = InetAddress { port: 0, ..after };
    let allowed = decide(call, Action::Bind, unasked.endpoint());
    allowed.map(drop).inspect_err(|_| {
        // what listens already can be shut down
        rustix::net::shutdown(&socket.fd, Shutdown::Both).unwrap_or_default();
    })
}

/// The address of a socket that listening would give a port; `None` where ports mean nothing.
fn port_taken(socket: &Held) -> Result<Option<InetAddress>, Errno> {
    // the kernel's name of a UNIX socket may be longer than any that it takes
    if socket.kind.is_connectionless() || !socket.kind.is_internet() {
        return Ok(None);
    }
    let name = own_name(socket)?;
    match parse(socket.kind, Action::Bind, &name)? {
        Destination::Inet(inet) => Ok(Some(inet)),
        _ => Ok(None),
    }
}
