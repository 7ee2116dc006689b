// SPDX-License-Identifier: Apache-2.0
//! The container's files, seen from inside, before the workload runs.
//!
//! Every path is walked component by component from a descriptor of the root, without following
//! anything by itself: symbolic links are read and followed here, within the root, and those of
//! procfs, which lead somewhere else for every process, are errors.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use brig_policy::path::AbsPath;
use brig_policy::plan::files::{Found, Kind, Programs, Tree, TreeError};
use rustix::fs::{
    AtFlags, Dir, DirEntry, FileType, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstat,
    fstatfs, openat2, readlinkat, statat,
};
use rustix::io::Errno;

/// `S_IXUSR`, `S_IXGRP` and `S_IXOTH`: without any of them nobody executes a file.
const ANY_EXECUTE: u32 = 0o111;
/// The kernel's own file systems, from which it executes nothing; by linux/magic.h.
const NO_PROGRAMS: [FsWord; 6] = [
    PROC_SUPER_MAGIC,
    0x6265_6572, // SYSFS_MAGIC
    0x27_e0eb,   // CGROUP_SUPER_MAGIC
    0x6367_7270, // CGROUP2_SUPER_MAGIC
    0x1cd1,      // DEVPTS_SUPER_MAGIC
    0x1980_0202, // MQUEUE_MAGIC
];

/// How many symbolic links may be followed, as in path_resolution(7).
const MAX_LINKS: usize = 40;

/// The files below a root.
#[derive(Debug)]
pub struct RealTree<'a> {
    root: BorrowedFd<'a>,
}

impl<'a> RealTree<'a> {
    /// The tree below an opened directory.
    #[must_use]
    pub fn new(root: BorrowedFd<'a>) -> Self {
        RealTree { root }
    }

    /// Opens a path in which no symbolic link is followed.
    ///
    /// # Errors
    ///
    /// ELOOP where there is one; the kernel's.
    pub fn open(&self, path: &AbsPath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve =
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(
            self.root,
            Path::new(OsStr::from_bytes(path.as_bytes())),
            flags,
            Mode::empty(),
            resolve,
        )
    }
}

/// Where a walk is: the directories that were entered, with their names.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    entered: Vec<(Vec<u8>, OwnedFd)>,
    /// What is still to be entered, the next one last.
    waiting: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().map_or(self.root, |(_, fd)| fd.as_fd())
    }

    /// The path of what has been entered, and behind it these names.
    fn path(&self, behind: &[&[u8]]) -> Result<AbsPath, String> {
        let mut path = Vec::new();
        let entered = self.entered.iter().map(|(name, _)| &name[..]);
        for name in entered.chain(behind.iter().copied()) {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        AbsPath::new(&path).map_err(|error| error.to_string())
    }

    /// Goes on until everything is entered, or something is not there.
    fn run(&mut self) -> Result<Found, String> {
        while let Some(name) = self.waiting.pop() {
            if name == b".." {
                self.entered.pop();
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let resolve = ResolveFlags::NO_MAGICLINKS;
            let next = OsStr::from_bytes(&name);
            let fd = match openat2(self.here(), Path::new(next), flags, Mode::empty(), resolve) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return self.absent(&name),
                Err(error) => return Err(describe(error)),
            };
            match kind_of(&fd).map_err(describe)? {
                Kind::Directory => self.entered.push((name, fd)),
                Kind::Link => self.follow(&fd)?,
                Kind::File if self.waiting.is_empty() => {
                    let path = self.path(&[&name])?;
                    return Ok(Found { path, kind: Some(Kind::File) });
                }
                Kind::File => return Err("not a directory".to_owned()),
            }
        }
        Ok(Found { path: self.path(&[])?, kind: Some(Kind::Directory) })
    }

    fn absent(&self, name: &[u8]) -> Result<Found, String> {
        if self.waiting.iter().any(|name| name == b"..") {
            return Err("leads through a directory that does not exist".to_owned());
        }
        let mut behind = vec![name];
        behind.extend(self.waiting.iter().rev().map(|name| &name[..]));
        Ok(Found { path: self.path(&behind)?, kind: None })
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), String> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err("too many levels of symbolic links".to_owned());
        }
        if fstatfs(link).map_err(describe)?.f_type == PROC_SUPER_MAGIC {
            return Err(
                "leads through a link of procfs, which is another for every process".to_owned()
            );
        }
        let target = readlinkat(link, "", Vec::new()).map_err(describe)?;
        let target = target.as_bytes();
        if target.first() == Some(&b'/') {
            self.entered.clear();
        }
        let names = target.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
        let names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
        self.waiting.extend(names.into_iter().rev());
        Ok(())
    }
}

impl Tree for RealTree<'_> {
    fn resolve(&mut self, path: &AbsPath) -> Result<Found, TreeError> {
        let mut waiting: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        waiting.reverse();
        let mut walk = Walk { root: self.root, entered: Vec::new(), waiting, links: 0 };
        walk.run().map_err(|why| TreeError { path: path.clone(), why })
    }

    fn kind(&mut self, path: &AbsPath) -> Result<Option<Kind>, TreeError> {
        match self.open(path, OFlags::PATH).and_then(|fd| kind_of(&fd)) {
            Ok(kind) => Ok(Some(kind)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(TreeError { path: path.clone(), why: describe(error) }),
        }
    }

    fn list(&mut self, path: &AbsPath, most: usize) -> Result<Vec<(Vec<u8>, Kind)>, TreeError> {
        let error = |errno| error(path, errno);
        let directory = self.open(path, DIRECTORY).map_err(error)?;
        let mut entries = Vec::new();
        for entry in read(&directory, path, most)? {
            let kind = match entry.file_type() {
                FileType::Unknown => match mode_of(&directory, &entry).map_err(error)? {
                    Some(mode) => kind_of_mode(mode),
                    None => continue,
                },
                kind => kind_of_type(kind),
            };
            entries.push((entry.file_name().to_bytes().to_vec(), kind));
        }
        entries.sort();
        Ok(entries)
    }

    fn programs(&mut self, path: &AbsPath, most: usize) -> Result<Programs, TreeError> {
        let error = |errno| error(path, errno);
        let directory = match self.open(path, DIRECTORY) {
            Ok(directory) => directory,
            // somebody else's, in a tree that others see, too: what is not looked at is not executed
            Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => return Ok(Programs::default()),
            Err(errno) => return Err(error(errno)),
        };
        if NO_PROGRAMS.contains(&fstatfs(&directory).map_err(error)?.f_type) {
            return Ok(Programs::default());
        }
        let all = read(&directory, path, most)?;
        let mut entries = Vec::new();
        for entry in &all {
            let kind = match entry.file_type() {
                FileType::Directory => Some(Kind::Directory),
                FileType::RegularFile | FileType::Unknown => {
                    mode_of(&directory, entry).map_err(error)?.and_then(kind_of_program)
                }
                _ => None,
            };
            entries.extend(kind.map(|kind| (entry.file_name().to_bytes().to_vec(), kind)));
        }
        entries.sort();
        Ok(Programs { looked_at: all.len(), entries })
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// A directory's entries.
fn read(directory: &OwnedFd, path: &AbsPath, most: usize) -> Result<Vec<DirEntry>, TreeError> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(directory).map_err(|errno| error(path, errno))? {
        let entry = entry.map_err(|errno| error(path, errno))?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if entries.len() == most {
            let why = format!(
                "has more entries than may be looked at ({most} are left; what files.execute does \
                 not name need not be)"
            );
            return Err(TreeError { path: path.clone(), why });
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// `None`: it is gone.
fn mode_of(directory: &OwnedFd, entry: &DirEntry) -> rustix::io::Result<Option<u32>> {
    match statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat.st_mode)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn kind_of_program(mode: u32) -> Option<Kind> {
    match FileType::from_raw_mode(mode) {
        FileType::Directory => Some(Kind::Directory),
        FileType::RegularFile if mode & ANY_EXECUTE != 0 => Some(Kind::File),
        _ => None,
    }
}

fn kind_of(fd: &OwnedFd) -> rustix::io::Result<Kind> {
    Ok(kind_of_mode(fstat(fd)?.st_mode))
}

fn kind_of_mode(mode: u32) -> Kind {
    kind_of_type(FileType::from_raw_mode(mode))
}

fn kind_of_type(kind: FileType) -> Kind {
    match kind {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::File,
    }
}

fn error(path: &AbsPath, errno: Errno) -> TreeError {
    TreeError { path: path.clone(), why: describe(errno) }
}

fn describe(error: Errno) -> String {
    super::super::handover::describe(&error.into())
}
