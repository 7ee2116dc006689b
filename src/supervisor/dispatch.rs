// SPDX-License-Identifier: Apache-2.0
//! Which family of calls answers a notification.

use std::os::fd::BorrowedFd;

use brig_policy::call::Layout;
use brig_policy::policy::Errno;
use brig_policy::seccomp::{Arch, Syscall};

use super::answer::{Outcome, Reply, Witness};
use super::caller::Call;
use super::pool::Slot;
use super::standing::Standing;
use super::{Shared, files};
use crate::sys::notify::Notification;

/// Answers. What no family knows is denied.
pub fn answer(
    shared: &Shared,
    standing: &Standing,
    slot: &Slot,
    listener: BorrowedFd<'_>,
    notification: &Notification,
) -> Outcome {
    let native = Arch::of_build().ok_or(Errno::ENOSYS)?;
    if native.token() == notification.arch && shared.continued.contains(&notification.number) {
        return Ok(Reply::Continue(Witness::Seat));
    }
    let number = notification.number.cast_unsigned();
    let arch = Arch::of_call(native, notification.arch, number).ok_or(Errno::ENOSYS)?;
    let syscall = Syscall::by_number(arch, number).next().ok_or(Errno::ENOSYS)?;
    let kind = (syscall, Layout::of(arch));
    let call = Call::new(shared, standing, slot, listener, *notification, kind);
    files::answer(&call).unwrap_or(Err(Errno::EPERM))
}
