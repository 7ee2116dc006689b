// SPDX-License-Identifier: Apache-2.0
//! overlayfs, by mounting one and writing to it.
//!
//! On a tmpfs, in a mount namespace (and for an unprivileged caller a user namespace) of a child's
//! own: what is mounted there is gone with the child, and was never seen from outside.

use std::fs;
use std::path::Path;

use brig_policy::survey::{Attempt, Caller};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::child::{Failed, Naming as _, attempt};
use super::namespaces::enter_user_namespace;
use crate::sys::namespace::unshare;

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Directories of which every host has one.
const PLACES: [&str; 6] = ["/tmp", "/run", "/var", "/mnt", "/home", "/usr"];

/// Mounts an overlay and writes to it.
pub fn overlay(caller: &Caller) -> Attempt {
    let is_privileged = caller.effective & CAP_SYS_ADMIN != 0;
    attempt(|| {
        if !is_privileged {
            enter_user_namespace()?;
        }
        let place = PLACES.iter().map(Path::new).find(|place| place.is_dir());
        let place = place.ok_or(rustix::io::Errno::NOENT).call("a directory to mount on")?;
        in_own_mounts(place)?;
        // KERNEL(5.11): without privilege, its marks are kept in another kind of attribute
        try_overlay(place, if is_privileged { "" } else { ",userxattr" })
    })
}

/// A tmpfs at this place, which nobody else sees.
fn in_own_mounts(place: &Path) -> Result<(), Failed> {
    unshare(libc::CLONE_NEWNS).call("unshare(CLONE_NEWNS)")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).call("mount(MS_REC | MS_PRIVATE)")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", place, "tmpfs", flags, Some(c"mode=700,size=1m")).call("mount(tmpfs)")
}

fn try_overlay(place: &Path, options: &str) -> Result<(), Failed> {
    for directory in ["lower", "upper", "work", "merged"] {
        fs::create_dir(place.join(directory)).call("mkdir on a tmpfs")?;
    }
    let (below, above) = (place.join("lower/file"), place.join("merged/file"));
    fs::write(&below, "below").call("write on a tmpfs")?;
    let at = place.display();
    let data = format!("lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work{options}");
    let data = std::ffi::CString::new(data).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("overlay", place.join("merged"), "overlay", flags, Some(data.as_c_str()))
        .call("mount(overlay)")?;
    fs::write(&above, "above").call("write on an overlay")?;
    let read = |path: &Path| fs::read_to_string(path).call("read from an overlay");
    if (read(&below)?, read(&above)?) == ("below".to_owned(), "above".to_owned()) {
        return Ok(());
    }
    Err(rustix::io::Errno::IO).call("what was written to an overlay was not kept apart")
}
