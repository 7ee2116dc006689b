// SPDX-License-Identifier: Apache-2.0
//! Where the cgroups of containers go that name none themselves, and what has to be done for it.
//!
//! Guarantee: a container never leaves what limits brig itself. Where brig runs in a container and
//! sees the whole hierarchy, containers go below brig's own cgroup, not beside it. The one exception
//! is cgroup v1 with brig in different cgroups of different hierarchies, where no path is below all
//! of them.
//!
//! On cgroup v2 a cgroup that has processes cannot hand controllers down (cgroups(7), "no internal
//! processes"): what is there moves to a leaf, `init`, and containers go to its sibling,
//! `containers`. Doing that again changes nothing.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cgroup::{Cgroups, Setup};

/// The leaf that takes what was in a cgroup before containers came.
pub const LEAF: &str = "init";
/// Its sibling, which has the containers.
pub const SIBLING: &str = "containers";
/// Where containers go from the top.
const TOP_LEVEL: &str = "/brig/containers";
/// The controllers of cgroup v2 that `linux.resources` is carried out with.
pub const CONTROLLERS: [&str; 6] = ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"];

/// Where containers' cgroups go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// To `/brig/containers` from the top of every hierarchy.
    TopLevel,
    /// To `containers` in this cgroup, beside `init`.
    Delegated {
        /// Its path from the mount point.
        base: String,
    },
    /// Nowhere: a container stays in the caller's own.
    Callers {
        /// Why.
        reason: String,
    },
}

/// What a [`Placement`] depends on.
struct View<'a> {
    /// The caller sees the hierarchies' roots, not a part that somebody else has limited.
    sees_root: bool,
    /// It can make cgroups at the top.
    top_writable: bool,
    /// What is at the top keeps controllers from being handed down.
    top_occupied: bool,
    /// The cgroup below which it could be done in every hierarchy, if there is one.
    base: Option<&'a str>,
    base_writable: bool,
}

/// What the caller may do at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privilege {
    /// CAP_SYS_ADMIN in the host's user namespace.
    Host,
    /// CAP_SYS_ADMIN in a user namespace that somebody has made.
    Namespace,
    /// None.
    None,
}

/// What a placement depends on beside the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Situation {
    /// brig itself runs in a container.
    pub nested: bool,
    /// What the caller may do.
    pub privilege: Privilege,
    /// It can load the programs that are the rules about devices on cgroup v2.
    pub device_programs: bool,
}

impl Situation {
    /// Whether brig can give a container a cgroup, if there is a place for it.
    ///
    /// # Errors
    ///
    /// Why not, as a sentence without its final stop.
    pub fn allows_cgroups(self, setup: Setup) -> Result<(), &'static str> {
        match self.privilege {
            Privilege::None => Err("the caller has no CAP_SYS_ADMIN"),
            // KERNEL(4.15): programs take the place of a controller
            _ if setup == Setup::V2 && !self.device_programs => Err(
                "to load a container's rules about devices takes CAP_SYS_ADMIN in the host's user \
                 namespace, and CAP_SYS_RESOURCE or a RLIMIT_MEMLOCK of 128 MiB",
            ),
            Privilege::Host | Privilege::Namespace => Ok(()),
        }
    }
}

impl Placement {
    /// Decides.
    #[must_use]
    pub fn decide(cgroups: &Cgroups, situation: Situation) -> Self {
        match Self::find(cgroups, situation) {
            Ok(placement) => placement,
            Err(reason) => Placement::Callers { reason: reason.to_owned() },
        }
    }

    fn find(cgroups: &Cgroups, situation: Situation) -> Result<Self, &str> {
        if cgroups.setup == Setup::None {
            return Err("no cgroup filesystem is mounted at /sys/fs/cgroup");
        }
        if cgroups.hierarchies.is_empty() {
            return Err("no cgroup hierarchy has a controller");
        }
        situation.allows_cgroups(cgroups.setup)?;
        let unknown = cgroups.problem.as_deref();
        let reason =
            unknown.unwrap_or("neither the top of the cgroups nor the caller's own can be written");
        View::of(cgroups).place(situation.nested).ok_or(reason)
    }

    /// The cgroup that containers' are made in.
    #[must_use]
    pub fn parent(&self) -> Option<PathBuf> {
        match self {
            Placement::TopLevel => Some(PathBuf::from(TOP_LEVEL)),
            Placement::Delegated { base } => Some(Path::new(base).join(SIBLING)),
            Placement::Callers { .. } => None,
        }
    }
}

impl<'a> View<'a> {
    fn of(cgroups: &'a Cgroups) -> Self {
        let all = &cgroups.hierarchies;
        let mut owns = all.iter().map(|one| one.own.as_ref());
        let first = owns.next().flatten();
        let base = first.map(|own| own.base.as_str());
        let is_same = owns.all(|own| own.map(|own| own.base.as_str()) == base);
        View {
            sees_root: all.iter().any(|one| one.top.is_root),
            top_writable: all.iter().all(|one| one.top.writable),
            top_occupied: cgroups.setup == Setup::V2 && all.iter().any(|one| one.top.occupied),
            base: base.filter(|_| is_same),
            base_writable: all.iter().all(|one| one.own.as_ref().is_some_and(|own| own.writable)),
        }
    }

    fn place(&self, nested: bool) -> Option<Placement> {
        let below = self.base.filter(|_| self.base_writable);
        let delegated = below.map(|base| Placement::Delegated { base: base.to_owned() });
        let top = self.top_writable.then_some(Placement::TopLevel);
        match (self.sees_root, nested) {
            (true, false) => top,
            // in a container that shares the host's view, but is not limited by a cgroup
            (true, true) if self.base.is_none_or(|base| base == "/") => top,
            (true, true) => delegated,
            // the top is the container's own, and this process or its leaf is directly in it
            (false, _) if below == Some("/") => delegated,
            // a service manager has arranged the container's cgroups
            (false, _) if !self.top_occupied => top.or(delegated),
            (false, _) => delegated,
        }
    }
}

/// One thing to do before containers' cgroups are made. All are done anew every time: what is
/// there already stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make this cgroup.
    Make(PathBuf),
    /// Move every process of one cgroup to another.
    Move {
        /// From there.
        from: PathBuf,
        /// To there.
        to: PathBuf,
    },
    /// Hand down the controllers that this cgroup offers: [`to_enable`].
    Enable(PathBuf),
}

/// What is to be done for a container's cgroup at `path` (from the mount point), which itself is
/// left to be made by the container library.
///
/// On cgroup v1 nothing is: every controller is everywhere.
#[must_use]
pub fn steps(setup: Setup, placement: &Placement, path: &Path) -> Vec<Step> {
    if setup != Setup::V2 {
        return Vec::new();
    }
    let root = PathBuf::from("/");
    let mut steps = Vec::new();
    let mut start = root.clone();
    if let Placement::Delegated { base } = placement {
        start = PathBuf::from(base);
        let leaf = start.join(LEAF);
        steps.push(Step::Make(leaf.clone()));
        steps.push(Step::Move { from: start.clone(), to: leaf });
    }
    let parent = path.parent().unwrap_or(&root);
    let Ok(below) = parent.strip_prefix(&start) else { return Vec::new() };
    steps.push(Step::Enable(start.clone()));
    let mut at = start;
    for part in below {
        at.push(part);
        steps.push(Step::Make(at.clone()));
        steps.push(Step::Enable(at.clone()));
    }
    steps
}

/// The controllers that a cgroup could hand down and does not yet, of those that limit containers:
/// from its `cgroup.controllers` and `cgroup.subtree_control`.
#[must_use]
pub fn to_enable<'a>(offered: &'a str, enabled: &str) -> Vec<&'a str> {
    let is_missing = |name: &&str| !enabled.split_whitespace().any(|one| one == *name);
    let offered = offered.split_whitespace().filter(|name| CONTROLLERS.contains(name));
    offered.filter(is_missing).collect()
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
