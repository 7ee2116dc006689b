// SPDX-License-Identifier: Apache-2.0
//! Cgroups by way of libcgroups.
//!
//! A container's [`Location`] is decided once, at create ([`locate`]), and kept in its record. Where
//! the caller may not make cgroups at all (an unprivileged user without delegation) the container
//! runs in the caller's own and the commands that need one say so.

mod place;
mod removal;
mod sharing;

pub use place::locate;
pub use removal::remove;
pub use sharing::enter as share;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use brig_policy::target::Limits;
use libcgroups::common::{
    AnyCgroupManager, CgroupConfig, CgroupManager, CgroupSetup, ControllerOpt, FreezerState,
    create_cgroup_manager, get_cgroup_setup,
};
use libcontainer::oci_spec::runtime::{LinuxResources, Mount, Spec};
use serde::{Deserialize, Serialize};

use super::hierarchies::{self, Directories};

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManagerKind {
    /// brig, in the cgroup filesystem.
    Filesystem,
    /// systemd, asked over D-Bus.
    Systemd,
}

/// Where a container's cgroup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The container's identifier: systemd names the scope by it.
    pub id: String,
    /// `linux.cgroupsPath`: a path below the root of each hierarchy, or `slice:prefix:name`.
    pub path: PathBuf,
    /// Who makes it.
    pub manager: ManagerKind,
    /// Whether there is one.
    pub availability: Availability,
}

/// Whether a container has a cgroup of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// It has.
    Own,
    /// It runs in the caller's.
    Callers,
}

impl Location {
    /// What libcontainer and libcgroups take.
    #[must_use]
    pub fn config(&self) -> CgroupConfig {
        CgroupConfig {
            cgroup_path: self.path.clone(),
            systemd_cgroup: self.manager == ManagerKind::Systemd,
            container_name: self.id.clone(),
        }
    }

    fn manager(&self) -> anyhow::Result<AnyCgroupManager> {
        if self.availability == Availability::Callers {
            bail!(
                "container {:?} has no cgroup of its own: none could be made when it was created \
                 (`brig doctor` says why)",
                self.id
            );
        }
        create_cgroup_manager(self.config())
            .map_err(|error| anyhow!("cgroup {}: {error}", self.path.display()))
    }
}

/// A container's cgroup, for a process that is to enter it.
pub enum Membership {
    /// The caller's: nothing is to be done.
    Callers,
    /// Made by brig, in the hierarchies of version 1.
    Hierarchies(Directories),
    /// Made by libcgroups, or by systemd for it, by the process that enters.
    Library(CgroupConfig, Option<Box<LinuxResources>>),
}

impl Membership {
    /// Makes the cgroup where brig does, with these limits.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn make(
        location: &Location,
        below: Option<&Path>,
        limits: Option<&LinuxResources>,
    ) -> anyhow::Result<Self> {
        let setup = get_cgroup_setup().map_err(|error| anyhow!("cgroups of this host: {error}"))?;
        let mut config = location.config();
        config.cgroup_path.extend(below);
        if location.availability == Availability::Callers {
            return Ok(Membership::Callers);
        }
        if matches!(setup, CgroupSetup::Unified) {
            return Ok(Membership::Library(config, limits.cloned().map(Box::new)));
        }
        let directories = hierarchies::make(&config.cgroup_path)?;
        if let Some(limits) = limits {
            directories.restrict_devices(limits.devices().as_deref().unwrap_or_default())?;
            apply_rest(location, limits)?;
        }
        Ok(Membership::Hierarchies(directories))
    }

    /// Moves the calling process, which has one thread, into it.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn enter(&self) -> anyhow::Result<()> {
        let (config, limits) = match self {
            Membership::Callers => return Ok(()),
            Membership::Hierarchies(directories) => return directories.enter(),
            Membership::Library(config, limits) => (config, limits),
        };
        let fail = |error: &dyn std::fmt::Display| {
            anyhow!("cgroup {}: {error}", config.cgroup_path.display())
        };
        let manager = create_cgroup_manager(config.clone()).map_err(|error| fail(&error))?;
        let own = nix::unistd::Pid::from_raw(rustix::process::getpid().as_raw_pid());
        manager.add_task(own).map_err(|error| fail(&error))?;
        let Some(resources) = limits else { return Ok(()) };
        manager.apply(&limits_of(resources)).map_err(|error| fail(&error))
    }
}

/// Whether brig runs in a user namespace that is not the initial one: user_namespaces(7).
#[must_use]
pub fn in_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| {
        let fields: Vec<&str> = map.split_whitespace().collect();
        fields != ["0", "0", "4294967295"]
    })
}

/// The pids in a container's cgroup and below.
///
/// # Errors
///
/// The cgroup cannot be read, or there is none.
pub fn pids(location: &Location) -> anyhow::Result<Vec<i32>> {
    let pids = location
        .manager()?
        .get_all_pids()
        .map_err(|error| anyhow!("processes of cgroup {}: {error}", location.path.display()))?;
    Ok(pids.into_iter().map(nix_pid).collect())
}

fn nix_pid(pid: impl Into<i32>) -> i32 {
    pid.into()
}

/// Freezes or thaws a container.
///
/// # Errors
///
/// There is no freezer, or no cgroup.
pub fn freeze(location: &Location, state: FreezerState) -> anyhow::Result<()> {
    location
        .manager()?
        .freeze(state)
        .map_err(|error| anyhow!("freezer of cgroup {}: {error}", location.path.display()))
}

/// Thaws a container that is frozen: what is frozen does not die on cgroup v1.
///
/// # Errors
///
/// The kernel's.
pub fn thaw(location: &Location) -> anyhow::Result<()> {
    if is_frozen(location)? { freeze(location, FreezerState::Thawed) } else { Ok(()) }
}

/// Whether a container's cgroup is frozen.
///
/// # Errors
///
/// Its state file exists and cannot be read.
pub fn is_frozen(location: &Location) -> anyhow::Result<bool> {
    if location.availability == Availability::Callers {
        return Ok(false);
    }
    let Some(file) = freezer_file(location) else { return Ok(false) };
    match fs::read_to_string(&file) {
        Ok(text) => Ok(matches!(text.trim(), "FROZEN" | "FREEZING" | "1")),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

fn freezer_file(location: &Location) -> Option<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = location.path.strip_prefix("/").unwrap_or(&location.path);
    match get_cgroup_setup().ok()? {
        CgroupSetup::Unified if location.manager == ManagerKind::Systemd => {
            let text = location.path.to_string_lossy();
            let mut parts = text.split(':');
            let (slice, prefix, name) = (parts.next()?, parts.next()?, parts.next()?);
            Some(root.join(slice).join(format!("{prefix}-{name}.scope")).join("cgroup.freeze"))
        }
        CgroupSetup::Unified => Some(root.join(below).join("cgroup.freeze")),
        CgroupSetup::Legacy | CgroupSetup::Hybrid => {
            Some(root.join("freezer").join(below).join("freezer.state"))
        }
    }
}

/// What the cgroups of a container at this location can limit.
#[must_use]
pub fn limits(location: &Location) -> Limits {
    if location.availability == Availability::Callers {
        return Limits::default();
    }
    match get_cgroup_setup() {
        Ok(CgroupSetup::Unified) => {
            let names = fs::read_to_string(handed_down(location)).unwrap_or_default();
            let has = |name: &str| names.split_whitespace().any(|one| one == name);
            Limits { processes: has("pids"), memory: has("memory") }
        }
        Ok(CgroupSetup::Legacy | CgroupSetup::Hybrid) => {
            let mounted = hierarchies::mounted().unwrap_or_default();
            let has = |name: &str| mounted.iter().any(|one| one.has(name));
            Limits { processes: has("pids"), memory: has("memory") }
        }
        Err(_) => Limits::default(),
    }
}

/// The file that says which controllers of cgroup v2 a container at this location has: its parent,
/// which [`locate`] has made, hands them down; what systemd makes has all.
fn handed_down(location: &Location) -> PathBuf {
    let root = Path::new("/sys/fs/cgroup");
    let below = location.path.strip_prefix("/").unwrap_or(&location.path);
    match location.manager {
        ManagerKind::Systemd => root.join("cgroup.controllers"),
        ManagerKind::Filesystem => root.join(below).with_file_name("cgroup.subtree_control"),
    }
}

/// Completes the limits of a specification for libcgroups.
pub fn complete(spec: &mut Spec) {
    let linux = spec.linux_mut().as_mut();
    if let Some(resources) = linux.and_then(|linux| linux.resources_mut().as_mut())
        && matches!(get_cgroup_setup(), Ok(CgroupSetup::Unified))
        && Path::new("/proc/swaps").exists()
    {
        deny_swap(resources);
    }
}

/// Where memory and swap together are limited to what memory alone is, there is no swap. libcgroups
/// takes the difference of 0 for "as it is" on cgroup v2.
fn deny_swap(resources: &mut LinuxResources) {
    let memory = resources.memory().unwrap_or_default();
    if memory.limit().is_some_and(|limit| limit > 0) && memory.swap() == memory.limit() {
        let mut files = resources.unified().clone().unwrap_or_default();
        files.entry("memory.swap.max".to_owned()).or_insert_with(|| "0".to_owned());
        resources.set_unified(Some(files));
    }
}

/// Applies limits to a container.
///
/// # Errors
///
/// The kernel's, or there is no cgroup.
pub fn apply(location: &Location, resources: &LinuxResources) -> anyhow::Result<()> {
    let mut resources = resources.clone();
    if matches!(get_cgroup_setup(), Ok(CgroupSetup::Unified)) && Path::new("/proc/swaps").exists() {
        deny_swap(&mut resources);
    }
    location
        .manager()?
        .apply(&limits_of(&resources))
        .map_err(|error| anyhow!("limits of cgroup {}: {error}", location.path.display()))
}

/// The limits of other things than devices.
fn apply_rest(location: &Location, limits: &LinuxResources) -> anyhow::Result<()> {
    let mut rest = limits.clone();
    rest.set_devices(None);
    // libcgroups looks at the mount table a dozen times
    if rest == LinuxResources::default() { Ok(()) } else { apply(location, &rest) }
}

fn limits_of(resources: &LinuxResources) -> ControllerOpt<'_> {
    ControllerOpt { resources, freezer_state: None, oom_score_adj: None, disable_oom_killer: false }
}

/// A container's resource usage.
///
/// # Errors
///
/// The kernel's, or there is no cgroup.
pub fn stats(location: &Location) -> anyhow::Result<libcgroups::stats::Stats> {
    location
        .manager()?
        .stats()
        .map_err(|error| anyhow!("statistics of cgroup {}: {error}", location.path.display()))
}

/// The file that counts the processes of a process's memory cgroup which the kernel has killed for
/// want of memory.
#[must_use]
pub fn oom_file(pid: i32) -> Option<PathBuf> {
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let files = own.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some(Path::new("/sys/fs/cgroup").join(path).join("memory.events")),
            names if names.split(',').any(|one| one == "memory") => {
                Some(Path::new("/sys/fs/cgroup/memory").join(path).join("memory.oom_control"))
            }
            _ => None,
        }
    });
    files.into_iter().find(|file| file.exists())
}

/// The count of [`oom_file`]; 0 where the kernel does not say.
#[must_use]
pub fn oom_kills(file: Option<&Path>) -> u64 {
    let text = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
    text.lines().find_map(count).unwrap_or_default()
}

/// Where a container that is to see its cgroups read-only has them: each hierarchy is a mount of
/// its own, and the option `ro` of the one above does not reach it.
#[must_use]
pub fn read_only_paths(spec: &Spec) -> Vec<String> {
    let is_read_only = |mount: &&Mount| {
        matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"))
            && mount.options().iter().flatten().any(|one| one == "ro")
    };
    let destinations: Vec<&Path> = spec
        .mounts()
        .iter()
        .flatten()
        .filter(is_read_only)
        .map(|mount| mount.destination().as_path())
        .collect();
    let hierarchies = if destinations.is_empty() { Vec::new() } else { hierarchy_names() };
    let below = |destination: &Path| {
        let top = destination.to_path_buf();
        std::iter::once(top)
            .chain(hierarchies.iter().map(|one| destination.join(one)))
            .map(|path| path.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    destinations.into_iter().flat_map(below).collect()
}

/// The names under which this host has its hierarchies mounted.
fn hierarchy_names() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let name = |line: &str| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        let inner = filesystem.starts_with("cgroup") && point != Path::new("/sys/fs/cgroup");
        inner.then(|| point.file_name().map(|name| name.to_string_lossy().into_owned()))?
    };
    let mut names: Vec<String> = text.lines().filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_is_memorys_leaves_no_swap() {
        let limited = |limit: i64, swap: i64| -> Option<String> {
            let value = serde_json::json!({ "memory": { "limit": limit, "swap": swap } });
            let mut resources: LinuxResources = serde_json::from_value(value).unwrap();
            deny_swap(&mut resources);
            resources.unified().as_ref()?.get("memory.swap.max").cloned()
        };
        assert_eq!(limited(100, 100).as_deref(), Some("0"));
        assert_eq!((limited(100, 200), limited(-1, -1), limited(0, 0)), (None, None, None));
    }
}
