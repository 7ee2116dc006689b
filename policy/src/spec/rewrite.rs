// SPDX-License-Identifier: Apache-2.0
//! From the specification as it was written to the one that the container library carries out.
//!
//! What brig's executor does by itself is taken out of the library's hands and returned as a
//! [`Launch`]: the program's arguments and environment, the final capability sets,
//! no_new_privs, the `startContainer` hooks. What the library leaves open is closed: every
//! capability set is given, the cgroup has a name, every path that could be relative is absolute.
//!
//! Guarantee: the workload's own sets in [`Launch::capabilities`] are subsets of the
//! specification's. The library's sets differ from them only by the capabilities that the
//! executor needs until the program is executed, in the effective and permitted sets alone.

use std::path::PathBuf;

use oci_spec::runtime::{
    Capabilities, Capability, Hook, Hooks, Linux, LinuxCapabilities, LinuxCapabilitiesBuilder,
    LinuxDeviceCgroup, Process, Spec,
};
use serde::{Deserialize, Serialize};

/// What the runtime knows beside the specification.
#[derive(Clone, Debug)]
pub struct Site {
    /// The bundle directory: absolute, without symbolic links. Relative sources start there.
    pub bundle: PathBuf,
    /// The cgroup: the specification's, or one that the runtime chose.
    pub cgroup: PathBuf,
    /// Whether cgroups can be made at all; where not, limits are left out and the caller warns.
    pub cgroups: Cgroups,
    /// The capabilities that can be had: the caller's bounding set as a bit mask, or all of them
    /// where a new user namespace is made.
    pub available: u64,
    /// Whether a seccomp program is loaded.
    pub filter: Filter,
    /// Whether the executor changes mounts or makes a Landlock domain.
    pub domain: Domain,
}

/// Whether the executor changes mounts or makes a Landlock domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// It does.
    Made,
    /// It does not.
    None,
}

/// Whether the runtime may place the container in a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// It may.
    Managed,
    /// It may not: an unprivileged user without delegation.
    Unavailable,
}

/// Whether a seccomp program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// One is.
    Loaded,
    /// None is.
    None,
}

/// The result of [`rewrite`].
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// What the container library is given.
    pub spec: Spec,
    /// What the executor does.
    pub launch: Launch,
    /// Capabilities that the specification asks for and that cannot be had, by name.
    pub unavailable: Vec<String>,
}

/// The last steps before the workload's program runs: what the executor does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// The environment, in the order and with the duplicates that were given.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Whether no_new_privs is set.
    pub no_new_privileges: bool,
    /// The workload's capability sets.
    pub capabilities: CapabilitySets,
    /// Capabilities that the executor holds beyond them until execve, as a bit mask.
    pub transient: u64,
    /// Capabilities that the executor holds beyond those while it prepares, until it waits for
    /// `start`, as a bit mask.
    pub setup: u64,
    /// The real user id.
    pub uid: u32,
    /// The real group id.
    pub gid: u32,
    /// The terminal's size, where there is a terminal.
    pub terminal: Option<ConsoleSize>,
    /// The `startContainer` hooks.
    pub hooks: Vec<Hook>,
}

/// A terminal's size in characters; zero where the specification does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// The five capability sets of capabilities(7), as bit masks by capability number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySets {
    /// The bounding set.
    pub bounding: u64,
    /// The effective set.
    pub effective: u64,
    /// The permitted set.
    pub permitted: u64,
    /// The inheritable set.
    pub inheritable: u64,
    /// The ambient set.
    pub ambient: u64,
}

/// `CAP_CHOWN` of linux/capability.h.
const CAP_CHOWN: u64 = 1 << 0;
/// `CAP_DAC_READ_SEARCH` of linux/capability.h.
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
/// `CAP_SYS_ADMIN` of linux/capability.h.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// The kernel's numbers: linux/capability.h, in order.
const CAPABILITIES: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

impl CapabilitySets {
    /// The sets of a specification; a set that is not given is empty.
    #[must_use]
    pub fn from_spec(sets: Option<&LinuxCapabilities>) -> Self {
        let Some(sets) = sets else { return CapabilitySets::default() };
        CapabilitySets {
            bounding: mask(sets.bounding().as_ref()),
            effective: mask(sets.effective().as_ref()),
            permitted: mask(sets.permitted().as_ref()),
            inheritable: mask(sets.inheritable().as_ref()),
            ambient: mask(sets.ambient().as_ref()),
        }
    }

    /// What is left of the sets where only `available` can be had.
    #[must_use]
    pub fn intersect(self, available: u64) -> Self {
        CapabilitySets {
            bounding: self.bounding & available,
            effective: self.effective & available,
            permitted: self.permitted & available,
            inheritable: self.inheritable & available,
            ambient: self.ambient & available,
        }
    }

    /// Every capability that is in some set.
    #[must_use]
    pub fn union(self) -> u64 {
        self.bounding | self.effective | self.permitted | self.inheritable | self.ambient
    }

    fn to_spec(self) -> Result<LinuxCapabilities, oci_spec::OciSpecError> {
        LinuxCapabilitiesBuilder::default()
            .bounding(set(self.bounding))
            .effective(set(self.effective))
            .permitted(set(self.permitted))
            .inheritable(set(self.inheritable))
            .ambient(set(self.ambient))
            .build()
    }
}

/// The capabilities' names of a bit mask, in the kernel's order.
#[must_use]
pub fn capability_names(mask: u64) -> Vec<String> {
    let held = CAPABILITIES.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
    held.map(|(_, capability)| format!("CAP_{capability}")).collect()
}

/// The bit mask of a set.
pub(super) fn mask(set: Option<&Capabilities>) -> u64 {
    let bit = |wanted: &Capability| CAPABILITIES.iter().position(|one| one == wanted);
    set.into_iter().flatten().filter_map(bit).fold(0, |mask, bit| mask | (1 << bit))
}

/// The set of a bit mask.
pub(super) fn set(mask: u64) -> Capabilities {
    let held = CAPABILITIES.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
    held.map(|(_, capability)| *capability).collect()
}

/// Derives what is run from what was written.
///
/// # Errors
///
/// A specification that lost a part that [`super::validate`] requires.
pub fn rewrite(spec: &Spec, site: &Site) -> Result<Rewritten, super::SpecErrors> {
    let missing = |field: &str| super::FieldError::new(field, "is missing");
    let mut spec = spec.clone();
    let process = spec.process().as_ref().ok_or_else(|| missing("process"))?;
    let mut launch = launch(process, site);
    let wanted = CapabilitySets::from_spec(process.capabilities().as_ref());
    let unavailable = capability_names(wanted.union() & !site.available);
    let held = held_until_execve(&launch);
    let mut process = process.clone();
    let sets = held
        .to_spec()
        .map_err(|error| super::FieldError::new("process.capabilities", error.to_string()))?;
    process.set_capabilities(Some(sets));
    process.set_no_new_privileges(Some(launch.no_new_privileges));
    give_library_a_home(&mut process);
    spec.set_process(Some(process));

    launch.hooks = take_start_hooks(&mut spec);
    absolute_sources(&mut spec, site);
    let mut linux = spec.linux().clone().ok_or_else(|| missing("linux"))?;
    linux.set_seccomp(None);
    match site.cgroups {
        Cgroups::Managed => deny_devices_first(&mut linux),
        Cgroups::Unavailable => {
            linux.set_resources(None);
        }
    }
    linux.set_cgroups_path(Some(site.cgroup.clone()));
    spec.set_linux(Some(linux));
    Ok(Rewritten { spec, launch, unavailable })
}

fn launch(process: &Process, site: &Site) -> Launch {
    let user = process.user();
    let no_new_privileges = process.no_new_privileges().unwrap_or(false);
    let terminal = process.terminal().unwrap_or(false).then(|| console_size(process));
    let wanted = CapabilitySets::from_spec(process.capabilities().as_ref());
    let capabilities = wanted.intersect(site.available);
    let mut needed = 0;
    let confines = site.filter == Filter::Loaded || site.domain == Domain::Made;
    // seccomp(2) and landlock_restrict_self(2) want CAP_SYS_ADMIN of a caller without no_new_privs
    if confines && !no_new_privileges {
        needed |= CAP_SYS_ADMIN;
    }
    // the terminal is made by the container's root and belongs to the workload's user
    if terminal.is_some() && user.uid() != 0 {
        needed |= CAP_CHOWN;
    }
    Launch {
        args: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
        cwd: process.cwd().clone(),
        no_new_privileges,
        capabilities,
        transient: needed & !(capabilities.effective & capabilities.permitted),
        // the rules' paths may lie below directories that the workload's user cannot enter
        setup: match site.domain {
            Domain::Made => CAP_SYS_ADMIN | CAP_DAC_READ_SEARCH,
            Domain::None => 0,
        },
        uid: user.uid(),
        gid: user.gid(),
        terminal,
        hooks: Vec::new(),
    }
}

fn console_size(process: &Process) -> ConsoleSize {
    let cell = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    process.console_size().map_or_else(ConsoleSize::default, |size| ConsoleSize {
        height: cell(size.height()),
        width: cell(size.width()),
    })
}

fn held_until_execve(launch: &Launch) -> CapabilitySets {
    let mut held = launch.capabilities;
    held.effective |= launch.transient | launch.setup;
    held.permitted |= launch.transient | launch.setup;
    held
}

/// The library looks a missing `HOME` up by way of the C library's name service, inside the
/// container's root filesystem. It must never have a reason to: the service loads code from there.
fn give_library_a_home(process: &mut Process) {
    let mut env: Vec<String> = process.env().clone().unwrap_or_default();
    env.retain(|variable| !variable.starts_with("HOME="));
    env.push("HOME=/".to_owned());
    process.set_env(Some(env));
}

fn take_start_hooks(spec: &mut Spec) -> Vec<Hook> {
    let Some(mut hooks) = spec.hooks().clone() else { return Vec::new() };
    let taken = hooks.start_container().clone().unwrap_or_default();
    hooks.set_start_container(None);
    let rest: [&Option<Vec<Hook>>; 5] = [
        hooks.prestart(),
        hooks.create_runtime(),
        hooks.create_container(),
        hooks.poststart(),
        hooks.poststop(),
    ];
    let empty = rest.iter().all(|list| list.as_ref().is_none_or(Vec::is_empty));
    spec.set_hooks(if empty { None } else { Some::<Hooks>(hooks) });
    taken
}

/// Every device is denied before the specification's rules are read, as in runc: a list that
/// allows some must not mean "all the others too".
fn deny_devices_first(linux: &mut Linux) {
    let mut resources = linux.resources().clone().unwrap_or_default();
    let mut devices = vec![deny_all()];
    devices.extend(resources.devices().iter().flatten().cloned());
    resources.set_devices(Some(devices));
    linux.set_resources(Some(resources));
}

fn deny_all() -> LinuxDeviceCgroup {
    let mut rule = LinuxDeviceCgroup::default();
    rule.set_allow(false).set_typ(None).set_major(None).set_minor(None);
    rule.set_access(Some("rwm".to_owned()));
    rule
}

fn absolute_sources(spec: &mut Spec, site: &Site) {
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    for mount in &mut mounts {
        if !mount.destination().is_absolute() {
            let destination = PathBuf::from("/").join(mount.destination());
            mount.set_destination(destination);
        }
        if mount.typ().as_deref() == Some("bind")
            && let Some(source) = mount.source().clone()
        {
            mount.set_source(Some(site.bundle.join(source)));
        }
    }
    spec.set_mounts(Some(mounts));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(process: &str) -> Spec {
        let text = format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"rootfs"}},"process":{{"cwd":"/",
            "args":["sh"],"user":{{"uid":0,"gid":0}}{process}}},"linux":{{}}}}"#
        );
        super::super::load(text.as_bytes()).unwrap().spec
    }

    fn site(filter: Filter) -> Site {
        Site {
            bundle: "/bundle".into(),
            cgroup: "/brig/containers/x".into(),
            cgroups: Cgroups::Managed,
            available: (1 << 41) - 1,
            filter,
            domain: Domain::None,
        }
    }

    #[test]
    fn absent_capabilities_mean_none() {
        let rewritten = rewrite(&spec(""), &site(Filter::None)).unwrap();
        let process = rewritten.spec.process().as_ref().unwrap().clone();
        let sets = process.capabilities().as_ref().unwrap().clone();
        assert_eq!(sets.bounding().as_ref().map(|set| set.len()), Some(0));
        assert_eq!(sets.inheritable().as_ref().map(|set| set.len()), Some(0));
        assert_eq!(rewritten.launch.capabilities, CapabilitySets::default());
    }

    #[test]
    fn a_filter_without_no_new_privs_borrows_sys_admin_in_two_sets_only() {
        let text = r#","capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_CHOWN"],
            "permitted":["CAP_CHOWN"]}"#;
        let rewritten = rewrite(&spec(text), &site(Filter::Loaded)).unwrap();
        let process = rewritten.spec.process().as_ref().unwrap().clone();
        let library = CapabilitySets::from_spec(process.capabilities().as_ref());
        assert_eq!(library.bounding, 1);
        assert_eq!(library.effective, 1 | CAP_SYS_ADMIN);
        assert_eq!(library.permitted, 1 | CAP_SYS_ADMIN);
        assert_eq!(library.inheritable | library.ambient, 0);
        assert_eq!(rewritten.launch.capabilities.permitted, 1);
        assert_eq!(rewritten.launch.transient, CAP_SYS_ADMIN);
    }

    #[test]
    fn no_new_privs_needs_no_borrowed_capability() {
        let text = r#","noNewPrivileges":true"#;
        let rewritten = rewrite(&spec(text), &site(Filter::Loaded)).unwrap();
        assert_eq!(rewritten.launch.transient, 0);
    }

    #[test]
    fn a_domain_is_prepared_with_two_more_capabilities_that_the_workload_never_has() {
        let mut site = site(Filter::Loaded);
        site.domain = Domain::Made;
        let rewritten = rewrite(&spec(r#","noNewPrivileges":true"#), &site).unwrap();
        let process = rewritten.spec.process().as_ref().unwrap().clone();
        let library = CapabilitySets::from_spec(process.capabilities().as_ref());
        assert_eq!(library.permitted, CAP_SYS_ADMIN | CAP_DAC_READ_SEARCH);
        assert_eq!(library.bounding | library.inheritable | library.ambient, 0);
        assert_eq!(rewritten.launch.capabilities, CapabilitySets::default());
        assert_eq!(rewritten.launch.transient, 0);
    }

    #[test]
    fn what_cannot_be_had_is_named_and_left_out() {
        let text = r#","capabilities":{"bounding":["CAP_SYS_RESOURCE","CAP_CHOWN"]}"#;
        let mut site = site(Filter::None);
        site.available = 1;
        let rewritten = rewrite(&spec(text), &site).unwrap();
        assert_eq!(rewritten.unavailable, ["CAP_SYS_RESOURCE"]);
        assert_eq!(rewritten.launch.capabilities.bounding, 1);
    }

    #[test]
    fn the_environment_keeps_its_order_and_duplicates() {
        let text = r#","env":["B=1","A=2","B=3"]"#;
        let rewritten = rewrite(&spec(text), &site(Filter::None)).unwrap();
        assert_eq!(rewritten.launch.env, ["B=1", "A=2", "B=3"]);
    }

    #[test]
    fn the_library_always_has_a_home_variable() {
        for text in ["", r#","env":["HOME="]"#, r#","env":["HOME=/root"]"#] {
            let rewritten = rewrite(&spec(text), &site(Filter::None)).unwrap();
            let process = rewritten.spec.process().as_ref().unwrap().clone();
            let env = process.env().as_ref().unwrap().clone();
            assert_eq!(env.iter().filter(|one| one.starts_with("HOME=/")).count(), 1);
        }
    }

    #[test]
    fn the_cgroup_always_has_a_name() {
        let rewritten = rewrite(&spec(""), &site(Filter::None)).unwrap();
        let linux = rewritten.spec.linux().as_ref().unwrap().clone();
        assert_eq!(linux.cgroups_path().as_deref(), Some("/brig/containers/x".as_ref()));
    }

    #[test]
    fn every_device_is_denied_before_any_is_allowed() {
        let rewritten = rewrite(&spec(""), &site(Filter::None)).unwrap();
        let linux = rewritten.spec.linux().as_ref().unwrap().clone();
        let devices = linux.resources().as_ref().unwrap().devices().clone().unwrap();
        assert_eq!(devices[0].to_string(), "a *:* rwm");
        assert!(!devices[0].allow());
    }

    #[test]
    fn the_table_of_capabilities_has_the_kernels_numbers() {
        assert_eq!(mask(Some(&Capabilities::from([Capability::SysAdmin]))), CAP_SYS_ADMIN);
        assert_eq!(mask(Some(&Capabilities::from([Capability::Chown]))), CAP_CHOWN);
        assert_eq!(capability_names(1 << 40), ["CAP_CHECKPOINT_RESTORE"]);
    }
}
