// SPDX-License-Identifier: Apache-2.0
//! mount_setattr(2), which rustix does not wrap.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const _: () = assert!(size_of::<MountAttr>() == 32);

/// `MOUNT_ATTR_RDONLY`.
const RDONLY: u64 = 1;

/// `mount_setattr(mount, "", AT_EMPTY_PATH [| AT_RECURSIVE], {attr_set = MOUNT_ATTR_RDONLY})`.
pub fn set_read_only(mount: BorrowedFd<'_>, tree: Tree) -> io::Result<()> {
    set_attr(mount, &MountAttr { set: RDONLY, ..MountAttr::default() }, recursive(tree))
}

/// `mount_setattr(mount, "", AT_EMPTY_PATH, {attr_clr = MOUNT_ATTR_RDONLY})`.
pub fn set_writable(mount: BorrowedFd<'_>) -> io::Result<()> {
    set_attr(mount, &MountAttr { clear: RDONLY, ..MountAttr::default() }, 0)
}

/// `mount_setattr(mount, "", AT_EMPTY_PATH [| AT_RECURSIVE], {propagation})`.
pub fn set_propagation(mount: BorrowedFd<'_>, flag: u64, tree: Tree) -> io::Result<()> {
    set_attr(mount, &MountAttr { propagation: flag, ..MountAttr::default() }, recursive(tree))
}

fn recursive(tree: Tree) -> libc::c_int {
    match tree {
        Tree::One => 0,
        Tree::All => libc::AT_RECURSIVE,
    }
}

/// Whether mounts below are meant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// This mount.
    One,
    /// And all below it.
    All,
}

fn set_attr(mount: BorrowedFd<'_>, attr: &MountAttr, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: the path is a static NUL-terminated string; the struct has the size that is given
    // with it (asserted) and is borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    super::check(result).map(drop)
}
