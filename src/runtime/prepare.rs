// SPDX-License-Identifier: Apache-2.0
//! What has to be done between the mounts and the change of root, and what libcontainer does not do
//! there: contents copied up into a tmpfs, a working directory made below a mount, the propagation
//! of single mounts.
//!
//! It is done by a `createContainer` hook that is brig itself (`/proc/self/exe`): it runs in the
//! container's namespaces with the container's full rights over them, before the root changes. The
//! hook is added only where there is something to do.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use libcontainer::oci_spec::runtime::{Hook, HookBuilder, Spec};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, chownat, fchmod, fchown, mkdirat,
    mknodat, openat, openat2, readlinkat, statat, symlinkat,
};
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use super::rootfs::{Rootfs, make_directories};
use crate::sys::mount::{Tree, set_propagation};

/// The hidden command's name.
pub const COMMAND: &str = "internal-prepare";

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// The root filesystem on the host.
    rootfs: PathBuf,
    /// tmpfs mounts that start with a copy of what they cover.
    copy_up: Vec<PathBuf>,
    /// A directory to be made.
    directory: Option<PathBuf>,
    /// Propagation by destination.
    propagation: BTreeMap<String, String>,
}

/// Adds the hook where there is something to do.
///
/// # Errors
///
/// `process.cwd` leads through a file or out of the root.
pub fn add(
    spec: &mut Spec,
    rootfs: &Rootfs,
    copy_up: &[String],
    propagation: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let steps = Steps {
        rootfs: rootfs.path.clone(),
        copy_up: copy_up.iter().map(PathBuf::from).collect(),
        directory: missing_cwd(spec, rootfs)?,
        propagation: if host_shares_mounts() || propagation.values().any(|one| differs(one)) {
            propagation.clone()
        } else {
            BTreeMap::new()
        },
    };
    if steps.copy_up.is_empty() && steps.directory.is_none() && steps.propagation.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string(&steps).context("steps")?;
    let hook = HookBuilder::default()
        .path("/proc/self/exe")
        .args(["brig".to_owned(), COMMAND.to_owned(), text])
        .build()?;
    prepend(spec, hook);
    Ok(())
}

fn prepend(spec: &mut Spec, hook: Hook) {
    let mut hooks = spec.hooks().clone().unwrap_or_default();
    let mut list = hooks.create_container().clone().unwrap_or_default();
    list.insert(0, hook);
    hooks.set_create_container(Some(list));
    spec.set_hooks(Some(hooks));
}

/// A mount that is private in the host stays so; a slave is what everything becomes by default.
fn host_shares_mounts() -> bool {
    // a mountinfo that cannot be read is taken for one that shares
    std::fs::read_to_string("/proc/self/mountinfo").map_or(true, |text| text.contains(" shared:"))
}

/// From what a mount is where the host shares none: private.
fn differs(propagation: &str) -> bool {
    matches!(propagation, "shared" | "rshared" | "unbindable" | "runbindable")
}

/// The working directory, where it is known to be missing or cannot be looked up yet.
fn missing_cwd(spec: &Spec, rootfs: &Rootfs) -> anyhow::Result<Option<PathBuf>> {
    let Some(process) = spec.process() else { return Ok(None) };
    let cwd = process.cwd();
    let mounts = spec.mounts().iter().flatten();
    let mut above = mounts.map(|one| one.destination()).filter(|one| *one != Path::new("/"));
    if above.clone().any(|one| one == cwd) {
        return Ok(None);
    }
    let covered = above.any(|one| cwd.starts_with(one));
    let missing = covered || !rootfs.has_directory(cwd).context("process.cwd")?;
    Ok(missing.then(|| cwd.clone()))
}

/// The hook's work.
///
/// # Errors
///
/// The first step that failed.
pub fn run(text: &str) -> anyhow::Result<()> {
    let steps: Steps = serde_json::from_str(text).context("steps")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&steps.rootfs, flags, Mode::empty())
        .with_context(|| format!("open {}", steps.rootfs.display()))?;
    if !steps.copy_up.is_empty() {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let below = open_tree(&root, "", flags).context("open_tree of the root filesystem")?;
        for path in &steps.copy_up {
            copy_up(below.as_fd(), root.as_fd(), path)
                .with_context(|| format!("tmpcopyup of {}", path.display()))?;
        }
    }
    if let Some(path) = &steps.directory {
        make_directories(root.as_fd(), path)
            .with_context(|| format!("process.cwd: mkdir {}", path.display()))?;
    }
    for (path, propagation) in &steps.propagation {
        propagate(root.as_fd(), path, propagation)
            .with_context(|| format!("mount {path}: make it {propagation}"))?;
    }
    Ok(())
}

fn inside(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

fn propagate(root: BorrowedFd<'_>, path: &str, propagation: &str) -> anyhow::Result<()> {
    let tree = if propagation.starts_with('r') { Tree::All } else { Tree::One };
    let flag = match propagation.trim_start_matches('r') {
        "private" => libc::MS_PRIVATE,
        "slave" => libc::MS_SLAVE,
        "shared" => libc::MS_SHARED,
        "unbindable" => libc::MS_UNBINDABLE,
        other => bail!("{other:?} is no propagation"),
    };
    let mount = inside(root, Path::new(path), OFlags::PATH)?;
    Ok(set_propagation(mount.as_fd(), flag, tree)?)
}

/// Copies a directory of the image into the tmpfs that covers it.
fn copy_up(below: BorrowedFd<'_>, root: BorrowedFd<'_>, path: &Path) -> anyhow::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let from = match inside(below, path, flags) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other.context("open the covered directory")?,
    };
    let to = inside(root, path, flags).context("open the tmpfs")?;
    let found = rustix::fs::fstat(&from)?;
    fchown(&to, Some(uid(&found)), Some(gid(&found)))?;
    fchmod(&to, Mode::from_raw_mode(found.st_mode & 0o7777))?;
    copy_directory(&from, &to, 0)
}

/// How deep a copied tree may be; each level holds two descriptors.
const MAX_DEPTH: usize = 200;

fn copy_directory(from: &OwnedFd, to: &OwnedFd, depth: usize) -> anyhow::Result<()> {
    if depth > MAX_DEPTH {
        bail!("the tree is deeper than {MAX_DEPTH} directories");
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        copy_entry(from, to, name, depth).with_context(|| format!("{}", name.display()))?;
    }
    Ok(())
}

/// What is there already is a later mount, which covers what would be copied, or a directory on the
/// way to one, which has to be filled.
fn beneath_mounts(
    from: &OwnedFd,
    to: &OwnedFd,
    name: &OsStr,
    there: &Stat,
    depth: usize,
) -> anyhow::Result<()> {
    let is_directory = FileType::from_raw_mode(there.st_mode) == FileType::Directory;
    if !is_directory || there.st_dev != rustix::fs::fstat(to)?.st_dev {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = match openat(from, name, flags, Mode::empty()) {
        // the image has something else there
        Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => return Ok(()),
        other => other?,
    };
    let target = openat(to, name, flags, Mode::empty())?;
    copy_directory(&source, &target, depth + 1)
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &OsStr, depth: usize) -> anyhow::Result<()> {
    let found = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if let Ok(there) = statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
        return beneath_mounts(from, to, name, &there, depth);
    }
    let mode = Mode::from_raw_mode(found.st_mode & 0o7777);
    let nofollow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | nofollow;
            let source = openat(from, name, flags, Mode::empty())?;
            mkdirat(to, name, Mode::from_raw_mode(0o700))?;
            let target = openat(to, name, flags, Mode::empty())?;
            copy_directory(&source, &target, depth + 1)?;
            fchown(&target, Some(uid(&found)), Some(gid(&found)))?;
            fchmod(&target, mode)?;
        }
        FileType::RegularFile => {
            let source = openat(from, name, OFlags::RDONLY | nofollow, Mode::empty())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | nofollow;
            let target = openat(to, name, flags, Mode::from_raw_mode(0o600))?;
            std::io::copy(
                &mut std::fs::File::from(source),
                &mut std::fs::File::from(target.try_clone()?),
            )?;
            fchown(&target, Some(uid(&found)), Some(gid(&found)))?;
            fchmod(&target, mode)?;
        }
        FileType::Symlink => {
            let link = readlinkat(from, name, Vec::new())?;
            symlinkat(link, to, name)?;
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            chownat(to, name, Some(uid(&found)), Some(gid(&found)), flags)?;
        }
        FileType::Fifo => mknodat(to, name, FileType::Fifo, mode, 0)?,
        // a socket has nobody behind it any more, and devices are the specification's to give
        FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {}
        FileType::Unknown => return Err(anyhow!("its type is unknown")),
    }
    Ok(())
}

fn uid(found: &Stat) -> rustix::fs::Uid {
    rustix::fs::Uid::from_raw(found.st_uid)
}

fn gid(found: &Stat) -> rustix::fs::Gid {
    rustix::fs::Gid::from_raw(found.st_gid)
}
