// SPDX-License-Identifier: Apache-2.0
//! Which family of calls answers a notification.

use std::os::fd::BorrowedFd;

use brig_policy::call::Layout;
use brig_policy::policy::Errno;
use brig_policy::seccomp::{Arch, Syscall};

use super::answer::{Outcome, Reply, Witness};
use super::caller::{Call, Worker};
use super::{Shared, files, network};
use crate::sys::notify::Notification;

/// Answers. What no family knows is denied.
pub fn answer(
    shared: &Shared,
    worker: Worker<'_>,
    listener: BorrowedFd<'_>,
    notification: &Notification,
) -> Outcome {
    let native = Arch::of_build().ok_or(Errno::ENOSYS)?;
    if native.token() == notification.arch && shared.continued.contains(&notification.number) {
        return Ok(Reply::Continue(Witness::Seat));
    }
    let number = notification.number.cast_unsigned();
    let arch = Arch::of_call(native, notification.arch, number).ok_or(Errno::ENOSYS)?;
    let syscall = shared.calls.find(arch, number).ok_or(Errno::ENOSYS)?;
    if let Some(outcome) = follow(shared, syscall) {
        return outcome;
    }
    let kind = (syscall, Layout::of(arch));
    let call = Call::new(shared, worker, listener, *notification, kind);
    let answers = files::answer(&call).or_else(|| network::answer(&call));
    answers.unwrap_or(Err(Errno::EPERM))
}

/// Calls that are only taken note of, before the kernel goes on with them.
fn follow(shared: &Shared, syscall: Syscall) -> Option<Outcome> {
    match syscall.name() {
        "setgroups" | "setgroups32" => shared.group_changes.note(),
        "chroot" | "pivot_root" => shared.roots.note(),
        _ => return None,
    }
    Some(Ok(Reply::Continue(Witness::Noted)))
}

/// The calls of the native architecture by number.
#[derive(Debug)]
pub struct Calls {
    native: Option<Arch>,
    by_number: Vec<Option<Syscall>>,
}

impl Calls {
    /// Of this architecture.
    pub fn new() -> Self {
        /// No architecture has numbers beyond, save those that add a constant to all of them.
        const MOST: u32 = 1024;
        let native = Arch::of_build();
        let call = |number| native.and_then(|arch| Syscall::by_number(arch, number).next());
        Self { native, by_number: (0..MOST).map(call).collect() }
    }

    fn find(&self, arch: Arch, number: u32) -> Option<Syscall> {
        let index = usize::try_from(number).ok()?;
        match self.by_number.get(index) {
            Some(call) if self.native == Some(arch) => *call,
            _ => Syscall::by_number(arch, number).next(),
        }
    }
}
