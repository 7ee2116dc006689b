// SPDX-License-Identifier: Apache-2.0
//! Which family of calls answers a notification.

use std::os::fd::BorrowedFd;

use brig_policy::call::Layout;
use brig_policy::call::files::{Row, row_of};
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
    let Known { syscall, kind } = shared.calls.find(arch, number).ok_or(Errno::ENOSYS)?;
    let layout = Layout::of(arch);
    let call = || Call::new(shared, worker, listener, *notification, (syscall, layout));
    match kind {
        Kind::OfGroups => shared.group_changes.note(),
        Kind::OfRoots => shared.roots.note(),
        Kind::OfFiles(row) => return files::answer(&call(), row),
        Kind::Other => return network::answer(&call()).unwrap_or(Err(Errno::EPERM)),
    }
    Ok(Reply::Continue(Witness::Noted))
}

/// A call, and who answers it.
#[derive(Clone, Copy, Debug)]
struct Known {
    syscall: Syscall,
    kind: Kind,
}

/// Who answers a call.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// It may change groups: it is taken note of, before the kernel goes on with it.
    OfGroups,
    /// The same of root directories.
    OfRoots,
    /// It is about files.
    OfFiles(&'static Row),
    /// It is about addresses, or nobody knows it.
    Other,
}

impl Known {
    fn new(syscall: Syscall) -> Self {
        let kind = match syscall.name() {
            "setgroups" | "setgroups32" => Kind::OfGroups,
            "chroot" | "pivot_root" => Kind::OfRoots,
            _ => row_of(syscall).map_or(Kind::Other, Kind::OfFiles),
        };
        Self { syscall, kind }
    }
}

/// The calls of the native architecture by number.
#[derive(Debug)]
pub struct Calls {
    native: Option<Arch>,
    by_number: Vec<Option<Known>>,
}

impl Calls {
    /// Of this architecture.
    pub fn new() -> Self {
        /// No architecture has numbers beyond, save those that add a constant to all of them.
        const MOST: u32 = 1024;
        let native = Arch::of_build();
        let call = |number| native.and_then(|arch| look_up(arch, number));
        Self { native, by_number: (0..MOST).map(call).collect() }
    }

    fn find(&self, arch: Arch, number: u32) -> Option<Known> {
        let index = usize::try_from(number).ok()?;
        match self.by_number.get(index) {
            Some(call) if self.native == Some(arch) => *call,
            _ => look_up(arch, number),
        }
    }
}

fn look_up(arch: Arch, number: u32) -> Option<Known> {
    Syscall::by_number(arch, number).next().map(Known::new)
}
