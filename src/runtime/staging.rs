// SPDX-License-Identifier: Apache-2.0
//! The root filesystem and the sources of bind mounts, brought within the reach of a container's
//! user namespace.
//!
//! The container library looks them up by their paths when it is in that namespace already, where
//! it may not pass a directory that is the host's root's alone, as an engine's storage is. So brig
//! opens them before, clones their mounts by descriptor, and attaches the clones in a mount
//! namespace of their own: the root filesystem where it is, below a tmpfs that covers the first
//! directory on its path that the container cannot search; the sources on a tmpfs that covers
//! brig's state directory, or the first such directory above it. Made as the owner of the mounts,
//! that namespace is then copied into the container's user namespace, which locks the flags and
//! the joints of every mount: read-only and nosuid stay, and what a mount covers stays covered.
//!
//! Guarantees: the root filesystem keeps its path for hooks; nothing is covered that the container
//! could have reached, brig's state directory of this container excepted; the caller's mount
//! namespace is not touched, and nothing is left in it, whenever brig ends.
//! What it does not: whether a directory can be searched is judged by its owner and mode, not by
//! access control lists.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use libcontainer::oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
    open_tree,
};
use rustix::process::umask;

use super::rootfs::{Rootfs, make_directories};
use crate::sys::mount::{Tree, set_propagation};
use crate::sys::namespace;

/// Cloned mounts, and where they go.
#[derive(Debug)]
pub struct Staging {
    covers: Vec<Cover>,
    /// The root filesystem's path with its device and inode, to be found there again.
    root: (PathBuf, u64, u64),
}

/// A directory that a tmpfs covers, with what is attached in it.
#[derive(Debug)]
struct Cover {
    path: PathBuf,
    clones: Vec<Cloned>,
}

/// A cloned mount.
#[derive(Debug)]
struct Cloned {
    mount: OwnedFd,
    below: PathBuf,
    is_directory: bool,
}

/// The ids of the host that exist in a user namespace: the first, and how many.
#[derive(Debug, Default)]
pub struct Ids {
    /// User ids.
    pub uids: Vec<(u32, u32)>,
    /// Group ids.
    pub gids: Vec<(u32, u32)>,
}

impl Ids {
    /// Of a specification's mappings.
    #[must_use]
    pub fn of(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Self {
        let ranges = |mappings: &[LinuxIdMapping]| {
            mappings.iter().map(|one| (one.host_id(), one.size())).collect()
        };
        Ids { uids: ranges(uids), gids: ranges(gids) }
    }

    /// Whether the namespace's root may search a directory: capabilities(7) count where its owner
    /// and its group both exist in the namespace.
    fn may_search(&self, mode: u32, uid: u32, gid: u32) -> bool {
        let has = |ranges: &[(u32, u32)], id: u32| {
            ranges.iter().any(|(first, size)| id.checked_sub(*first).is_some_and(|at| at < *size))
        };
        mode & 0o001 != 0 || (has(&self.uids, uid) && has(&self.gids, gid))
    }
}

/// Whether the container gets a mount namespace of its own.
fn has_new_mount_namespace(spec: &Spec) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let mut all = namespaces.into_iter().flatten();
    all.any(|one| one.typ() == LinuxNamespaceType::Mount && one.path().is_none())
}

/// Clones the mounts and has the specification name where its sources will be. `None` where
/// nothing has to be moved.
///
/// # Errors
///
/// A source cannot be opened or cloned, with its field.
pub fn collect(
    spec: &mut Spec,
    ids: &Ids,
    rootfs: &Rootfs,
    state: &Path,
) -> anyhow::Result<Option<Staging>> {
    if !has_new_mount_namespace(spec) {
        return Ok(None);
    }
    let mut covers = Vec::new();
    let parent = rootfs.path.parent().unwrap_or(Path::new("/"));
    if let Some(path) = barrier(parent, ids).context("root.path")? {
        let below = rootfs.path.strip_prefix(&path)?.to_owned();
        let mount = clone(&rootfs.fd, Tree::All).context("root.path: open_tree")?;
        covers.push(Cover { path, clones: vec![Cloned { mount, below, is_directory: true }] });
    }
    let state = std::fs::canonicalize(state).with_context(|| format!("{}", state.display()))?;
    let shelf = barrier(&state, ids)?.unwrap_or(state);
    let sources = sources(spec, &shelf)?;
    match covers.iter_mut().find(|cover| cover.path == shelf) {
        Some(cover) => cover.clones.extend(sources),
        None if sources.is_empty() => {}
        None => covers.push(Cover { path: shelf, clones: sources }),
    }
    let found = fstat(&rootfs.fd).context("root.path: fstat")?;
    let root = (rootfs.path.clone(), found.st_dev, found.st_ino);
    Ok((!covers.is_empty()).then_some(Staging { covers, root }))
}

/// The first directory on the way to `path`, and at it, that the namespace's root may not search.
fn barrier(path: &Path, ids: &Ids) -> anyhow::Result<Option<PathBuf>> {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    for directory in above {
        let found = std::fs::symlink_metadata(directory)
            .with_context(|| format!("stat {}", directory.display()))?;
        if ids.may_search(found.mode(), found.uid(), found.gid()) {
            continue;
        }
        if directory == Path::new("/") {
            bail!("the container's user namespace may not search the host's /");
        }
        return Ok(Some(directory.to_owned()));
    }
    Ok(None)
}

fn sources(spec: &mut Spec, shelf: &Path) -> anyhow::Result<Vec<Cloned>> {
    let mut clones = Vec::new();
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    for (index, mount) in mounts.iter_mut().enumerate() {
        let (Some("bind"), Some(source)) = (mount.typ().as_deref(), mount.source()) else {
            continue;
        };
        let field = || format!("mounts[{index}].source: {}", source.display());
        let fd = openat(CWD, source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .with_context(field)?;
        let kind = FileType::from_raw_mode(fstat(&fd).with_context(field)?.st_mode);
        let is_recursive = mount.options().iter().flatten().any(|option| option == "rbind");
        let tree = if is_recursive { Tree::All } else { Tree::One };
        let below = PathBuf::from(format!("brig-source-{index}"));
        clones.push(Cloned {
            mount: clone(&fd, tree).with_context(|| format!("{}: open_tree", field()))?,
            below: below.clone(),
            is_directory: kind == FileType::Directory,
        });
        mount.set_source(Some(shelf.join(below)));
    }
    spec.set_mounts(Some(mounts));
    Ok(clones)
}

/// A detached clone of the mount at a descriptor. It hears of the original's mounts, and not the
/// other way.
fn clone(fd: &OwnedFd, tree: Tree) -> std::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if tree == Tree::All {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let mount = open_tree(fd, "", flags)?;
    set_propagation(std::os::fd::AsFd::as_fd(&mount), libc::MS_SLAVE, Tree::All)?;
    Ok(mount)
}

impl Staging {
    /// Enters a new mount namespace and attaches everything in it. To be called by a process that
    /// is there for nothing else.
    ///
    /// # Errors
    ///
    /// The kernel's, with the path; a root filesystem that has been moved meanwhile.
    pub fn enter(&self) -> anyhow::Result<()> {
        namespace::unshare(libc::CLONE_NEWNS).context("unshare(CLONE_NEWNS)")?;
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", slave).context("make the mounts of a new namespace private")?;
        umask(Mode::empty());
        for cover in &self.covers {
            cover.put().with_context(|| format!("stage mounts at {}", cover.path.display()))?;
        }
        self.verify_root()
    }

    // RACE: who can rename a directory above the root filesystem could have the library find
    // another: what it will find is what was opened, or create fails
    fn verify_root(&self) -> anyhow::Result<()> {
        let (path, device, inode) = &self.root;
        let found = std::fs::symlink_metadata(path)
            .with_context(|| format!("root.path: {}", path.display()))?;
        if (found.dev(), found.ino()) != (*device, *inode) {
            return Err(anyhow!("root.path: {} has been replaced meanwhile", path.display()));
        }
        Ok(())
    }
}

impl Cover {
    fn put(&self) -> anyhow::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let plain = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let at = openat2(CWD, &self.path, flags, Mode::empty(), plain)?;
        let shelf = new_tmpfs().context("tmpfs")?;
        attach(&shelf, &at)?;
        for clone in &self.clones {
            let target = clone.make_target(&shelf)?;
            attach(&clone.mount, &target)
                .with_context(|| format!("attach {}", clone.below.display()))?;
        }
        Ok(())
    }
}

impl Cloned {
    /// The directory or file that it is attached to.
    fn make_target(&self, shelf: &OwnedFd) -> anyhow::Result<OwnedFd> {
        let name = self.below.file_name().ok_or_else(|| anyhow!("a clone without a name"))?;
        let parent = self.below.parent().unwrap_or(Path::new(""));
        let parent = make_directories(std::os::fd::AsFd::as_fd(shelf), parent)?;
        if self.is_directory {
            mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            return Ok(openat(&parent, name, flags, Mode::empty())?);
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&parent, name, flags, Mode::from_raw_mode(0o444))?)
    }
}

fn new_tmpfs() -> rustix::io::Result<OwnedFd> {
    let filesystem = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&filesystem, "mode", "0711")?;
    fsconfig_set_string(&filesystem, "size", "1m")?;
    fsconfig_create(&filesystem)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn attach(mount: &OwnedFd, at: &OwnedFd) -> rustix::io::Result<()> {
    let by_descriptor =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", at, "", by_descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        Ids { uids: vec![(100_000, 1000), (300_000, 1)], gids: vec![(100_000, 1000)] }
    }

    #[test]
    fn a_directory_is_searched_by_its_mode_or_where_both_its_ids_exist() {
        assert!(ids().may_search(0o40711, 0, 0));
        assert!(!ids().may_search(0o40700, 0, 0));
        assert!(!ids().may_search(0o40770, 0, 100_000));
        assert!(!ids().may_search(0o40700, 300_000, 0));
        assert!(ids().may_search(0o40700, 100_999, 100_000));
        assert!(!ids().may_search(0o40700, 101_000, 100_000));
    }

    #[test]
    fn the_first_directory_that_cannot_be_searched_is_the_barrier() {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        let top = std::env::temp_dir().join(format!("brig-staging-{}", std::process::id()));
        let deep = top.join("open/closed/inner");
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&deep).unwrap();
        let close = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
        };
        // whoever runs the tests: nobody's ids exist
        let nobody = Ids::default();
        let open = barrier(&deep, &nobody).unwrap();
        close(&deep);
        close(deep.parent().unwrap());
        let closed = barrier(&deep, &nobody).unwrap();
        std::fs::remove_dir_all(&top).unwrap();
        assert_eq!(open, None);
        assert_eq!(closed.as_deref(), deep.parent());
    }
}
