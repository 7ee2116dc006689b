// SPDX-License-Identifier: Apache-2.0
//! Control data, made anew from what a caller wants sent with its message.

use std::os::fd::{AsRawFd, OwnedFd};

use brig_policy::call::address::Destination;
use brig_policy::call::control::{Effect, Item, encode};
use brig_policy::policy::Errno;

use crate::supervisor::caller::Call;

/// Control data that may go.
#[derive(Debug, Default)]
pub struct Control {
    /// In the native layout.
    pub bytes: Vec<u8>,
    /// The descriptors that it names by their numbers here.
    _carried: Vec<OwnedFd>,
}

impl Control {
    /// Makes control data that a message to this destination may carry.
    ///
    /// # Errors
    /// EACCES for what would lead the message elsewhere, EINVAL for what is not known, EBADF for
    /// descriptors that the caller has not, EPERM for what it is not.
    pub fn permitted(
        call: &Call<'_>,
        destination: &Destination,
        items: &[Item],
    ) -> Result<Self, Errno> {
        let mut carried = Vec::new();
        let mut own = Vec::with_capacity(items.len());
        for item in items {
            admit(call, item.effect(destination))?;
            own.push(translated(call, item, &mut carried)?);
        }
        Ok(Self { bytes: encode(&own), _carried: carried })
    }
}

fn admit(call: &Call<'_>, effect: Effect) -> Result<(), Errno> {
    let told = |errno| match effect {
        Effect::Redirects => {
            call.shared.judge.refuse(call, "control data that leads elsewhere", errno)
        }
        _ => errno,
    };
    effect.admit().map_err(told)
}

/// The item as the supervisor has to send it.
fn translated(call: &Call<'_>, item: &Item, carried: &mut Vec<OwnedFd>) -> Result<Item, Errno> {
    Ok(match item {
        Item::Rights(numbers) => {
            let held = numbers.iter().map(|number| call.descriptor(*number));
            let held = held.collect::<Result<Vec<_>, _>>()?;
            let own = held.iter().map(AsRawFd::as_raw_fd).collect();
            carried.extend(held);
            Item::Rights(own)
        }
        Item::Credentials { pid, uid, gid } => {
            Item::Credentials { pid: own(call, *pid)?, uid: *uid, gid: *gid }
        }
        other => other.clone(),
    })
}

/// The process that a message may claim to come from. The kernel takes the sender's own alone
/// (another one's for CAP_SYS_ADMIN, which brig does not use for it): here that is the supervisor,
/// which receivers see as 0. Of user and group it sees to it that they are the caller's.
fn own(call: &Call<'_>, claimed: i32) -> Result<i32, Errno> {
    match call.status()?.ns_tgids.last() {
        Some(pid) if *pid == claimed => Ok(rustix::process::getpid().as_raw_nonzero().get()),
        _ => Err(Errno::EPERM),
    }
}
