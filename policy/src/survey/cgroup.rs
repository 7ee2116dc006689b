// SPDX-License-Identifier: Apache-2.0
//! Cgroups as facts: which hierarchies are mounted, and where in them the caller is.
//!
//! From `/proc/self/mountinfo` and `/proc/self/cgroup` as texts: proc_pid_mountinfo(5), cgroups(7).
//! All paths of a [`Hierarchy`] count from its mount point, not from the hierarchy's root: that is
//! what a program can name, and the same thing only where the whole hierarchy is mounted.

use serde::{Deserialize, Serialize};

use super::placement::{LEAF, Placement};
use crate::target::Limits;

/// Where cgroups are mounted on every host that brig knows.
pub const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// The controllers of cgroup v1 that a container is placed by.
pub const V1_CONTROLLERS: [&str; 12] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

/// How a host has its cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setup {
    /// None is mounted at `/sys/fs/cgroup`.
    None,
    /// cgroup v1 alone.
    V1,
    /// cgroup v1 with its controllers, and a v2 hierarchy without any.
    Hybrid,
    /// cgroup v2 alone.
    V2,
}

/// The cgroups of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroups {
    /// How they are mounted.
    pub setup: Setup,
    /// The hierarchies that a container is placed in: the one of v2, or each one of v1 that has a
    /// controller.
    pub hierarchies: Vec<Hierarchy>,
    /// Why the caller's own cgroups are not known, where they are not.
    pub problem: Option<String>,
}

/// A hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its controllers: on v2, those that the topmost cgroup offers.
    pub controllers: Vec<String>,
    /// The topmost cgroup that can be seen.
    pub top: Top,
    /// The caller's; `None` where it cannot be seen.
    pub own: Option<Own>,
}

/// The topmost cgroup that can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top {
    /// Whether the caller can make cgroups in it and give them controllers.
    pub writable: bool,
    /// Whether it is the hierarchy's root, or else a part that somebody else has limited.
    pub is_root: bool,
    /// Whether there are processes in it.
    pub occupied: bool,
}

/// The caller's own cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Its path.
    pub path: String,
    /// The cgroup that containers' could be made in: [`base`] of it.
    pub base: String,
    /// Whether the caller can make cgroups there, give them controllers and move processes.
    pub writable: bool,
    /// The controllers that it offers.
    pub controllers: Vec<String>,
}

impl Cgroups {
    /// What the cgroup of a container that is placed so can limit.
    #[must_use]
    pub fn limits(&self, placement: &Placement) -> Limits {
        let offered = self.offered(placement);
        let has = |name: &str| offered.contains(&name);
        Limits { processes: has("pids"), memory: has("memory") }
    }

    /// The controllers that a container which is placed so can have, sorted.
    #[must_use]
    pub fn offered(&self, placement: &Placement) -> Vec<&str> {
        let of = |hierarchy| offers(self.setup, hierarchy, placement);
        let mut names: Vec<&str> = self.hierarchies.iter().flat_map(of).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn offers<'a>(setup: Setup, hierarchy: &'a Hierarchy, placement: &Placement) -> Vec<&'a str> {
    let names = match (placement, setup) {
        (Placement::Callers { .. }, _) | (_, Setup::None) => return Vec::new(),
        (Placement::Delegated { .. }, Setup::V2) => {
            hierarchy.own.as_ref().map(|own| own.controllers.as_slice()).unwrap_or_default()
        }
        _ => &hierarchy.controllers,
    };
    names.iter().map(String::as_str).collect()
}

/// The cgroup that containers' could be made in beside a leaf for what is there already.
///
/// That is the caller's own; or, where the caller is in such a leaf, the one above: where a
/// namespace's root has been arranged so (by brig, or by whoever started the engine), or where brig
/// has made the leaf's sibling.
#[must_use]
pub fn base(own: &str, top_is_root: bool, has_sibling: bool) -> String {
    let above = own.strip_suffix(LEAF).and_then(|above| above.strip_suffix('/'));
    match above {
        Some("") if !top_is_root || has_sibling => "/".to_owned(),
        Some(above) if has_sibling && !above.is_empty() => above.to_owned(),
        _ => own.to_owned(),
    }
}

/// One line of `/proc/PID/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The controllers; empty for v2, `name=…` for a hierarchy without any.
    pub controllers: Vec<String>,
    /// The path as the reader's cgroup namespace has it: `/../x` is outside of it.
    pub path: String,
}

/// A line of `/proc/PID/cgroup` that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("/proc/self/cgroup:{line}: {text:?} is not hierarchy:controllers:path")]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// Reads `/proc/PID/cgroup`.
///
/// # Errors
///
/// The first line that is malformed.
pub fn membership(text: &str) -> Result<Vec<Membership>, Malformed> {
    let read = |(index, line): (usize, &str)| {
        parse_line(line).ok_or_else(|| Malformed { line: index + 1, text: line.to_owned() })
    };
    text.lines().enumerate().map(read).collect()
}

fn parse_line(line: &str) -> Option<Membership> {
    // a path may have colons; controllers have none
    let mut parts = line.splitn(3, ':');
    let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let number: u32 = number.parse().ok()?;
    let is_v2 = controllers.is_empty();
    if is_v2 != (number == 0) || !path.starts_with('/') {
        return None;
    }
    let names = controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
    Some(Membership { controllers: names.collect(), path: path.to_owned() })
}

/// What the two files of /proc say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How cgroups are mounted.
    pub setup: Setup,
    /// The hierarchies that containers are placed in.
    pub found: Vec<Found>,
    /// Why the caller's own cgroups are not known, where they are not.
    pub problem: Option<String>,
}

/// A hierarchy of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its controllers; none for v2, which has them in a file.
    pub controllers: Vec<String>,
    /// The caller's cgroup, from the mount point; `None` where it cannot be seen.
    pub own: Option<String>,
}

/// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
#[must_use]
pub fn layout(mountinfo: &str, cgroup: &str) -> Layout {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    let setup = setup(&mounts);
    let (members, problem) = match membership(cgroup) {
        Ok(members) => (members, None),
        Err(malformed) => (Vec::new(), Some(malformed.to_string())),
    };
    let found = match setup {
        Setup::None => Vec::new(),
        Setup::V2 => v2_hierarchy(&mounts, &members).into_iter().collect(),
        Setup::V1 | Setup::Hybrid => v1_hierarchies(&mounts, &members),
    };
    Layout { setup, found, problem }
}

fn v2_hierarchy(mounts: &[Mount], members: &[Membership]) -> Option<Found> {
    let mount = mounts.iter().rev().find(|mount| mount.point == MOUNT_POINT)?;
    let own = own(members, mount);
    Some(Found { mount_point: mount.point.clone(), controllers: Vec::new(), own })
}

fn v1_hierarchies(mounts: &[Mount], members: &[Membership]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for mount in mounts.iter().filter(|mount| !mount.controllers.is_empty()) {
        // one hierarchy may be mounted more than once
        if found.iter().any(|one| one.controllers == mount.controllers) {
            continue;
        }
        found.push(Found {
            mount_point: mount.point.clone(),
            controllers: mount.controllers.clone(),
            own: own(members, mount),
        });
    }
    found
}

/// What is mounted at the usual place decides: later lines cover earlier ones.
fn setup(mounts: &[Mount]) -> Setup {
    let kind = |at: &str| {
        mounts.iter().rev().find(|mount| mount.point == at).map(|mount| mount.kind.as_str())
    };
    match (kind(MOUNT_POINT), kind(&format!("{MOUNT_POINT}/unified"))) {
        (Some("cgroup2"), _) => Setup::V2,
        (Some("tmpfs"), Some("cgroup2")) => Setup::Hybrid,
        (Some("tmpfs"), _) => Setup::V1,
        _ => Setup::None,
    }
}

/// The caller's cgroup from a mount point: the namespace's path without what the mount leaves out.
fn own(members: &[Membership], mount: &Mount) -> Option<String> {
    let member = members.iter().find(|member| match mount.kind.as_str() {
        "cgroup2" => member.controllers.is_empty(),
        _ => mount.controllers.iter().any(|name| member.controllers.contains(name)),
    })?;
    let path = member.path.as_str();
    // removed while the caller was in it: nothing can be made there
    if path.ends_with(" (deleted)") || path.split('/').any(|part| part == "..") {
        return None;
    }
    let below = path.strip_prefix(mount.root.trim_end_matches('/'))?;
    match below {
        "" => Some("/".to_owned()),
        below if below.starts_with('/') => Some(below.to_owned()),
        _ => None,
    }
}

/// A line of mountinfo.
struct Mount {
    root: String,
    point: String,
    kind: String,
    controllers: Vec<String>,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
        let mut fields = filesystem.split(' ');
        let (kind, options) = (fields.next()?.to_owned(), fields.nth(1).unwrap_or_default());
        let named = options.split(',').filter(|one| V1_CONTROLLERS.contains(one));
        let controllers =
            if kind == "cgroup" { named.map(str::to_owned).collect() } else { Vec::new() };
        Some(Mount { root, point, kind, controllers })
    }
}

/// Octal escapes of mountinfo: space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
