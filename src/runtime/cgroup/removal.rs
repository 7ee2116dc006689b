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
use libcgroups::common::{AnyCgroupManager, CgroupManager};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::{Availability, Location, ManagerKind, nix_pid, sharing, thaw};
use crate::runtime::hierarchies;
use crate::runtime::process::Identity;
use crate::survey;

/// Kills what is left in a container's cgroup and removes it. The supervisor, which is in it too, is
/// given the time to end by itself.
///
/// # Errors
///
/// A directory that cannot be removed.
pub fn remove(location: &Location, supervisor: Option<&Identity>) -> anyhow::Result<()> {
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
    kill_all(location, &manager, supervisor)?;
    if let Some(supervisor) = supervisor
        && supervisor.wait(PATIENCE).is_err()
    {
        // it may be waiting for something that no signal ends: the cgroup goes without it
        sharing::leave(supervisor.pid)?;
        kill_all(location, &manager, None)?;
    }
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

/// How long a supervisor may take to end when nobody is left to be served.
const PATIENCE: Duration = Duration::from_secs(2);

/// Kills until nothing is left but who is spared: a process may fork between the list and the signal.
fn kill_all(
    location: &Location,
    manager: &AnyCgroupManager,
    spared: Option<&Identity>,
) -> anyhow::Result<()> {
    // a freezer that cannot be thawed leaves processes that do not die of SIGKILL on cgroup v1
    thaw(location)?;
    let others = || {
        // an absent directory has no processes
        let pids = manager.get_all_pids().unwrap_or_default().into_iter().map(nix_pid);
        pids.filter(|pid| spared.is_none_or(|spared| spared.pid != *pid)).collect::<Vec<i32>>()
    };
    for _ in 0..100 {
        let pids = others();
        if pids.is_empty() {
            return Ok(());
        }
        for pid in pids {
            if let Ok(process) = Identity::of(pid) {
                process.signal(libc::SIGKILL).with_context(|| format!("kill {}", process.pid))?;
                // a zombie that its parent has not reaped stays in the list and is no process
                process.wait(Duration::from_secs(10)).unwrap_or_default();
            }
        }
        let lives = |pid: i32| Identity::of(pid).is_ok_and(|process| process.is_alive());
        if !others().into_iter().any(lives) {
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
