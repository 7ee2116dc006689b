// SPDX-License-Identifier: Apache-2.0
//! The survey of a host: what was found, and what follows from it.
//!
//! A [`Survey`] holds facts alone; brig's probes fill it in and decide nothing. Everything that is
//! concluded is concluded here, by functions of the facts: where containers' cgroups go
//! ([`Placement`]), what the compiler may count on ([`Survey::target`]), whether a rootless network
//! is possible, the [`Mode`], the table of `brig doctor` ([`report`]) and the document of `brig
//! features` ([`features`]). Every host can so be judged on any host.
//!
//! It says what a host offers to its caller at the moment of the survey. It is no promise: a probe
//! that worked can fail later, and whoever acts on a conclusion still handles the kernel's refusal.

mod cgroup;
mod checks;
mod features;
mod isolation;
mod mode;
mod network;
mod placement;
mod report;
mod resources;
mod storage;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use cgroup::{
    Cgroups, Found, Hierarchy, Layout, Malformed, Membership, Own, Setup, Top, V1_CONTROLLERS,
    base, layout, membership,
};
pub use features::{ACTIONS, FLAGS, HOOKS, MOUNT_OPTIONS, OPERATORS, features};
pub use mode::Mode;
pub use network::rootless_network;
pub use placement::{CONTROLLERS, Placement, Privilege, Situation, Step, steps, to_enable};
pub use report::{Check, Report, State, json, report, text};

use crate::seccomp::Arch;
use crate::target::{Landlock, Target};

/// The oldest kernel that brig runs on.
pub const OLDEST_KERNEL: (u32, u32) = (6, 1);

/// What was found on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The kernel.
    pub kernel: Kernel,
    /// Who asks.
    pub caller: Caller,
    /// What says that brig itself runs in a container.
    pub container: Signs,
    /// The kinds of namespace that the kernel has, by their OCI names.
    pub namespaces: Vec<String>,
    /// Making a user namespace.
    pub user_namespaces: UserNamespaces,
    /// Cgroups.
    pub cgroups: Cgroups,
    /// landlock(7).
    pub landlock: Attempt<Landlock>,
    /// seccomp(2).
    pub seccomp: Seccomp,
    /// Mounting an overlay, and writing to it.
    pub overlay: Attempt,
    /// Device files.
    pub devices: Devices,
    /// Programs of others.
    pub programs: Programs,
    /// Whether systemd is this host's first process.
    pub systemd: bool,
}

/// The kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// The first two numbers of it; `None` where there are none.
    pub version: Option<(u32, u32)>,
    /// `uname -m`, which setarch(8) changes.
    pub machine: String,
    /// The architecture that brig was built for, which is what runs here; `None`: it has no table of
    /// system calls for it.
    pub arch: Option<Arch>,
    /// The highest capability's number.
    pub last_capability: u32,
}

impl Kernel {
    /// The first two numbers of a release: `(6, 1)` of `6.1.0-28-amd64`.
    #[must_use]
    pub fn version_of(release: &str) -> Option<(u32, u32)> {
        let mut parts = release.split(|one: char| !one.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    /// The capabilities that the kernel has, as a bit mask.
    #[must_use]
    pub fn capabilities(&self) -> u64 {
        2_u64.checked_shl(self.last_capability).map_or(u64::MAX, |above| above.wrapping_sub(1))
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The effective user id.
    pub uid: u32,
    /// Whether the caller is in a user namespace that is not the initial one.
    pub in_user_namespace: bool,
    /// The effective capabilities, as a bit mask: those of the bounding set that a caller does not
    /// hold help nobody.
    pub effective: u64,
    /// The hard limit of RLIMIT_MEMLOCK in bytes; `None`: unlimited.
    pub locked_memory: Option<u64>,
}

impl Caller {
    /// What the caller may do at all.
    #[must_use]
    pub const fn privilege(&self) -> Privilege {
        match (self.effective & CAP_SYS_ADMIN != 0, self.in_user_namespace) {
            (false, _) => Privilege::None,
            (true, true) => Privilege::Namespace,
            (true, false) => Privilege::Host,
        }
    }
}

impl Situation {
    /// From the facts.
    #[must_use]
    pub fn of(caller: &Caller, container: &Signs) -> Self {
        let privilege = caller.privilege();
        // the container library sets this limit before it loads a program
        let has_memory = caller.locked_memory.is_none_or(|limit| limit >= 128 << 20);
        let has_resource = caller.effective & CAP_SYS_RESOURCE != 0;
        Situation {
            nested: container.are_a_container(),
            privilege,
            device_programs: privilege == Privilege::Host && (has_resource || has_memory),
        }
    }
}

/// What says that brig itself runs in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signs {
    /// The kinds of namespace, of those that can be told (`cgroup`, `ipc`, `pid`, `uts`), that are
    /// not the host's.
    pub namespaces: Vec<String>,
    /// A file that engines put into their containers. A machine whose root filesystem was made from
    /// an image has it, too.
    pub marker: Option<String>,
}

impl Signs {
    /// Whether it does: in a pid namespace that is not the host's, or in a container that shares the
    /// host's and lacks others.
    #[must_use]
    pub fn are_a_container(&self) -> bool {
        let has_pid = self.namespaces.iter().any(|kind| kind == "pid");
        has_pid || (self.marker.is_some() && !self.namespaces.is_empty())
    }
}

/// Something that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attempt<T = ()> {
    /// It works.
    Works(T),
    /// It does not.
    Refused(Refusal),
}

impl<T> Attempt<T> {
    /// Whether it works.
    #[must_use]
    pub const fn works(&self) -> bool {
        matches!(self, Attempt::Works(_))
    }

    /// What it gave.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Attempt::Works(value) => Some(value),
            Attempt::Refused(_) => None,
        }
    }

    /// Why not, if not.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Attempt::Works(_) => None,
            Attempt::Refused(refusal) => Some(refusal),
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The call with its arguments.
    pub call: String,
    /// Its errno.
    pub errno: i32,
    /// The errno in words.
    pub error: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.call, self.error)
    }
}

/// Making a user namespace, with a mount and a network namespace in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNamespaces {
    /// All three, one after the other, in a child.
    pub attempt: Attempt,
    /// `user.max_user_namespaces`.
    pub most: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, a switch of Debian's.
    pub unprivileged_clone: Option<bool>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, a switch of Ubuntu's.
    pub apparmor_restricts: Option<bool>,
}

/// seccomp(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seccomp {
    /// The actions that the kernel has, by their names in seccomp(2) without `SECCOMP_RET_`.
    pub actions: Vec<String>,
    /// The flags of filters that the kernel has, without `SECCOMP_FILTER_FLAG_`.
    pub flags: Vec<String>,
    /// The sizes of the structures of a notification: `seccomp_notif`, `seccomp_notif_resp`,
    /// `seccomp_data`.
    pub notification: Attempt<[u16; 3]>,
    /// Loading a filter with a listener, in a child.
    pub listener: Attempt,
    /// The version of the libseccomp that is installed. brig does not use it.
    pub libseccomp: Option<String>,
}

impl Seccomp {
    /// Whether the kernel has this action.
    #[must_use]
    pub fn has_action(&self, name: &str) -> bool {
        self.actions.iter().any(|one| one == name)
    }

    /// Whether the kernel has this flag.
    #[must_use]
    pub fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|one| one == name)
    }
}

/// Device files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// `/dev/fuse`.
    pub fuse: Device,
    /// `/dev/net/tun`.
    pub tun: Device,
}

/// A device file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The caller opens it for reading and writing.
    Opens,
    /// It is there, and its driver is loaded by whoever opens it first; that was left undone.
    NotLoaded,
    /// It is not there, or cannot be opened.
    Refused(Refusal),
}

impl Device {
    /// Why it cannot be used, if so.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Device::Opens | Device::NotLoaded => None,
            Device::Refused(refusal) => Some(refusal),
        }
    }
}

/// Programs of others: where they are, if they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// fuse-overlayfs(1).
    pub fuse_overlayfs: Option<String>,
    /// fusermount3(1) or fusermount(1).
    pub fusermount: Option<String>,
    /// pasta(1).
    pub pasta: Option<String>,
    /// newuidmap(1).
    pub newuidmap: Option<String>,
    /// newgidmap(1).
    pub newgidmap: Option<String>,
}

/// `CAP_SYS_ADMIN` of linux/capability.h.
const CAP_SYS_ADMIN: u64 = 1 << 21;
/// `CAP_SYS_RESOURCE` of the same.
const CAP_SYS_RESOURCE: u64 = 1 << 24;

impl Survey {
    /// Whether brig itself runs in a container.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.container.are_a_container()
    }

    /// Whether the caller makes namespaces and mounts without a user namespace around them.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.caller.privilege() != Privilege::None
    }

    /// What decides where cgroups go, beside the cgroups themselves.
    #[must_use]
    pub fn situation(&self) -> Situation {
        Situation::of(&self.caller, &self.container)
    }

    /// Where containers' cgroups go.
    #[must_use]
    pub fn placement(&self) -> Placement {
        Placement::decide(&self.cgroups, self.situation())
    }

    /// What the compiler takes; `None` for a machine or a kernel that brig cannot name.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        Some(Target {
            kernel: self.kernel.version?,
            arch: self.kernel.arch?,
            landlock: self.landlock.value().copied(),
            limits: self.cgroups.limits(&self.placement()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_two_numbers_or_none() {
        let check = |release: &str, expected| {
            assert_eq!(Kernel::version_of(release), expected, "{release}");
        };
        check("6.1.0-28-amd64", Some((6, 1)));
        check("6.18.44", Some((6, 18)));
        check("7.0-rc1", Some((7, 0)));
        for release in ["", "6", "linux", "-6.1", "99999999999.1"] {
            check(release, None);
        }
    }

    #[test]
    fn a_marker_alone_is_no_container() {
        let check = |namespaces: &[&str], marker: Option<&str>, expected: bool| {
            let namespaces = namespaces.iter().map(|one| (*one).to_owned()).collect();
            let signs = Signs { namespaces, marker: marker.map(str::to_owned) };
            assert_eq!(signs.are_a_container(), expected, "{signs:?}");
        };
        check(&[], None, false);
        check(&[], Some("/.dockerenv"), false);
        check(&["uts"], None, false);
        check(&["uts"], Some("/.dockerenv"), true);
        check(&["pid"], None, true);
    }

    #[test]
    fn device_programs_take_the_hosts_root_and_memory() {
        let check = |effective: u64, in_user_namespace, locked_memory, expected: bool| {
            let caller = Caller { uid: 0, in_user_namespace, effective, locked_memory };
            let situation = Situation::of(&caller, &Signs::default());
            assert_eq!(situation.device_programs, expected, "{caller:?}");
        };
        let (little, enough) = (Some(8 << 20), Some(128 << 20));
        check(CAP_SYS_ADMIN, false, little, false);
        check(CAP_SYS_ADMIN, false, enough, true);
        check(CAP_SYS_ADMIN, false, None, true);
        check(CAP_SYS_ADMIN | CAP_SYS_RESOURCE, false, little, true);
        check(CAP_SYS_ADMIN | CAP_SYS_RESOURCE, true, None, false);
        check(0, false, None, false);
    }

    #[test]
    fn the_kernels_capabilities_end_with_its_last() {
        let of = |last_capability| {
            let (release, machine) = (String::new(), String::new());
            Kernel { release, version: None, machine, arch: None, last_capability }.capabilities()
        };
        assert_eq!(of(0), 1);
        assert_eq!(of(40), (1 << 41) - 1);
        assert_eq!(of(62), u64::MAX >> 1);
        assert_eq!(of(63), u64::MAX);
        assert_eq!(of(64), u64::MAX);
    }
}
