// SPDX-License-Identifier: Apache-2.0
//! Walking a path name by name, where procfs is in the way.
//!
//! `/proc/self`, `/proc/thread-self` and what is below a process's directory (`fd/N`, `cwd`, `root`,
//! `exe`) show whoever looks, and the supervisor is not who asks. Here the caller's own take their
//! place; those of other processes are refused.
//!
//! It does by hand what path_resolution(7) says, with the caller's credentials: each name is opened
//! in a directory that is held, which takes the permission to search it.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use brig_policy::call::files::Last;
use brig_policy::policy::Errno;
use rustix::fs::{
    FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat, fstatfs, openat, readlinkat,
};

use super::answer::errno;
use super::caller::Call;
use super::place::{Limits, Start};

/// `MAXSYMLINKS` of linux/namei.h.
pub const MOST_LINKS: u32 = 40;

/// Walks from a beginning, in the caller's root.
///
/// # Errors
/// What path_resolution(7) says.
pub fn walk(
    call: &Call<'_>,
    start: Start,
    path: &[u8],
    last: Last,
    limits: Limits,
) -> Result<OwnedFd, Errno> {
    let root = call.root()?;
    let here = match start {
        Start::Root(_) => root.try_clone().map_err(errno)?,
        Start::Base(fd) => fd,
    };
    call.assume()?;
    let mut walk = Walk { call, root, here, left: VecDeque::new(), links: 0, limits };
    walk.prepend(path);
    walk.run(last)
}

struct Walk<'a> {
    call: &'a Call<'a>,
    root: OwnedFd,
    here: OwnedFd,
    /// Names that are still to come; an empty one in the last place stands for a final slash.
    left: VecDeque<Vec<u8>>,
    links: u32,
    limits: Limits,
}

impl Walk<'_> {
    fn prepend(&mut self, path: &[u8]) {
        let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let count = names.len();
        for (index, name) in names.into_iter().enumerate().rev() {
            // only a slash behind a name in the last place means something
            let is_final_slash = index + 1 == count && index > 0 && self.left.is_empty();
            if !name.is_empty() || is_final_slash {
                self.left.push_front(name.to_vec());
            }
        }
    }

    fn run(mut self, last: Last) -> Result<OwnedFd, Errno> {
        while let Some(name) = self.left.pop_front() {
            match &*name {
                b"" | b"." => self.enter(b".")?,
                b".." => self.up()?,
                _ => self.step(&name, self.left.is_empty() && last == Last::NoFollow)?,
            }
        }
        Ok(self.here)
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.here = openat(&self.here, name, flags, Mode::empty()).map_err(errno)?;
        Ok(())
    }

    /// The root is its own parent.
    fn up(&mut self) -> Result<(), Errno> {
        if is_same(&self.here, &self.root)? {
            return self.enter(b".");
        }
        self.enter(b"..")
    }

    fn step(&mut self, name: &[u8], takes_links: bool) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match openat(&self.here, name, flags, Mode::empty()) {
            Ok(found) => found,
            Err(error) => return Err(errno(error)),
        };
        let stat = fstat(&found).map_err(errno)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink || takes_links {
            self.here = found;
            return Ok(());
        }
        self.links += 1;
        if self.links > MOST_LINKS || self.limits.0.contains(ResolveFlags::NO_SYMLINKS) {
            return Err(Errno::ELOOP);
        }
        if is_in_procfs(&found)? {
            return self.follow_in_proc(name);
        }
        // behind a name in the last place there may be a slash
        if self.left.iter().all(Vec::is_empty) {
            let directory = fstat(&self.here).map_err(errno)?;
            let caller = self.call.identity()?.uids[3];
            self.call.shared.sticky.may_follow(&stat, &directory, caller)?;
        }
        let target = readlinkat(&found, "", Vec::new()).map_err(errno)?;
        self.follow(target.as_bytes())
    }

    fn follow(&mut self, target: &[u8]) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.first() == Some(&b'/') {
            self.here = self.root.try_clone().map_err(errno)?;
        }
        self.prepend(target);
        Ok(())
    }

    /// A link of procfs, in the directory where the walk is.
    fn follow_in_proc(&mut self, name: &[u8]) -> Result<(), Errno> {
        const PROC_ROOT_INODE: u64 = 1;
        let stat = fstat(&self.here).map_err(errno)?;
        if stat.st_ino == PROC_ROOT_INODE {
            let (tgid, tid) = self.call.ids_in_container()?;
            return match name {
                b"self" => self.follow(tgid.to_string().as_bytes()),
                b"thread-self" => self.follow(format!("{tgid}/task/{tid}").as_bytes()),
                // others are plain: `mounts`, `net`
                _ => {
                    let target = readlinkat(&self.here, name, Vec::new()).map_err(errno)?;
                    self.follow(target.as_bytes())
                }
            };
        }
        if self.limits.0.contains(ResolveFlags::NO_MAGICLINKS) {
            return Err(Errno::ELOOP);
        }
        let own = self.own_link(name)?;
        self.here = self.call.link(&own)?;
        self.call.assume()
    }

    /// The link below `/proc/TID` that this one is, if it is the caller's.
    fn own_link(&self, name: &[u8]) -> Result<String, Errno> {
        let name = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        let directory = self.call.hold(self.here.try_clone().map_err(errno)?)?;
        let path = directory.path.ok_or(Errno::EACCES)?;
        let names: Vec<&[u8]> = path.components().collect();
        let (tgid, tid) = self.call.ids_in_container()?;
        let (tgid, tid) = (tgid.to_string(), tid.to_string());
        let [tgid, tid] = [tgid.as_bytes(), tid.as_bytes()];
        let number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        match (names.as_slice(), name) {
            ([.., task, of, thread, fd], _)
                if *task == tgid
                    && *of == b"task"
                    && *thread == tid
                    && *fd == b"fd"
                    && number(name) =>
            {
                Ok(format!("fd/{name}"))
            }
            ([.., process, fd], _) if *process == tgid && *fd == b"fd" && number(name) => {
                Ok(format!("fd/{name}"))
            }
            ([.., process, ns], _) if *process == tgid && *ns == b"ns" => Ok(format!("ns/{name}")),
            ([.., task, of, thread, ns], _)
                if *task == tgid && *of == b"task" && *thread == tid && *ns == b"ns" =>
            {
                Ok(format!("ns/{name}"))
            }
            ([.., process], "cwd" | "root" | "exe") if *process == tgid => Ok(name.to_owned()),
            ([.., task, of, thread], "cwd" | "root" | "exe")
                if *task == tgid && *of == b"task" && *thread == tid =>
            {
                Ok(name.to_owned())
            }
            _ => Err(Errno::EACCES),
        }
    }
}

/// Whether a link is one of procfs's, which show whoever looks.
pub fn is_in_procfs(link: &OwnedFd) -> Result<bool, Errno> {
    Ok(fstatfs(link).map_err(errno)?.f_type == PROC_SUPER_MAGIC)
}

/// Whether two descriptors are of files that are reached by one mount.
pub fn is_one_mount(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    // KERNEL(5.8): before, all have none
    let of = |fd: &OwnedFd| statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map_err(errno);
    Ok(of(one)?.stx_mnt_id == of(other)?.stx_mnt_id)
}

/// Whether two descriptors are of one directory, by one mount.
pub fn is_same(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let of = |fd: &OwnedFd| {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        statx(fd.as_fd(), "", AtFlags::EMPTY_PATH, wanted).map_err(errno)
    };
    let (one, other) = (of(one)?, of(other)?);
    let key =
        |it: rustix::fs::Statx| (it.stx_mnt_id, it.stx_ino, it.stx_dev_major, it.stx_dev_minor);
    Ok(key(one) == key(other))
}
