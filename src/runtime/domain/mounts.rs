// SPDX-License-Identifier: Apache-2.0
//! Changing the container's mounts from inside, before the workload runs: what may not be changed
//! is read-only, what is masked has something empty in its place.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_policy::path::AbsPath;
use brig_policy::plan::files::{Kind, Remount, Writing};
use rustix::fs::{FileType, OFlags, fstat, major, minor};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::tree::RealTree;
use crate::sys::mount::{Tree as Mounts, set_read_only};

/// Carries out the remounts, in their order.
///
/// # Errors
///
/// The first step that failed, with its path.
pub fn remount(tree: &RealTree<'_>, remounts: &[Remount]) -> Result<(), String> {
    // INVARIANT: what stays as it was mounted is cloned before anything becomes read-only, and put
    // back on top of it
    let mut kept = Vec::new();
    for one in remounts {
        let keeps = one.writing == Writing::AsMounted;
        kept.push(if keeps { Some(clone_of(tree, &one.path)?) } else { None });
    }
    for (one, kept) in remounts.iter().zip(kept) {
        let mount = match kept {
            Some(mount) => mount,
            None if one.path == AbsPath::root() => {
                let root = open(tree, &one.path)?;
                read_only(root.as_fd(), &one.path)?;
                continue;
            }
            None => {
                let mount = clone_of(tree, &one.path)?;
                read_only(mount.as_fd(), &one.path)?;
                mount
            }
        };
        attach(tree, mount.as_fd(), &one.path)?;
    }
    Ok(())
}

/// Puts something empty in the place of each.
///
/// # Errors
///
/// The first step that failed, with its path.
pub fn mask(tree: &RealTree<'_>, masks: &[(AbsPath, Kind)]) -> Result<(), String> {
    for (path, kind) in masks {
        let mount = match kind {
            Kind::Directory => empty_directory(path)?,
            Kind::File | Kind::Link => null_device(tree)?,
        };
        attach(tree, mount.as_fd(), path)?;
    }
    Ok(())
}

/// A tmpfs that nothing is attached to.
///
/// # Errors
///
/// The kernel's.
pub fn tmpfs(size: &str, attributes: MountAttrFlags) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "size", size)?;
    fsconfig_set_string(&context, "mode", "0755")?;
    fsconfig_create(&context)?;
    let attributes =
        attributes | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts what is not attached yet.
///
/// # Errors
///
/// The path cannot be opened, or the kernel's.
pub fn attach(tree: &RealTree<'_>, mount: BorrowedFd<'_>, path: &AbsPath) -> Result<(), String> {
    let target = open(tree, path)?;
    attach_to(mount, target.as_fd()).map_err(|error| format!("mount {path}: {error}"))
}

/// The same, on what a descriptor refers to.
///
/// # Errors
///
/// The kernel's.
pub fn attach_to(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

fn empty_directory(path: &AbsPath) -> Result<OwnedFd, String> {
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    tmpfs("4k", attributes).map_err(|error| format!("tmpfs to mask {path}: {error}"))
}

/// What masks files, as in runc. The image may have something else by that name.
fn null_device(tree: &RealTree<'_>) -> Result<OwnedFd, String> {
    let path = AbsPath::new(b"/dev/null").map_err(|error| error.to_string())?;
    let device = open(tree, &path)?;
    let stat = fstat(&device).map_err(|error| format!("/dev/null: {error}"))?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3);
    if !is_null {
        return Err("/dev/null: is not the null device, which masks files".to_owned());
    }
    clone(device.as_fd()).map_err(|error| format!("open_tree /dev/null: {error}"))
}

fn clone_of(tree: &RealTree<'_>, path: &AbsPath) -> Result<OwnedFd, String> {
    let from = open(tree, path)?;
    clone(from.as_fd()).map_err(|error| format!("open_tree {path}: {error}"))
}

/// A mount of its own of what a descriptor refers to, with all that is mounted beneath.
///
/// # Errors
///
/// The kernel's.
pub fn clone(from: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(from, "", flags)
}

fn read_only(mount: BorrowedFd<'_>, path: &AbsPath) -> Result<(), String> {
    set_read_only(mount, Mounts::All).map_err(|error| format!("mount {path} read-only: {error}"))
}

fn open(tree: &RealTree<'_>, path: &AbsPath) -> Result<OwnedFd, String> {
    tree.open(path, OFlags::PATH).map_err(|error| format!("open {path}: {error}"))
}
