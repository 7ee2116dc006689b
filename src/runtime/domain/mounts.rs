// SPDX-License-Identifier: Apache-2.0
//! Changing the container's mounts from inside, before the workload runs: what may not be changed
//! is read-only, what is masked has something empty in its place.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use brig_policy::path::AbsPath;
use brig_policy::plan::files::{Kind, Remount, Writing};
use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::tree::RealTree;
use crate::sys::mount::{Tree as Mounts, set_read_only};

/// Carries out the remounts: each path becomes a mount of its own, then every mount that lies where
/// nothing may be changed becomes read-only.
///
/// # Errors
///
/// The first step that failed, with its path.
pub fn remount(
    tree: &RealTree<'_>,
    proc: BorrowedFd<'_>,
    remounts: &[Remount],
) -> Result<(), String> {
    if remounts.is_empty() {
        return Ok(());
    }
    for one in remounts.iter().filter(|one| one.path != AbsPath::root()) {
        let mount = clone_of(tree, &one.path)?;
        attach(tree, mount.as_fd(), &one.path)?;
    }
    for path in mount_points(proc)? {
        if writing(remounts, &path) == Writing::ReadOnly {
            make_read_only(tree, &path)?;
        }
    }
    Ok(())
}

/// What is decided for a path: by the last remount at or above it, which is the nearest.
fn writing(remounts: &[Remount], path: &AbsPath) -> Writing {
    let above = |one: &&Remount| {
        let mut names = path.components();
        one.path.components().all(|name| names.next() == Some(name))
    };
    let nearest = remounts.iter().filter(above).max_by_key(|one| one.path.components().count());
    nearest.map_or(Writing::AsMounted, |one| one.writing)
}

/// A mount that another one covers cannot be opened by its path, nor by the workload's: what covers
/// it has the same path, or one above, and is looked at for itself.
fn make_read_only(tree: &RealTree<'_>, path: &AbsPath) -> Result<(), String> {
    let mount = match tree.open(path, OFlags::PATH) {
        Ok(mount) => mount,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(error) => return Err(format!("open {path}: {error}")),
    };
    match set_read_only(mount.as_fd(), Mounts::One) {
        // what covers it is no mount's root: it is looked at by another path
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other.map_err(|error| format!("mount {path} read-only: {error}")),
    }
}

/// Where this process sees mounts: proc_pid_mountinfo(5).
fn mount_points(proc: BorrowedFd<'_>) -> Result<Vec<AbsPath>, String> {
    let fail = |error: &dyn std::fmt::Display| format!("own mounts: {error}");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file =
        openat(proc, "self/mountinfo", flags, Mode::empty()).map_err(|error| fail(&error))?;
    let mut text = Vec::new();
    File::from(file).read_to_end(&mut text).map_err(|error| fail(&error))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| mount_point(line).ok_or_else(|| fail(&"an unknown format"))).collect()
}

fn mount_point(line: &[u8]) -> Option<AbsPath> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::new();
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        // blanks and backslashes are written in octal
        let octal = (byte == b'\\').then(|| tail.get(..3)).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) => {
                path.push(value);
                rest = tail.get(3..)?;
            }
            None => {
                path.push(byte);
                rest = tail;
            }
        }
    }
    AbsPath::new(&path).ok()
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

fn open(tree: &RealTree<'_>, path: &AbsPath) -> Result<OwnedFd, String> {
    tree.open(path, OFlags::PATH).map_err(|error| format!("open {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> AbsPath {
        AbsPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_mount_point_is_the_fifth_field_in_octal() {
        let line = br"36 35 98:0 /mnt1 /a\040b\134c rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(path(r"/a b\c")));
        assert_eq!(mount_point(b"36 35"), None);
    }

    #[test]
    fn the_nearest_remount_above_decides() {
        let of = |text: &str, writing| Remount { path: path(text), writing };
        let remounts = [
            of("/", Writing::ReadOnly),
            of("/srv", Writing::AsMounted),
            of("/srv/x", Writing::ReadOnly),
        ];
        assert_eq!(writing(&remounts, &path("/proc")), Writing::ReadOnly);
        assert_eq!(writing(&remounts, &path("/srv/y")), Writing::AsMounted);
        assert_eq!(writing(&remounts, &path("/srv/x/z")), Writing::ReadOnly);
        assert_eq!(writing(&remounts, &path("/srvx")), Writing::ReadOnly);
        assert_eq!(writing(&remounts[1..], &path("/proc")), Writing::AsMounted);
    }
}
