// SPDX-License-Identifier: Apache-2.0
//! Where a caller's path leads.
//!
//! The kernel resolves it, in the caller's root, from its directory, with its credentials, and stops
//! where a magic link or procfs is in the way: those show who looks, so that [`super::walk`] goes on
//! there by hand. What was found is held by a descriptor; its name is asked for afterwards.
//!
//! RACE: the workload may move what was found, or what lies above it, while it is looked at. A name
//! that was read once stays a bound for what may be done: what brig lets the workload rename gains
//! nothing by it (`decide`), and everything else that could give it another name is refused to the
//! workload by the kernel. So what is done on the descriptor is what the workload could have had
//! done before it moved it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_policy::call::files::{At, Base, Empty, Last};
use brig_policy::path::AbsPath;
use brig_policy::policy::Errno;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlinkat,
    statat,
};
use rustix::path::DecInt;

use super::answer::errno;
use super::caller::Call;
use super::moves::Names;
use super::{Shared, walk};

/// How often a walk is begun anew.
const TRIES: usize = 16;
const AGAIN: rustix::io::Errno = rustix::io::Errno::AGAIN;
/// What the kernel appends to a name that is no more.
const DELETED: &[u8] = b" (deleted)";
/// How often a name is asked for that looks like one that is no more, while others are moved.
const MOST_LOOKS: usize = 64;

/// A file of the workload's, held.
#[derive(Debug)]
pub struct Found {
    /// Opened with `O_PATH`.
    pub fd: OwnedFd,
    /// Its name in the container; none for what has no place in a file system: a pipe, a socket, a
    /// memory file.
    pub path: Option<AbsPath>,
    /// What it is.
    pub stat: Stat,
}

/// A directory of the workload's, held, and a name in it.
#[derive(Debug)]
pub struct Entry {
    /// The directory.
    pub directory: Found,
    /// The name, with the slashes that follow it.
    pub name: Vec<u8>,
}

/// What must not happen on the way besides what never may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits(pub ResolveFlags);

impl Limits {
    /// Nothing.
    pub const NONE: Self = Self(ResolveFlags::empty());

    /// Whether the way is bound to its beginning: openat2(2)'s `RESOLVE_BENEATH` and
    /// `RESOLVE_IN_ROOT`.
    pub fn is_bound(self) -> bool {
        self.0.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT)
    }

    /// Whether there is nothing that walking by hand could find and the kernel would not.
    fn forbids_walking(self) -> bool {
        self.is_bound() || self.0.contains(ResolveFlags::NO_XDEV)
    }
}

impl Found {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// What kind of file it is.
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// A path by which system calls that take no descriptor reach it: from the directory that
    /// workers are in, which is their /proc/self/fd.
    pub fn by_descriptor(&self) -> DecInt {
        by_descriptor(self.fd.as_fd())
    }
}

/// See [`Found::by_descriptor`].
pub fn by_descriptor(fd: BorrowedFd<'_>) -> DecInt {
    DecInt::from_fd(fd)
}

impl Entry {
    /// The name without the slashes that follow it.
    pub fn last(&self) -> &[u8] {
        let end = self.name.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        &self.name[..end]
    }

    /// Holds what has the name: a link itself, not what it leads to.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.directory.fd, self.last(), flags, Mode::empty())
    }

    /// Whether something has the name.
    pub fn is_taken(&self) -> bool {
        self.open().is_ok()
    }

    /// The same, with the directory by the name that it has now.
    ///
    /// # Errors
    /// The kernel's.
    pub fn renewed(self, call: &Call<'_>) -> Result<Self, Errno> {
        Ok(Self { directory: call.hold(self.directory.fd)?, name: self.name })
    }

    /// Whether the directory has the name that it was found by.
    pub fn stays(&self, names: &Names) -> bool {
        let Found { fd, path, .. } = &self.directory;
        path.as_ref().is_some_and(|path| has_name(names, fd.as_fd(), path))
    }

    /// The path that a file of this name has.
    ///
    /// # Errors
    /// EACCES for a directory that has no place, ENAMETOOLONG.
    pub fn path(&self) -> Result<AbsPath, Errno> {
        let directory = self.directory.path.as_ref().ok_or(Errno::EACCES)?;
        let mut path = directory.as_bytes().to_vec();
        if path.len() > 1 {
            path.push(b'/');
        }
        path.extend_from_slice(self.last());
        AbsPath::new(&path).map_err(|_| Errno::ENAMETOOLONG)
    }
}

impl Call<'_> {
    /// What a path leads to. Becomes the caller.
    ///
    /// # Errors
    /// What the kernel says about it.
    pub fn find(&self, at: &At, path: &[u8], limits: Limits) -> Result<Found, Errno> {
        self.looked(self.look_for(at, path, limits))
    }

    fn look_for(&self, at: &At, path: &[u8], limits: Limits) -> Result<Found, Errno> {
        if path.is_empty() {
            return match (at.empty, at.base) {
                (Empty::Refused, _) => Err(Errno::ENOENT),
                (Empty::Base, base) => self.hold(self.base(base)?),
            };
        }
        self.look_from(self.start(at.base, path, limits)?, path, at.last, limits)
    }

    fn look_from(
        &self,
        start: Start,
        path: &[u8],
        last: Last,
        limits: Limits,
    ) -> Result<Found, Errno> {
        self.assume()?;
        let found = self.resolve(&start, path, last, limits);
        let needs_walk = match &found {
            Ok(found) => self.shared.is_in_proc(found.path.as_ref()),
            Err(errno) => {
                matches!(*errno, Errno::ELOOP | Errno::ENOENT | Errno::EXDEV | Errno::EAGAIN)
            }
        };
        match found {
            found if !needs_walk || limits.forbids_walking() => found,
            // for the exact error, too: a magic link may have looked like a dead end
            _ => self.hold(walk::walk(self, start, path, last, limits)?),
        }
    }

    /// What a relative path leads to from a directory that is held. Becomes the caller.
    ///
    /// # Errors
    /// What the kernel says about it.
    pub fn find_in(
        &self,
        directory: &OwnedFd,
        path: &[u8],
        limits: Limits,
    ) -> Result<Found, Errno> {
        let start = Start::Base(directory.try_clone().map_err(errno)?);
        self.looked(self.look_from(start, path, Last::Follow, limits))
    }

    /// The directory that a path's last name is in, and that name. Becomes the caller.
    ///
    /// # Errors
    /// What the kernel says about the way there; EEXIST, say, is for whoever does something.
    pub fn find_entry(&self, at: &At, path: &[u8], limits: Limits) -> Result<Entry, Errno> {
        let (way, name) = split(path)?;
        let parent = At { base: at.base, path: at.path, last: Last::Follow, empty: Empty::Refused };
        entry(self.find(&parent, &way, limits)?, name)
    }

    /// The same of a relative path from a directory that is held.
    ///
    /// # Errors
    /// The same.
    pub fn find_entry_in(
        &self,
        directory: &OwnedFd,
        path: &[u8],
        limits: Limits,
    ) -> Result<Entry, Errno> {
        let (way, name) = split(path)?;
        entry(self.find_in(directory, &way, limits)?, name)
    }

    /// Where a path begins.
    fn start(&self, base: Base, path: &[u8], limits: Limits) -> Result<Start, Errno> {
        let absolute = path.first() == Some(&b'/');
        Ok(match (absolute, limits.is_bound()) {
            (true, false) if self.shared.roots.are_one() => Start::Root(None),
            (true, false) => Start::Root(Some(self.root()?)),
            _ => Start::Base(self.base(base)?),
        })
    }

    fn resolve(
        &self,
        start: &Start,
        path: &[u8],
        last: Last,
        limits: Limits,
    ) -> Result<Found, Errno> {
        let own = match start {
            // the worker's own root is the caller's: nothing leads out of it
            Start::Root(None) => ResolveFlags::empty(),
            Start::Base(_) if self.shared.roots.are_one() => ResolveFlags::empty(),
            Start::Root(Some(_)) => ResolveFlags::IN_ROOT,
            Start::Base(_) if limits.is_bound() => ResolveFlags::empty(),
            Start::Base(_) => ResolveFlags::BENEATH,
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC | nofollow(last);
        let limits = limits.0 | own | ResolveFlags::NO_MAGICLINKS;
        let start = start.fd(self.shared);
        let look = || openat2(start, path, flags, Mode::empty(), limits);
        // where `..` must not lead out, after a rename or mount anywhere: openat2(2)
        let again = (0..TRIES)
            .map(|_| look())
            .find(|found| !matches!(found, Err(again) if *again == AGAIN));
        let fd = again.unwrap_or(Err(AGAIN)).map_err(errno)?;
        self.hold(fd)
    }

    /// What a descriptor refers to.
    pub fn hold(&self, fd: OwnedFd) -> Result<Found, Errno> {
        let stat = fstat(&fd).map_err(errno)?;
        let path = real_path(&self.shared.names, fd.as_fd(), &stat)?;
        Ok(Found { fd, path, stat })
    }

    /// The name that a path which follows no link has, and where its walk begins; `None`: it is not
    /// written as a name is.
    pub fn name_of(&self, base: Base, path: &[u8]) -> Option<(Start, AbsPath)> {
        if path.first() == Some(&b'/') {
            return Some((Start::Root(None), AbsPath::new(path).ok()?));
        }
        if path.split(|byte| *byte == b'/').any(|name| matches!(name, b"" | b"." | b"..")) {
            return None;
        }
        let fd = self.base(base).ok()?;
        let mut name = readlinkat(CWD, by_descriptor(fd.as_fd()), Vec::new()).ok()?.into_bytes();
        // what is beneath a directory that has been removed is not there, whatever this says
        if name.last() != Some(&b'/') {
            name.push(b'/');
        }
        name.extend_from_slice(path);
        Some((Start::Base(fd), AbsPath::new(&name).ok()?))
    }
}

/// The way to a path's last name, and that name.
fn split(path: &[u8]) -> Result<(Vec<u8>, &[u8]), Errno> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let begin = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |last| last + 1);
    let (way, name) = path.split_at(begin);
    // a link before the last name is in no path's last place, where the kernel guards some
    Ok(([way, b"."].concat(), name))
}

fn entry(directory: Found, name: &[u8]) -> Result<Entry, Errno> {
    match directory.is_directory() {
        true => Ok(Entry { directory, name: name.to_vec() }),
        false => Err(Errno::ENOTDIR),
    }
}

/// Where a way begins.
#[derive(Debug)]
pub enum Start {
    /// At the caller's root; `None`: it is the container's.
    Root(Option<OwnedFd>),
    /// At another directory.
    Base(OwnedFd),
}

impl Start {
    /// The directory.
    pub fn fd<'a>(&'a self, shared: &'a Shared) -> BorrowedFd<'a> {
        match self {
            Self::Root(None) => shared.root.as_fd(),
            Self::Root(Some(fd)) | Self::Base(fd) => fd.as_fd(),
        }
    }
}

/// The flag of open(2).
pub fn nofollow(last: Last) -> OFlags {
    match last {
        Last::Follow => OFlags::empty(),
        Last::NoFollow => OFlags::NOFOLLOW,
    }
}

/// Whether an open file has this name.
pub fn has_name(names: &Names, fd: BorrowedFd<'_>, name: &AbsPath) -> bool {
    let is = |stat: Stat| real_path(names, fd, &stat).is_ok_and(|path| path.as_ref() == Some(name));
    fstat(fd).is_ok_and(is)
}

/// The name that a file has now, as the container's first process would see it; what has been
/// removed, the one that it had.
fn real_path(names: &Names, fd: BorrowedFd<'_>, stat: &Stat) -> Result<Option<AbsPath>, Errno> {
    for _ in 0..MOST_LOOKS {
        let before = names.moves();
        let text = readlinkat(CWD, by_descriptor(fd), Vec::new()).map_err(errno)?;
        let text = text.as_bytes();
        let Some(lost) = text.strip_suffix(DELETED) else { return absolute(text) };
        // where it has other names left, what this says may be a name that it has
        if stat.st_nlink > 0 {
            match statat(CWD, text, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) if is_one(&found, stat) => return absolute(text),
                Ok(_) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(errno(error)),
            }
            // RACE: it could have been moved away before it was looked for there, and back
            if !before.is_some_and(|before| names.rest_since(before)) {
                continue;
            }
        }
        // a memory file: the kernel's own name for it, in a file system that is mounted nowhere
        return if lost.starts_with(b"/memfd:") { Ok(None) } else { absolute(lost) };
    }
    Err(Errno::EACCES)
}

fn absolute(text: &[u8]) -> Result<Option<AbsPath>, Errno> {
    if text.first() != Some(&b'/') {
        return Ok(None);
    }
    AbsPath::new(text).map(Some).map_err(|_| Errno::ENAMETOOLONG)
}

fn is_one(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}
