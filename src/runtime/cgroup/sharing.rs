// SPDX-License-Identifier: Apache-2.0
//! The supervisor in its container's cgroup: what it does for a workload counts as the workload's.
//!
//! Devices are opened and made by the rules of the container's cgroup, which the kernel holds against
//! who makes the call; sockets' buffers, directory entries and processor time are charged to it. A
//! switch between caller and supervisor is cheaper, too, inside of one cgroup.
//!
//! It stays out of what limits processes and freezes them: a workload that has used up its processes
//! still gets answers, and a supervisor that is frozen would be taken for one that hangs. On cgroup v2,
//! which has one hierarchy, it is in a cgroup below the container's, which takes its limits from there
//! and leaves the container's own to the workload; it is frozen with it then, and the watcher knows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use libcgroups::common::{CgroupSetup, get_cgroup_setup};

use super::{Availability, Location, ManagerKind};
use crate::runtime::hierarchies;

/// The supervisor's cgroup below the container's, on cgroup v2.
const BELOW: &str = "brig-supervisor";

/// Moves the calling process, which has one thread, to a container of which this is the first process.
///
/// # Errors
///
/// The kernel's, with the path: without the container's limits nothing must be done for it.
pub fn enter(location: &Location, init: i32) -> anyhow::Result<()> {
    if location.availability == Availability::Callers {
        return Ok(());
    }
    let setup = get_cgroup_setup().map_err(|error| anyhow!("cgroups of this host: {error}"))?;
    let lists = match setup {
        CgroupSetup::Unified => vec![make_below(location, init)?.join("cgroup.procs")],
        CgroupSetup::Legacy | CgroupSetup::Hybrid => lists_of_hierarchies(location, init)?,
    };
    for list in lists {
        fs::write(&list, "0").with_context(|| format!("enter {}", list.display()))?;
    }
    Ok(())
}

/// Moves a supervisor to the caller's own cgroups.
///
/// # Errors
///
/// The kernel's, with the path.
pub fn leave(supervisor: i32) -> anyhow::Result<()> {
    let own = memberships(rustix::process::getpid().as_raw_pid())?;
    let setup = get_cgroup_setup().map_err(|error| anyhow!("cgroups of this host: {error}"))?;
    let mut directories = Vec::new();
    for one in own {
        if matches!(setup, CgroupSetup::Unified) && one.controllers.is_empty() {
            let below = one.path.strip_prefix("/").unwrap_or(&one.path);
            directories.push(Path::new("/sys/fs/cgroup").join(below));
        }
        let is_it = |hierarchy: &hierarchies::Hierarchy| {
            one.controllers.split(',').any(|name| hierarchy.has(name))
        };
        directories.extend(
            hierarchies::mounted()?.iter().filter(|it| is_it(it)).map(|it| it.directory(&one.path)),
        );
    }
    for directory in directories {
        let list = directory.join("cgroup.procs");
        match fs::write(&list, supervisor.to_string()) {
            // it has ended
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            other => other.with_context(|| format!("enter {}", list.display()))?,
        }
    }
    Ok(())
}

/// Hierarchies that limit what brig does in a workload's place.
fn limits_what_is_done(hierarchy: &hierarchies::Hierarchy) -> bool {
    const LIMITS: [&str; 7] = ["devices", "memory", "cpu", "cpuacct", "cpuset", "blkio", "net_cls"];
    LIMITS.iter().any(|controller| hierarchy.has(controller))
}

fn lists_of_hierarchies(location: &Location, init: i32) -> anyhow::Result<Vec<PathBuf>> {
    let own = memberships(init)?;
    let mut lists = Vec::new();
    for hierarchy in hierarchies::mounted()?.into_iter().filter(limits_what_is_done) {
        let path = match location.manager {
            ManagerKind::Filesystem => location.path.clone(),
            // systemd names it by unit
            ManagerKind::Systemd => own
                .iter()
                .find(|one| one.controllers.split(',').any(|name| hierarchy.has(name)))
                .map(|one| one.path.clone())
                .with_context(|| format!("process {init} is in no cgroup of {hierarchy:?}"))?,
        };
        lists.push(hierarchy.directory(&path).join("tasks"));
    }
    Ok(lists)
}

fn make_below(location: &Location, init: i32) -> anyhow::Result<PathBuf> {
    let path = match location.manager {
        ManagerKind::Filesystem => location.path.clone(),
        ManagerKind::Systemd => memberships(init)?
            .into_iter()
            .find(|one| one.controllers.is_empty())
            .map(|one| one.path)
            .with_context(|| format!("process {init} is in no cgroup"))?,
    };
    let below = path.strip_prefix("/").unwrap_or(&path).join(BELOW);
    let directory = Path::new("/sys/fs/cgroup").join(below);
    fs::create_dir(&directory).with_context(|| format!("mkdir {}", directory.display()))?;
    Ok(directory)
}

/// A line of /proc/PID/cgroup: cgroups(7).
struct Membership {
    controllers: String,
    path: PathBuf,
}

fn memberships(pid: i32) -> anyhow::Result<Vec<Membership>> {
    let file = format!("/proc/{pid}/cgroup");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    let parse = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1).map(str::to_owned);
        Some(Membership { controllers: fields.next()?, path: fields.next()?.into() })
    };
    Ok(text.lines().filter_map(parse).collect())
}
