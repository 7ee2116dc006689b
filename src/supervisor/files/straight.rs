// SPDX-License-Identifier: Apache-2.0
//! Opening by a path that is its file's own name: absolute and without links, as most are.
//!
//! What the policy says of such a name is known before anything is looked up. Where it is the
//! kernel's to decide, it is enough to see that no link is on the way. Where the policy allows it,
//! the file is opened at once, by a walk that follows no link, and delivered if it then still has
//! the name that was decided about. Everything else (a link, an error, another name by now, a
//! denial, something to be logged) goes the long way, where nothing is opened before its own name
//! has been decided about. So does everything for a while after something was not ready to be
//! opened, as a FIFO is without its other end: the long way knows before what it opens.
//!
//! RACE: something else may be put there before it is opened. Opening makes and cuts nothing, and what
//! has another name by then is closed unseen. A device that may be read but not controlled is opened
//! and closed, which is no more than what the policy allows.

use brig_policy::path::AbsPath;
use brig_policy::policy::{Access, AccessSet, Errno};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};

use super::open::{NEEDS, Wanted, accesses, deliver};
use super::to_kernel;
use crate::supervisor::answer::{Outcome, Reply};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::slot::Wait;

/// No link of any kind on the way.
const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// Answers, where that can be done without going the long way.
pub fn open(call: &Call<'_>, path: &[u8], wanted: Wanted) -> Option<Outcome> {
    // what has another form is not a name yet
    let name = AbsPath::new(path).ok()?;
    let shared = call.shared;
    if !shared.roots.are_one() || wanted.limits.is_bound() || shared.is_in_proc(Some(&name)) {
        return None;
    }
    let needs = accesses(wanted.flags, FileType::RegularFile);
    let mixed = shared.judge.mixed(&name);
    let any_kind = match wanted.flags.intersects(OFlags::CREATE | OFlags::TMPFILE) {
        true => AccessSet::of(&NEEDS),
        false => needs.union(AccessSet::of(&[Access::List])),
    };
    if mixed.intersection(any_kind).is_empty() {
        return if shared.judge.audits() { None } else { go_on(call, &name, wanted) };
    }
    let has_effects = OFlags::CREATE.union(OFlags::TMPFILE).union(OFlags::TRUNC);
    if wanted.flags.intersects(has_effects) || call.slot.is_wary() {
        return None;
    }
    let permitted = shared.judge.permit_silently(needs, &name)?;
    open_allowed(call, &name, wanted, &permitted)
}

/// Lets the kernel go on where no link leads elsewhere.
///
/// RACE: one that is put there by then leads the kernel, which denies there what the policy denies.
fn go_on(call: &Call<'_>, name: &AbsPath, wanted: Wanted) -> Option<Outcome> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let limits = wanted.limits.0 | NO_LINKS;
    // who looks does not matter: what cannot be found goes the long way
    match openat2(&call.shared.root, name.as_bytes(), flags, Mode::empty(), limits) {
        Ok(_) | Err(rustix::io::Errno::NOENT) => Some(to_kernel(call, &NEEDS)),
        Err(_) => None,
    }
}

fn open_allowed(call: &Call<'_>, name: &AbsPath, wanted: Wanted, _: &Permitted) -> Option<Outcome> {
    call.assume().ok()?;
    // a FIFO's other end notices that it is opened
    call.still_waits().ok()?;
    let flags = wanted.flags | OFlags::CLOEXEC;
    let limits = wanted.limits.0 | NO_LINKS;
    let open = || openat2(&call.shared.root, name.as_bytes(), flags, Mode::empty(), limits);
    let opened = match call.slot.may_wait(open) {
        Wait::Done(Ok(opened)) => opened,
        Wait::Done(Err(rustix::io::Errno::NOENT)) => return Some(to_kernel(call, &NEEDS)),
        Wait::Done(Err(_)) => return None,
        Wait::Interrupted(signal) => return Some(Ok(Reply::Interrupted(signal))),
        Wait::Gone => return Some(Err(Errno::EINTR)),
    };
    let found = call.hold(opened).ok()?;
    if found.path.as_ref() != Some(name) {
        return None;
    }
    let besides = match found.kind() {
        FileType::Directory => AccessSet::of(&[Access::List]),
        FileType::CharacterDevice | FileType::BlockDevice => AccessSet::of(&[Access::Ioctl]),
        _ => AccessSet::EMPTY,
    };
    let _permitted = call.shared.judge.permit_silently(besides, name)?;
    Some(deliver(found.fd, wanted))
}
