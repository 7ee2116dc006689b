// SPDX-License-Identifier: Apache-2.0
//! Opening by a path that leads to its file's own name: without links, as most do.
//!
//! What the policy says of such a name is known before anything is looked up. Where it is the
//! kernel's to decide, it is enough to see that no link is on the way. Where the policy allows it,
//! the file is opened at once, by a walk that follows no link, and delivered if no name has been
//! moved meanwhile, or it still has the one that was decided about. Everything else (a link, an
//! error, another name by now, a denial, something to be logged, what makes a file) goes the long
//! way, where nothing is opened before its own name has been decided about. So does everything for a
//! while after something was not ready to be opened, as a FIFO is without its other end: the long
//! way knows before what it opens.
//!
//! RACE: something else may be put there before it is opened. Opening makes and cuts nothing (a file is
//! cut once it is held and its name known), and what has another name by then is closed unseen. A
//! device that may be read but not controlled is opened and closed, which is no more than what the
//! policy allows.

use std::os::fd::{AsFd, OwnedFd};

use brig_policy::call::files::Base;
use brig_policy::path::AbsPath;
use brig_policy::policy::{Access, AccessSet, Errno};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

use super::open::{NEEDS, OURS, Wanted, accesses, deliver};
use super::to_kernel;
use crate::supervisor::answer::{Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::moves::Moves;
use crate::supervisor::place::{Start, has_name};
use crate::supervisor::slot::Wait;

/// No link of any kind on the way.
const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);
/// What opening a file takes besides, where it is no regular file.
const ANY_KIND: AccessSet = AccessSet::of(&[Access::List, Access::Ioctl]);

/// A name, and where the walk to it begins.
struct Way<'a> {
    start: Start,
    path: &'a [u8],
    name: AbsPath,
    /// Before the name was known.
    moves: Moves,
}

/// Answers, where that can be done without going the long way.
pub fn open(call: &Call<'_>, base: Base, path: &[u8], wanted: Wanted) -> Option<Outcome> {
    let shared = call.shared;
    if !shared.roots.are_one() || wanted.limits.is_bound() {
        return None;
    }
    let moves = shared.names.moves()?;
    let (start, name) = call.name_of(base, path)?;
    let way = Way { start, path, name, moves };
    if shared.is_in_proc(Some(&way.name)) {
        return None;
    }
    let needs = accesses(wanted.flags, FileType::RegularFile);
    let mixed = shared.judge.mixed(&way.name);
    let makes = wanted.flags.contains(OFlags::CREATE) || wanted.flags.contains(OFlags::TMPFILE);
    let any_kind = match makes {
        true => AccessSet::of(&NEEDS),
        false => needs.union(AccessSet::of(&[Access::List])),
    };
    if mixed.intersection(any_kind).is_empty() {
        return if shared.judge.audits() { None } else { go_on(call, &way, wanted) };
    }
    if makes_or_cuts_unheld(wanted.flags) || call.slot.is_wary() {
        return None;
    }
    if let Some(permitted) = shared.judge.permit_silently(needs.union(ANY_KIND), &way.name) {
        return open_allowed(call, &way, wanted, ANY_KIND, &permitted);
    }
    let permitted = shared.judge.permit_silently(needs, &way.name)?;
    open_allowed(call, &way, wanted, AccessSet::EMPTY, &permitted)
}

/// What cannot be done in two steps: a new file; cutting what is opened for reading.
fn makes_or_cuts_unheld(flags: OFlags) -> bool {
    let reads = flags & OFlags::RWMODE == OFlags::RDONLY;
    // O_TMPFILE has the bit of O_DIRECTORY
    flags.contains(OFlags::TMPFILE)
        || flags.contains(OFlags::EXCL)
        || (reads && flags.contains(OFlags::TRUNC))
}

/// Lets the kernel go on where no link leads elsewhere.
///
/// RACE: one that is put there by then leads the kernel, which denies there what the policy denies.
fn go_on(call: &Call<'_>, way: &Way<'_>, wanted: Wanted) -> Option<Outcome> {
    use rustix::io::Errno;
    // what is no directory is not even opened: that takes a third of the time, with closing it
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let limits = wanted.limits.0 | NO_LINKS;
    // who looks does not matter: what cannot be found goes the long way
    match openat2(way.start.fd(call.shared), way.path, flags, Mode::empty(), limits) {
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Some(to_kernel(call, &NEEDS)),
        Err(_) => None,
    }
}

/// Opens what is there, if its name is decided about: for `permitted_besides`, too, where it is not a
/// regular file.
fn open_allowed(
    call: &Call<'_>,
    way: &Way<'_>,
    wanted: Wanted,
    permitted_besides: AccessSet,
    _: &Permitted,
) -> Option<Outcome> {
    call.assume().ok()?;
    // a FIFO's other end notices that it is opened
    call.was_read().ok()?;
    let steps = OFlags::CREATE | OFlags::TRUNC;
    let flags = (wanted.flags - steps) | OURS;
    let limits = wanted.limits.0 | NO_LINKS;
    let start = way.start.fd(call.shared);
    let open = || openat2(start, way.path, flags, Mode::empty(), limits);
    let opened = match call.slot.may_wait(open) {
        Wait::Done(Ok(opened)) => opened,
        Wait::Done(Err(rustix::io::Errno::NOENT)) if !wanted.flags.contains(OFlags::CREATE) => {
            return Some(to_kernel(call, &NEEDS));
        }
        Wait::Done(Err(_)) => return None,
        Wait::Interrupted(signal) => return Some(Ok(Reply::Interrupted(signal))),
        Wait::Gone => return Some(Err(Errno::EINTR)),
    };
    // RACE: the walk may have gone through a directory that was moved meanwhile
    let names = &call.shared.names;
    if !names.rest_since(way.moves) && !has_name(names, opened.as_fd(), &way.name) {
        return None;
    }
    if permitted_besides == ANY_KIND && !wanted.flags.intersects(steps) {
        return Some(deliver(opened, wanted));
    }
    let stat = fstat(&opened).ok()?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let besides = match kind {
        FileType::Directory => AccessSet::of(&[Access::List]),
        FileType::CharacterDevice | FileType::BlockDevice => AccessSet::of(&[Access::Ioctl]),
        _ => AccessSet::EMPTY,
    };
    if !besides.difference(permitted_besides).is_empty() {
        let _permitted = call.shared.judge.permit_silently(besides, &way.name)?;
    }
    // the long way knows who may open what is there with O_CREAT
    let own = stat.st_uid == call.identity().ok()?.uids[3];
    if wanted.flags.contains(OFlags::CREATE) && (kind == FileType::Directory || !own) {
        return None;
    }
    if wanted.flags.contains(OFlags::TRUNC) && kind == FileType::RegularFile {
        return Some(cut(call, &opened).and_then(|()| deliver(opened, wanted)));
    }
    Some(deliver(opened, wanted))
}

/// `O_TRUNC`, of what has been opened for writing.
fn cut(call: &Call<'_>, file: &OwnedFd) -> Result<(), Errno> {
    call.still_waits()?;
    rustix::fs::ftruncate(file, 0).map_err(errno)
}
