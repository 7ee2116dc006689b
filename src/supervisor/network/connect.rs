// SPDX-License-Identifier: Apache-2.0
//! connect(2).
//!
//! A connection that waits, and is begun again after a signal, goes on with the same attempt: the
//! kernel keeps its state in the socket, of which brig has a duplicate.

use brig_policy::call::address::{Action, parse};
use brig_policy::call::sockets::Address;

use super::address::{self, Target};
use super::{Held, Stop, begin, wait};
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::sys::sockaddr;

/// Answers.
pub fn connect(call: &Call<'_>, number: i32, address: Address) -> Outcome {
    // nothing of the caller's is held meanwhile: a FUSE server whose device were held here, and whose
    // page the address is in, would not end with the container, nor would this worker
    let given = address::copy(call, address);
    let fd = call.descriptor(number)?;
    // the kernel copies the address before it looks whether it is for a socket
    let given = given?;
    let socket = Held::new(fd)?;
    let destination = parse(socket.kind, Action::Connect, &given)?;
    let target = Target::permitted(call, Action::Connect, &destination, &given)?;
    begin(call)?;
    match reach(call, &socket, &target) {
        Ok(()) => Ok(Reply::Value(0)),
        Err(stop) => stop.outcome(&socket),
    }
}

/// RACE: whether it waits for the peer is a flag that the caller can change at any moment, so that
/// whatever can wait is looked after.
fn reach(call: &Call<'_>, socket: &Held, target: &Target) -> Result<(), Stop> {
    let act = || sockaddr::connect(socket.as_fd(), target.sockaddr());
    match socket.kind.is_connectionless() {
        true => act().map_err(|error| Stop::Failed(errno(error))),
        false => wait(call, act),
    }
}
