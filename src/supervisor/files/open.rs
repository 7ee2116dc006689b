// SPDX-License-Identifier: Apache-2.0
//! open(2), openat(2), openat2(2), creat(2) and truncate(2).
//!
//! What is there is opened in two steps: held with `O_PATH`, which does nothing to it, decided by
//! its real name, and opened through the descriptor. What is not there is made in a directory that
//! is held, by a name without any link, and only if it is new: so nothing that was put there
//! meanwhile is opened without having been decided about.

use std::os::fd::{AsFd, OwnedFd};

use brig_policy::call::files::{At, Empty, How, Last};
use brig_policy::call::open as asked;
use brig_policy::path::AbsPath;
use brig_policy::policy::{Access, AccessSet, Errno};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, openat, readlinkat};

use super::{straight, to_kernel};
use crate::supervisor::answer::{LetGo, Outcome, Reply, errno};
use crate::supervisor::caller::Call;
use crate::supervisor::judge::Permitted;
use crate::supervisor::place::{Entry, Found, Limits};
use crate::supervisor::slot::Wait;
use crate::supervisor::walk::{MOST_LINKS, is_in_procfs, is_one_mount};
use crate::sys::notify::OnExec;
use crate::sys::paths;

/// All that opening can take.
pub const NEEDS: [Access; 4] = [Access::Read, Access::List, Access::Modify, Access::Create];
/// How often something may appear and disappear while it is to be made or opened.
const MOST_TRIES: usize = 16;

/// Of all that is opened: nothing of it survives an execve, and no terminal becomes the supervisor's,
/// which leads a session.
pub const OURS: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY);

/// What a call wants opened.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of open(2).
    pub flags: OFlags,
    /// Of what is made.
    pub mode: Mode,
    /// What must not happen on the way.
    pub limits: Limits,
}

/// Answers open(2) and its kin.
pub fn open(call: &Call<'_>, at: &At, how: How) -> Outcome {
    // what is malformed, and what opens nothing, is the kernel's to answer
    let kernel = || to_kernel(call, &NEEDS);
    let Ok(wanted) = wanted(call, how) else { return kernel() };
    if wanted.flags.contains(OFlags::PATH) {
        return kernel();
    }
    let Ok(path) = call.path(at.path) else { return kernel() };
    if let Some(outcome) = straight::open(call, at.base, &path, wanted) {
        return outcome;
    }
    let last = match wanted.flags.contains(OFlags::NOFOLLOW) {
        true => Last::NoFollow,
        false => Last::Follow,
    };
    let at = At { last, ..*at };
    let tmpfile = wanted.flags.contains(OFlags::TMPFILE);
    if wanted.flags.contains(OFlags::CREATE) && !tmpfile {
        return create(call, &at, &path, wanted);
    }
    match call.find(&at, &path, wanted.limits) {
        Ok(found) if tmpfile => open_temporary(call, &found, wanted),
        Ok(found) => open_found(call, &found, wanted),
        // what could not be looked at now could be later
        Err(Errno::EAGAIN) => Err(Errno::EAGAIN),
        Err(_) => kernel(),
    }
}

/// What a call asks for, read.
fn wanted(call: &Call<'_>, how: How) -> Result<Wanted, Errno> {
    let open = match how {
        How::Registers { flags, mode } => asked::old(call.layout, flags, mode)?,
        How::Struct { pointer, size } => {
            let bytes = call.copy(asked::plan(call.layout, pointer, size)?)?;
            asked::parse(call.layout, &bytes)?
        }
    };
    let narrow = |value| u32::try_from(value).map_err(|_| Errno::EINVAL);
    let limits = ResolveFlags::from_bits(open.resolve()).ok_or(Errno::EINVAL)?;
    Ok(Wanted {
        flags: OFlags::from_bits_retain(narrow(open.flags())?),
        mode: Mode::from_raw_mode(narrow(open.mode())?),
        // what need not be looked up anew is found whether or not it must not be
        limits: Limits(limits - ResolveFlags::CACHED),
    })
}

/// The accesses that opening takes, besides making it.
pub fn accesses(flags: OFlags, kind: FileType) -> AccessSet {
    let mode = flags & OFlags::RWMODE;
    let read = match kind {
        FileType::Directory => AccessSet::of(&[Access::List]),
        _ => AccessSet::of(&[Access::Read]),
    };
    let read = if mode == OFlags::WRONLY { AccessSet::EMPTY } else { read };
    match mode != OFlags::RDONLY || flags.contains(OFlags::TRUNC) {
        true => read.union(AccessSet::of(&[Access::Modify])),
        false => read,
    }
}

/// Whether some access is brig's to decide.
fn is_ours(call: &Call<'_>, path: &AbsPath, accesses: AccessSet) -> bool {
    !call.shared.judge.mixed(path).intersection(accesses).is_empty()
}

/// Asks for everything that is needed.
fn permit(call: &Call<'_>, path: &AbsPath, accesses: AccessSet) -> Result<Vec<Permitted>, Errno> {
    accesses.iter().map(|access| call.shared.judge.access(call, access, path)).collect()
}

/// Opens what is there.
fn open_found(call: &Call<'_>, found: &Found, wanted: Wanted) -> Outcome {
    let Some(path) = &found.path else { return to_kernel(call, &NEEDS) };
    let needs = accesses(wanted.flags, found.kind());
    if is_of_another_process(call, path)? {
        return to_kernel(call, &NEEDS);
    }
    if !is_ours(call, path, needs) {
        if call.shared.judge.audits() {
            permit(call, path, needs)?;
        }
        return to_kernel(call, &NEEDS);
    }
    let mut permitted = permit(call, path, needs)?;
    if matches!(found.kind(), FileType::CharacterDevice | FileType::BlockDevice) {
        permitted.push(call.shared.judge.device(call, path)?);
    }
    reopen(call, found, wanted, &permitted)
}

/// Whether it is another process's in procfs, where the container sees the supervisor's processes: to
/// open one's own memory takes no permission, and the supervisor's is not its caller's.
fn is_of_another_process(call: &Call<'_>, path: &AbsPath) -> Result<bool, Errno> {
    if call.shared.pid_level > 0 || !call.shared.is_in_proc(Some(path)) {
        return Ok(false);
    }
    let is_number = |name: &&[u8]| name.iter().all(u8::is_ascii_digit);
    let Some(process) = path.components().find(is_number) else { return Ok(false) };
    Ok(process != call.status()?.tgid.to_string().as_bytes())
}

/// Opens what is held, as the caller.
fn reopen(call: &Call<'_>, found: &Found, wanted: Wanted, _: &[Permitted]) -> Outcome {
    let not_again = OFlags::NOFOLLOW | OFlags::CREATE | OFlags::EXCL;
    let flags = (wanted.flags - not_again) | OURS;
    let path = found.by_descriptor();
    call.assume()?;
    // what it does to a file (cutting it, waking the other end) is only done for who waits for it
    call.still_waits()?;
    let open = || openat(CWD, path.as_c_str(), flags, Mode::empty());
    let opened = match found.kind() {
        FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket => {
            call.slot.wait(open)
        }
        // somebody may have a lease on it
        _ => call.slot.rarely_waits(open),
    };
    match opened {
        Wait::Done(opened) => deliver(opened.map_err(errno)?, wanted),
        Wait::Interrupted(signal) => Ok(Reply::Interrupted(signal)),
        Wait::Gone => Err(Errno::EINTR),
    }
}

/// Hands a descriptor over.
///
/// What somebody has open for writing is not executed, nor leased to readers; and what is made to be
/// locked is opened with `O_CREAT`. Who has closed such a file must not find it open.
pub fn deliver(fd: OwnedFd, wanted: Wanted) -> Outcome {
    let writes = wanted.flags & OFlags::RWMODE != OFlags::RDONLY;
    let let_go = match writes || wanted.flags.contains(OFlags::CREATE) {
        true => LetGo::Before,
        false => LetGo::Meanwhile,
    };
    let on_exec = match wanted.flags.contains(OFlags::CLOEXEC) {
        true => OnExec::Close,
        false => OnExec::Keep,
    };
    Ok(Reply::Descriptor(fd, on_exec, let_go))
}

/// `O_TMPFILE`: a file without a name, in a directory.
fn open_temporary(call: &Call<'_>, found: &Found, wanted: Wanted) -> Outcome {
    const TMPFILE_NEEDS: AccessSet = AccessSet::of(&[Access::Create, Access::Read, Access::Modify]);
    let Some(path) = &found.path else { return to_kernel(call, &NEEDS) };
    if !found.is_directory() || !is_ours(call, path, TMPFILE_NEEDS) {
        return to_kernel(call, &NEEDS);
    }
    let needs = accesses(wanted.flags, FileType::RegularFile);
    let needs = needs.union(AccessSet::of(&[Access::Create]));
    let _permitted = permit(call, path, needs)?;
    call.standing.set_umask(call.status()?.umask);
    call.assume()?;
    call.still_waits()?;
    let flags = (wanted.flags - OFlags::NOFOLLOW) | OFlags::CLOEXEC;
    let fd = openat(CWD, found.by_descriptor(), flags, wanted.mode).map_err(errno)?;
    deliver(fd, wanted)
}

/// `O_CREAT`: what is there is opened, what is not is made.
///
/// RACE: a link in the last place is read and followed by hand, from the directory that it is in. What
/// is opened or made by it in the end is decided by its own name.
fn create(call: &Call<'_>, at: &At, path: &[u8], wanted: Wanted) -> Outcome {
    let kernel = || to_kernel(call, &NEEDS);
    let follows = at.last == Last::Follow
        && !wanted.flags.contains(OFlags::EXCL)
        && !wanted.limits.0.contains(ResolveFlags::NO_SYMLINKS);
    let (mut within, mut path): (Option<OwnedFd>, _) = (None, path.to_vec());
    let (mut tries, mut links) = (0, 0);
    while tries < MOST_TRIES && links <= MOST_LINKS {
        let entry = match &within {
            None => call.find_entry(at, &path, wanted.limits),
            Some(directory) => call.find_entry_in(directory, &path, wanted.limits),
        };
        let Ok(entry) = entry else { return kernel() };
        if matches!(&*entry.name, b"" | b"." | b"..") || entry.name.ends_with(b"/") {
            return kernel();
        }
        let directory = &entry.directory.stat;
        match look(call, &entry)? {
            Seen::Nothing => match make(call, &entry, wanted)? {
                Some(outcome) => return outcome,
                None if wanted.flags.contains(OFlags::EXCL) => return Err(Errno::EEXIST),
                None => tries += 1,
            },
            Seen::File(found) if wanted.flags.contains(OFlags::EXCL) => {
                return exists(call, &found);
            }
            Seen::File(found) => return open_existing(call, directory, &found, wanted),
            Seen::Link(_) if !follows => return kernel(),
            Seen::Link(link) => {
                // how many links there may be on the whole way, and where they must not lead, the
                // kernel knows best
                if links == 0 {
                    match call.find(&At { last: Last::Follow, ..*at }, &path, wanted.limits) {
                        Ok(_) | Err(Errno::ENOENT) => {}
                        Err(Errno::EAGAIN) => return Err(Errno::EAGAIN),
                        Err(_) => return kernel(),
                    }
                }
                links += 1;
                if is_in_procfs(&link.fd)? {
                    return match call.find_in(&entry.directory.fd, &entry.name, wanted.limits) {
                        Ok(found) => open_existing(call, directory, &found, wanted),
                        Err(Errno::EAGAIN) => Err(Errno::EAGAIN),
                        Err(_) => kernel(),
                    };
                }
                let caller = call.identity()?.uids[3];
                call.shared.sticky.may_follow(&link.stat, directory, caller)?;
                let target = readlinkat(&link.fd, "", Vec::new()).map_err(errno)?.into_bytes();
                (within, path) = match target.first() {
                    // RACE: it may not be the link that the kernel has seen
                    Some(b'/') if leaves_mount(call, &entry, wanted.limits)? => return kernel(),
                    // it begins at the root, which may be the call's own directory
                    Some(b'/') => (None, target),
                    // nor must it lead out of that
                    _ if wanted.limits.is_bound() => (None, beside(&path, &target)),
                    _ => (Some(entry.directory.fd), target),
                };
            }
        }
    }
    if links > MOST_LINKS { kernel() } else { Err(Errno::EAGAIN) }
}

/// Whether to begin at the root is to cross a mount, which must not be.
fn leaves_mount(call: &Call<'_>, entry: &Entry, limits: Limits) -> Result<bool, Errno> {
    let must_not = limits.0.contains(ResolveFlags::NO_XDEV);
    Ok(must_not && !is_one_mount(&entry.directory.fd, &call.root()?)?)
}

/// Where a link's target leads, from where the link's own path begins.
fn beside(link: &[u8], target: &[u8]) -> Vec<u8> {
    let end = link.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    [&link[..end], target].concat()
}

/// What has a name in a directory.
enum Seen {
    Nothing,
    File(Found),
    /// A symbolic link.
    Link(Found),
}

fn look(call: &Call<'_>, entry: &Entry) -> Result<Seen, Errno> {
    let fd = match entry.open() {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Ok(Seen::Nothing),
        Err(error) => return Err(errno(error)),
    };
    let found = call.hold(fd)?;
    Ok(if found.kind() == FileType::Symlink { Seen::Link(found) } else { Seen::File(found) })
}

/// What `O_CREAT` finds in a directory.
fn open_existing(call: &Call<'_>, directory: &Stat, found: &Found, wanted: Wanted) -> Outcome {
    if found.is_directory() {
        return Err(Errno::EISDIR);
    }
    call.shared.sticky.may_create(&found.stat, directory, call.identity()?.uids[3])?;
    open_found(call, found, wanted)
}

/// Makes a new file; `None`: there is one by now.
fn make(call: &Call<'_>, entry: &Entry, wanted: Wanted) -> Result<Option<Outcome>, Errno> {
    let path = entry.path()?;
    let needs = accesses(wanted.flags, FileType::RegularFile);
    let needs = needs.union(AccessSet::of(&[Access::Create]));
    if !is_ours(call, &path, needs) {
        if call.shared.judge.audits() {
            permit(call, &path, needs)?;
        }
        return Ok(Some(to_kernel(call, &NEEDS)));
    }
    let _permitted = permit(call, &path, needs)?;
    call.standing.set_umask(call.status()?.umask);
    call.assume()?;
    let _names = call.shared.names.hold();
    call.still_waits()?;
    // a link in the last place is never followed where the file must be new
    let flags = wanted.flags | OFlags::EXCL | OFlags::CLOEXEC;
    match openat(entry.directory.fd.as_fd(), &*entry.name, flags, wanted.mode) {
        Ok(fd) => Ok(Some(deliver(fd, wanted))),
        Err(rustix::io::Errno::EXIST) => Ok(None),
        Err(error) => Err(errno(error)),
    }
}

/// `O_EXCL` of what is there: the kernel says so where it is its own to answer.
fn exists(call: &Call<'_>, found: &Found) -> Outcome {
    match &found.path {
        Some(path) if call.shared.judge.is_mixed(path, Access::Create) => Err(Errno::EEXIST),
        _ => to_kernel(call, &NEEDS),
    }
}

/// truncate(2).
pub fn truncate(call: &Call<'_>, at: &At, length: i64) -> Outcome {
    let kernel = || to_kernel(call, &[Access::Modify]);
    let Ok(length) = u64::try_from(length) else { return kernel() };
    let Ok(path) = call.path(at.path) else { return kernel() };
    let at = At { empty: Empty::Refused, ..*at };
    let Ok(found) = call.find(&at, &path, Limits::NONE) else { return kernel() };
    let Some(real) = &found.path else { return kernel() };
    if !call.shared.judge.is_mixed(real, Access::Modify) || found.kind() != FileType::RegularFile {
        if call.shared.judge.audits() {
            let _permitted = call.shared.judge.access(call, Access::Modify, real)?;
        }
        return kernel();
    }
    let _permitted = call.shared.judge.access(call, Access::Modify, real)?;
    let file = found.by_descriptor();
    // RACE: who cuts it meanwhile has it grow again to what it had: not to more
    let grows = u64::try_from(found.stat.st_size).is_ok_and(|size| length > size);
    if grows && call.exceeds_file_size(length)? {
        return exceed(call, &found);
    }
    call.assume()?;
    call.still_waits()?;
    // somebody may have a lease on it
    match call.slot.rarely_waits(|| paths::truncate(file.as_c_str(), length)) {
        Wait::Done(done) => done.map(|()| Reply::Value(0)).map_err(errno),
        Wait::Interrupted(signal) => Ok(Reply::Interrupted(signal)),
        Wait::Gone => Err(Errno::EINTR),
    }
}

/// What would become larger than the caller's files may be. Whether it could be written to is told
/// before that.
fn exceed(call: &Call<'_>, found: &Found) -> Outcome {
    call.assume()?;
    call.still_waits()?;
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(CWD, found.by_descriptor(), flags, Mode::empty()) {
        // somebody has a lease on it, who is told of this by now
        Ok(_) | Err(rustix::io::Errno::WOULDBLOCK) => {}
        Err(error) => return Err(errno(error)),
    }
    call.signal(libc::SIGXFSZ)?;
    Err(Errno::EFBIG)
}
