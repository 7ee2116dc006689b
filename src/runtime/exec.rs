// SPDX-License-Identifier: Apache-2.0
//! `exec`: another process in a running container.
//!
//! It is made from the specification, the policy and the plan that create stored, not from the
//! bundle or a profile, and goes through the same rewriting and the same executor as the first process: the same seccomp
//! program, no_new_privs, limits and groups, all of the container's namespaces.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::spec::{self, CapabilitySets};
use libcontainer::oci_spec::runtime::{Capability, LinuxBuilder, Process, Spec, User, UserBuilder};
use libcontainer::process::args::ContainerType;

use super::cgroup::Membership;
use super::create::{Terminal, container_state, site};
use super::domain::Domain;
use super::executor::{Executor, ListenerEnd, Prepared, Role, open_host_proc};
use super::launcher::{self, Start};
use super::plan::Listener;
use super::process::Identity;
use super::seal::{self, Strength};
use super::state::{Record, SUPERVISOR_SOCKET, StateDir, Status};
use super::{agent, namespaces, process, start, unprivileged};
use crate::sys;

/// What is executed.
#[derive(Clone, Debug)]
pub enum What {
    /// A process.json.
    File(PathBuf),
    /// Options over the container's own process.
    Options(Box<ProcessOptions>),
}

/// The options of `exec` that change the container's own process.
#[derive(Clone, Debug, Default)]
pub struct ProcessOptions {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Variables that replace the container's or are added.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: Option<PathBuf>,
    /// User id, and group id where it is given.
    pub user: Option<(u32, Option<u32>)>,
    /// Supplementary groups.
    pub additional_gids: Vec<u32>,
    /// Capabilities to be added, by name.
    pub capabilities: Vec<String>,
    /// no_new_privs, where the container has none.
    pub no_new_privileges: bool,
    /// A terminal.
    pub terminal: bool,
    /// The AppArmor profile.
    pub apparmor: Option<String>,
}

/// The options of `exec`.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is executed.
    pub what: What,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on the process inherits.
    pub preserve_fds: i32,
    /// A cgroup below the container's.
    pub cgroup: Option<String>,
    /// Whether a frozen container is entered.
    pub ignore_paused: bool,
}

/// The process that is to be added, with the container's specification.
///
/// # Errors
///
/// What is wrong with it, by field.
pub fn process(directory: &StateDir, what: &What) -> anyhow::Result<(Spec, Process)> {
    let spec = directory.load_spec()?;
    let process = match what {
        What::File(path) => read_process(path)?,
        What::Options(options) => with_options(&spec, options)?,
    };
    spec::validate_process(&process)?;
    let confinement = directory.load_policy()?;
    let (process, changes) = spec::tighten_process(&process, &confinement.policy);
    for change in &changes {
        match what {
            // an engine asks for what its container's configuration has
            What::File(_) => tracing::debug!("{change}"),
            What::Options(_) => tracing::warn!("{change}"),
        }
    }
    Ok((spec, process))
}

/// Adds the process. Returns its pid when its program has been executed.
///
/// # Errors
///
/// The container does not run; the program could not be executed, and why.
pub fn exec(
    directory: &StateDir,
    options: &Options,
    spec: Spec,
    process: Process,
    terminal: Terminal,
) -> anyhow::Result<Identity> {
    let record = directory.load()?;
    check_status(&record, directory, options)?;
    seal::ensure(strength(&spec), options.preserve_fds)?;
    let plan = directory.load_plan()?;
    let init = record.init.ok_or_else(|| anyhow!("container {:?} has no process", record.id))?;
    let added = added_spec(spec, process, &record, init.pid)?;
    unprivileged::enter_again(&record.cgroup, added.namespaces.user())?;
    let domain = directory.load_domain()?.map_or(Domain::None, Domain::Again);
    let site = site(&added.spec, &record.bundle, &record.cgroup, &plan, &domain)?;
    let mut rewritten = spec::rewrite(&added.spec, &site)?;
    rewritten.launch.hooks.clear();
    rewritten.spec.set_hooks(None);
    let has_sys_resource = launcher::status_mask("CapEff")? & (1 << 24) != 0;
    if let Some(process) = rewritten.spec.process() {
        launcher::check_rlimits(process, has_sys_resource)?;
    }
    launcher::join_session_keyring(&record.id);
    launcher::drop_groups()?;
    launcher::give_pipes(&rewritten.spec, &rewritten.launch);

    let (ours, theirs) = sys::socket::pair().context("socketpair")?;
    let listener = match &plan.listener {
        Listener::None => ListenerEnd::None,
        Listener::Agent { path, metadata } => ListenerEnd::Agent(
            agent::connect(path)?,
            agent::process_state(&record, "running", metadata),
        ),
        Listener::Supervisor { .. } => ListenerEnd::Supervisor(
            sys::socket::connect(&directory.file(SUPERVISOR_SOCKET))
                .context("the container's supervisor does not answer: nothing can be added")?,
        ),
    };
    let below = options.cgroup.as_deref().map(sub_cgroup).transpose()?;
    let cgroup = Membership::make(&record.cgroup, below.as_deref(), None)?;
    let notify_socket = directory.file(&format!("exec-{}.sock", std::process::id()));
    let host_proc = open_host_proc().context("open /proc")?;
    let prepared = Prepared {
        runtime: launcher::own_pidfd()?,
        launch: rewritten.launch,
        plan,
        role: Role::Added { report: theirs },
        domain,
        listener,
        host_proc: host_proc.try_clone().context("dup")?,
        preserve_fds: options.preserve_fds,
        state: container_state(&record),
    };
    // the descriptor is for libcontainer's own helper, which there is none of
    let kind = ContainerType::TenantContainer { exec_notify_fd: -1, landlord_init_pid: None };
    let start = Start {
        host_proc,
        kind,
        spec: rewritten.spec,
        rootfs: record.rootfs,
        staging: None,
        notify_socket: notify_socket.clone(),
        container: None,
        cgroup,
        console: match terminal {
            Terminal::Socket(socket) => Some(socket),
            Terminal::None => None,
        },
        preserve_fds: options.preserve_fds,
        no_pivot: false,
    };
    let begun = launcher::start(start, Executor::new(prepared)).and_then(|(pid, _)| {
        let identity = Identity::of(pid).context("the process ended at once")?;
        libcontainer::notify_socket::NotifySocket::new(&notify_socket)
            .notify_container_start()
            .map_err(|error| anyhow!("let the process go on: {}", launcher::chain(&error)))?;
        start::outcome(&ours)?;
        Ok(identity)
    });
    // a socket that was never bound is not there
    std::fs::remove_file(&notify_socket).unwrap_or_default();
    match begun {
        Ok(identity) => {
            if let Some(path) = &options.pid_file {
                launcher::write_pid_file(path, identity.pid)?;
            }
            Ok(identity)
        }
        Err(error) => {
            process::kill_children();
            Err(error)
        }
    }
}

struct Added {
    spec: Spec,
    namespaces: namespaces::Opened,
}

/// The container's specification with another process, joining what the first one is in.
fn added_spec(
    mut spec: Spec,
    process: Process,
    record: &Record,
    init: i32,
) -> anyhow::Result<Added> {
    let opened = namespaces::of(init)?;
    // RACE: the pid may have been reused while its namespaces were opened
    if record.live_pid() != init {
        bail!("container {:?} has stopped", record.id);
    }
    let linux = spec.linux().clone().unwrap_or_default();
    let mut builder = LinuxBuilder::default().namespaces(opened.namespaces.clone());
    if let Some(path) = linux.cgroups_path() {
        builder = builder.cgroups_path(path.clone());
    }
    if let Some(personality) = linux.personality() {
        builder = builder.personality(personality.clone());
    }
    spec.set_linux(Some(builder.build()?));
    spec.set_process(Some(process));
    Ok(Added { spec, namespaces: opened })
}

fn check_status(record: &Record, directory: &StateDir, options: &Options) -> anyhow::Result<()> {
    match record.status(directory)? {
        Status::Running => Ok(()),
        Status::Paused if options.ignore_paused => Ok(()),
        Status::Paused => {
            bail!("cannot exec in a paused container (use --ignore-paused to override)")
        }
        Status::Stopped => bail!("cannot exec in a stopped container"),
        Status::Created => bail!("cannot exec in a container that has not been started"),
        Status::Creating => bail!("cannot exec in a container that is being created"),
    }
}

fn strength(spec: &Spec) -> Strength {
    if super::create::needs_sealed_copy(spec) {
        Strength::SealedCopy
    } else {
        Strength::ReadOnlyMount
    }
}

fn read_process(path: &PathBuf) -> anyhow::Result<Process> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(32 << 20).read_to_end(&mut bytes))
        .with_context(|| format!("--process: read {}", path.display()))?;
    spec::load_process(&bytes).with_context(|| format!("--process: {}", path.display()))
}

fn with_options(spec: &Spec, options: &ProcessOptions) -> anyhow::Result<Process> {
    let own = spec.process().as_ref().ok_or_else(|| anyhow!("the container has no process"))?;
    let mut process = own.clone();
    process.set_args(Some(options.args.clone()));
    process.set_terminal(Some(options.terminal));
    if !options.terminal {
        process = without_console_size(&process)?;
    }
    process.set_env(Some(environment(own, &options.env)));
    if let Some(cwd) = &options.cwd {
        process.set_cwd(cwd.clone());
    }
    if let Some(user) = user(own.user(), options)? {
        process.set_user(user);
    }
    if options.no_new_privileges {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(profile) = &options.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    add_capabilities(&mut process, &options.capabilities)?;
    Ok(process)
}

/// The builder's default leaves the size out; there is no setter that does.
fn without_console_size(process: &Process) -> anyhow::Result<Process> {
    if process.console_size().is_none() {
        return Ok(process.clone());
    }
    let mut value = serde_json::to_value(process)?;
    if let Some(object) = value.as_object_mut() {
        object.remove("consoleSize");
    }
    serde_json::from_value(value).context("process")
}

fn environment(own: &Process, added: &[String]) -> Vec<String> {
    let name = |one: &str| one.split('=').next().unwrap_or_default().to_owned();
    let replaced: Vec<String> = added.iter().map(|one| name(one)).collect();
    let mut env: Vec<String> = own.env().clone().unwrap_or_default();
    env.retain(|one| !replaced.contains(&name(one)));
    env.extend(added.iter().cloned());
    env
}

fn user(own: &User, options: &ProcessOptions) -> anyhow::Result<Option<User>> {
    if options.user.is_none() && options.additional_gids.is_empty() {
        return Ok(None);
    }
    let (uid, gid) = options.user.unwrap_or((own.uid(), None));
    let mut groups = own.additional_gids().clone().unwrap_or_default();
    groups.extend(&options.additional_gids);
    let mut builder =
        UserBuilder::default().uid(uid).gid(gid.unwrap_or(own.gid())).additional_gids(groups);
    if let Some(umask) = own.umask() {
        builder = builder.umask(umask);
    }
    Ok(Some(builder.build()?))
}

/// runc adds to the bounding, effective and permitted sets, and to the ambient set where the
/// container has inheritable capabilities. The inheritable set stays as it is.
fn add_capabilities(process: &mut Process, names: &[String]) -> anyhow::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut added = Vec::new();
    for name in names {
        let capability: Capability = serde_json::from_value(name.to_ascii_uppercase().into())
            .map_err(|_| anyhow!("--cap {name:?}: no such capability"))?;
        added.push(capability);
    }
    let mut sets = process.capabilities().clone().unwrap_or_default();
    let own = CapabilitySets::from_spec(process.capabilities().as_ref());
    let with = |set: &Option<libcontainer::oci_spec::runtime::Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(added.iter().copied());
        Some(set)
    };
    if own == CapabilitySets::default() {
        sets.set_inheritable(None);
        sets.set_ambient(None);
        sets.set_bounding(None).set_effective(None).set_permitted(None);
    }
    let (bounding, effective, permitted) =
        (with(sets.bounding()), with(sets.effective()), with(sets.permitted()));
    sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
    process.set_capabilities(Some(sets));
    Ok(())
}

/// `--cgroup PATH`: below the container's, never above.
fn sub_cgroup(written: &str) -> anyhow::Result<PathBuf> {
    let path = PathBuf::from(written.trim_start_matches('/'));
    if path.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
        bail!("--cgroup {written:?}: is not a path below the container's cgroup");
    }
    Ok(path)
}
