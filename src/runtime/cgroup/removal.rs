// SPDX-License-Identifier: Apache-2.0
//! Removing a container's cgroup, with all that the workload has made below it.
//!
//! A workload that sees its cgroups writable makes its own, as deep as it likes: what is below is
//! removed by descriptors, so that no path grows with it. Every hierarchy is tried, whatever another
//! one says; what remains is named.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::survey::Setup;
use libcgroups::common::{AnyCgroupManager, CgroupManager, FreezerState};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::{Availability, Location, ManagerKind, is_frozen, nix_pid};
use crate::runtime::{hierarchies, process};
use crate::survey;

/// Kills what is left in a container's cgroup and removes it.
///
/// # Errors
///
/// A directory that cannot be removed.
pub fn remove(location: &Location) -> anyhow::Result<()> {
    if location.availability == Availability::Callers {
        return Ok(());
    }
    let cgroups = survey::cgroups();
    if cgroups.setup != Setup::V2 && hierarchies::remove(&location.path)? {
        return Ok(());
    }
    let manager = location.manager()?;
    let below = location.path.strip_prefix("/").unwrap_or(&location.path);
    let directories: Vec<PathBuf> =
        cgroups.hierarchies.iter().map(|one| Path::new(&one.mount_point).join(below)).collect();
    if cgroups.setup == Setup::V2 {
        directories.iter().for_each(|directory| kill_at_once(directory));
    }
    kill_all(location, &manager)?;
    if location.manager == ManagerKind::Systemd && cgroups.setup == Setup::V2 {
        let removed = manager.remove();
        return removed.map_err(|error| anyhow!("stop unit {}: {error}", location.path.display()));
    }
    let remove = |directory: &PathBuf| {
        let error = remove_tree(directory).err()?;
        Some(format!("{}: {error}", directory.display()))
    };
    let left: Vec<String> = directories.iter().filter_map(remove).collect();
    if !left.is_empty() {
        bail!("remove cgroup {}", left.join("; "));
    }
    if cgroups.setup != Setup::V2 {
        // what is above it
        hierarchies::remove(&location.path)?;
    }
    Ok(())
}

/// How often, and with which pause, a cgroup is tried that still has dying processes.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

fn remove_tree(directory: &Path) -> Result<(), Errno> {
    for _ in 0..TRIES {
        match remove_once(directory) {
            Err(Errno::NOENT) if !directory.exists() => return Ok(()),
            // one of the inner ones may have gone meanwhile, another may have dying processes
            Err(Errno::BUSY | Errno::NOENT) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    remove_once(directory)
}

/// Removes the deepest directories first. Two descriptors are open at a time.
fn remove_once(directory: &Path) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = openat(CWD, directory, flags, Mode::empty())?;
    let mut names = Vec::new();
    loop {
        if let Some(name) = a_child(&at)? {
            at = openat(&at, &name, flags, Mode::empty())?;
            names.push(name);
        } else if let Some(name) = names.pop() {
            // RACE: a cgroup is never moved to another parent, so that this is where we came from
            at = openat(&at, c"..", flags, Mode::empty())?;
            unlinkat(&at, &name, AtFlags::REMOVEDIR)?;
        } else {
            return unlinkat(CWD, directory, AtFlags::REMOVEDIR);
        }
    }
}

fn a_child(directory: &OwnedFd) -> Result<Option<std::ffi::CString>, Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// Kills until nothing is left: a process may fork between the list and the signal.
fn kill_all(location: &Location, manager: &AnyCgroupManager) -> anyhow::Result<()> {
    // a freezer that cannot be thawed leaves processes that do not die of SIGKILL on cgroup v1
    if is_frozen(location)? {
        manager
            .freeze(FreezerState::Thawed)
            .map_err(|error| anyhow!("thaw cgroup {}: {error}", location.path.display()))?;
    }
    for _ in 0..100 {
        // an absent directory has no processes
        let pids = manager.get_all_pids().unwrap_or_default();
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            if let Ok(process) = process::Identity::of(nix_pid(pid)) {
                process.signal(libc::SIGKILL).with_context(|| format!("kill {}", process.pid))?;
                // a zombie that its parent has not reaped stays in the list and is no process
                process.wait(Duration::from_secs(10)).unwrap_or_default();
            }
        }
        if !manager
            .get_all_pids()
            .unwrap_or_default()
            .iter()
            .any(|pid| process::Identity::of(nix_pid(*pid)).is_ok_and(|process| process.is_alive()))
        {
            return Ok(());
        }
    }
    bail!("cgroup {} does not become empty", location.path.display())
}

/// KERNEL(5.14): cgroup v2 kills everything below without looking for it, however deep it is. Where
/// it cannot, [`kill_all`] does what can be done.
fn kill_at_once(directory: &Path) {
    let file = directory.join("cgroup.kill");
    if let Err(error) = std::fs::write(&file, "1") {
        tracing::debug!("{}: {error}", file.display());
    }
}
