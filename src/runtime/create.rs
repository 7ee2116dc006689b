// SPDX-License-Identifier: Apache-2.0
//! `create`: from a bundle to a process that waits for `start`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::config::Destination;
use brig_policy::spec::{self, Cgroups, Filter, Loaded, Rewritten, Site};
use chrono::Utc;
use libcontainer::container::{Container, ContainerStatus, State};
use libcontainer::notify_socket::NOTIFY_FILE;
use libcontainer::oci_spec::runtime::{LinuxResources, Spec};
use libcontainer::process::args::ContainerType;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::pipe::{PipeFlags, pipe_with};

use super::cgroup::{self, Availability, Location, Membership};
use super::domain::{self, Domain};
use super::executor::{Executor, ListenerEnd, Prepared, Role, open_host_proc};
use super::launcher::{self, Start};
use super::plan::{self, Listener, Plan};
use super::process::Identity;
use super::rootfs::Rootfs;
use super::seal::{self, Strength};
use super::staging::{self, Staging};
use super::state::{OCI_VERSION, Record, START_SOCKET, SUPERVISOR_SOCKET, StateDir};
use super::{
    Context, agent, huge_pages, labels, policy, prepare, process, unprivileged, user_namespace,
};
use crate::profiles::choose::{Confinement, choose};
use crate::supervisor::{self, Setup, Spawned};
use crate::sys;

/// The most that a config.json may have, in bytes.
const MAX_CONFIG: u64 = 32 << 20;

/// The options of `create` and `run`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The container's identifier.
    pub id: String,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// MS_MOVE and chroot in the place of pivot_root.
    pub no_pivot: bool,
    /// Whether the container gets a session keyring of its own.
    pub keyring: Keyring,
    /// How many descriptors from 3 on the workload inherits.
    pub preserve_fds: i32,
}

/// Whether the container gets a session keyring of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    /// A new one.
    New,
    /// The caller's.
    Callers,
}

/// Where a terminal goes, if the specification asks for one.
#[derive(Debug)]
pub enum Terminal {
    /// To the engine's socket.
    Socket(OwnedFd),
    /// Nobody takes one.
    None,
}

/// A created container.
#[derive(Debug)]
pub struct Created {
    /// Its record.
    pub record: Record,
    /// Its state directory.
    pub directory: StateDir,
}

/// A bundle that has been read and checked.
#[derive(Debug)]
pub struct Bundle {
    /// Its directory: absolute, without symbolic links.
    pub path: PathBuf,
    /// Its config.json.
    pub loaded: Loaded,
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its config.json, by field.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let path =
            std::fs::canonicalize(path).with_context(|| format!("--bundle: {}", path.display()))?;
        let config = path.join("config.json");
        let bytes = read_config(&config)?;
        let loaded = spec::load(&bytes).with_context(|| format!("{}", config.display()))?;
        spec::validate(&loaded.spec).with_context(|| format!("{}", config.display()))?;
        Ok(Bundle { path, loaded })
    }

    /// Whether the specification asks for a terminal.
    #[must_use]
    pub fn wants_terminal(&self) -> bool {
        self.loaded.spec.process().as_ref().is_some_and(|one| one.terminal().unwrap_or(false))
    }
}

fn read_config(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = open(path, flags, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::RegularFile {
            return Err(std::io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        File::from(fd).take(MAX_CONFIG + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("read {}", path.display()))?;
    if bytes.len() as u64 > MAX_CONFIG {
        bail!("{}: is larger than {MAX_CONFIG} bytes", path.display());
    }
    Ok(bytes)
}

/// Creates a container. Nothing is left of it where that fails.
///
/// # Errors
///
/// What could not be done, on what.
pub fn create(
    context: &Context,
    options: &Options,
    mut bundle: Bundle,
    terminal: Terminal,
) -> anyhow::Result<Created> {
    spec::validate_id(&options.id)?;
    check_terminal(&bundle, &terminal)?;
    if needs_sealed_copy(&bundle.loaded.spec) {
        seal::ensure(Strength::SealedCopy, options.preserve_fds)?;
    }
    let confinement = choose(&context.profiles, &bundle.loaded.spec)?;
    let location = locate(context, &options.id, &bundle.loaded.spec)?;
    let tightened = policy::apply(&confinement, &bundle.loaded.spec, &location)?;
    bundle.loaded.spec = tightened.spec;
    let plan = plan::make(
        bundle.loaded.seccomp.as_ref(),
        &tightened.compiled.mediated,
        &context.mediated_for_testing,
        capabilities(&bundle.loaded.spec),
        &tightened.restrictions,
        confinement.baseline,
    )?;
    labels::check(bundle.loaded.spec.process().as_ref(), &plan)?;
    let root = bundle.loaded.spec.root().as_ref().ok_or_else(|| anyhow!("root: is missing"))?;
    let rootfs = Rootfs::open(&bundle.path, root.path())?;
    let directory = StateDir::create(&context.root, &options.id)?;
    let unwind = Unwind { directory: &directory, cgroup: None };
    let domain = tightened.compiled.domain().context("memfd_create")?;
    let decided = Decided { confinement, location, plan, domain };
    create_in(options, bundle, terminal, decided, rootfs, unwind)
}

/// What is decided before anything is made.
struct Decided {
    confinement: Confinement,
    location: Location,
    plan: Plan,
    domain: Domain,
}

fn locate(context: &Context, id: &str, spec: &Spec) -> anyhow::Result<Location> {
    let linux = spec.linux().clone().unwrap_or_default();
    let path = linux.cgroups_path().as_deref();
    cgroup::locate(id, path, context.cgroup_manager, linux.resources().is_some())
}

fn create_in(
    options: &Options,
    bundle: Bundle,
    terminal: Terminal,
    decided: Decided,
    rootfs: Rootfs,
    mut unwind: Unwind<'_>,
) -> anyhow::Result<Created> {
    let Decided { confinement, location, plan, domain } = decided;
    let directory = unwind.directory.clone();
    let _lock = directory.lock()?;
    let Loaded { mut spec, copy_up, propagation, .. } = bundle.loaded;
    rootfs.settle(&mut spec)?;
    if let Some(root) = spec.root_mut() {
        root.set_path(rootfs.path.clone());
    }
    let mut record = Record {
        id: options.id.clone(),
        bundle: bundle.path.clone(),
        rootfs: rootfs.path.clone(),
        annotations: annotations(&spec, &confinement),
        created: Utc::now(),
        creator: rustix::process::geteuid().as_raw(),
        cgroup: location.clone(),
        init: None,
        supervisor: None,
        resctrl: false,
        domain: !matches!(domain, Domain::None),
    };
    directory.save(&record)?;
    directory.save_spec(&spec)?;
    directory.save_policy(&confinement)?;
    directory.save_plan(&plan)?;
    unwind.cgroup = Some(location.clone());

    unprivileged::enter(&location, &spec)?;
    let mut rewritten = rewrite(&spec, &bundle.path, &location, &plan, &domain)?;
    unprivileged::hide_cgroups(&mut rewritten.spec, &location);
    close_cgroups(&mut rewritten.spec);
    cgroup::complete(&mut rewritten.spec);
    prepare::add(&mut rewritten.spec, &rootfs, &copy_up, &propagation)?;
    let staging = stage(&mut rewritten.spec, &rootfs, &directory)?;
    if options.keyring == Keyring::New {
        launcher::join_session_keyring(&options.id);
    }
    launcher::drop_groups()?;
    launcher::give_pipes(&rewritten.spec, &rewritten.launch);

    let cgroup = Membership::make(&location, None, limits(&rewritten.spec))?;
    let state = container_state(&record);
    let (commit_read, commit_write) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
    let log = decisions_log(&plan, &confinement, &record, &directory)?;
    let setup = Setup {
        socket: &directory.file(SUPERVISOR_SOCKET),
        policy: &Arc::new(confinement.policy),
        domain: &domain,
        continued: continued(&plan.listener),
        capabilities: capabilities(&spec).union(),
        cgroup: &location,
        nesting: plan.nesting(),
        log: &log,
    };
    let (listener, supervisor) = listener_end(&plan, &setup, &record)?;
    // the container's process is not to inherit it
    drop(log);
    let host_proc = open_host_proc().context("open /proc")?;
    let prepared = Prepared {
        runtime: launcher::own_pidfd()?,
        launch: rewritten.launch,
        plan,
        role: Role::First {
            start: start_socket(&directory)?,
            commit: commit_read,
            commit_write: commit_write.as_raw_fd(),
        },
        domain: domain.clone(),
        listener,
        host_proc: host_proc.try_clone().context("dup")?,
        preserve_fds: options.preserve_fds,
        state: state.clone(),
    };
    let start = Start {
        host_proc,
        kind: ContainerType::InitContainer,
        spec: rewritten.spec,
        rootfs: rootfs.path,
        staging,
        notify_socket: directory.file(NOTIFY_FILE),
        container: Some(Container { state, root: directory.path().to_owned() }),
        cgroup,
        console: match terminal {
            Terminal::Socket(socket) => Some(socket),
            Terminal::None => None,
        },
        preserve_fds: options.preserve_fds,
        no_pivot: options.no_pivot,
    };
    let held = directory.hold()?;
    let (pid, resctrl) = launcher::start(start, Executor::new(prepared))?;
    keep_domain(&directory, &domain)?;
    record.init = Some(Identity::of(pid).context("the container's process ended at once")?);
    record.resctrl = resctrl;
    record.supervisor = supervisor.map(|pid| Spawned::identity(&pid)).transpose()?;
    directory.save(&record)?;
    if let Some(path) = &options.pid_file {
        launcher::write_pid_file(path, pid)?;
    }
    File::from(commit_write).write_all(&[1]).context("the container's process ended at once")?;
    drop(held);
    unwind.disarm();
    Ok(Created { record, directory })
}

/// Keeps what was made of the policy in the container, for processes that are added.
fn keep_domain(directory: &StateDir, domain: &Domain) -> anyhow::Result<()> {
    let Domain::New(_, record) = domain else { return Ok(()) };
    let applied = domain::read(record).context("what the container's process has applied")?;
    for note in &applied.notes {
        tracing::warn!("profile: {note}");
    }
    for remark in &applied.remarks {
        tracing::info!("profile: {remark}");
    }
    directory.save_domain(&applied)
}

/// The specification's, and brig's own: what a bundle claims of its profile does not count.
fn annotations(spec: &Spec, confinement: &Confinement) -> BTreeMap<String, String> {
    let written = spec.annotations().clone().unwrap_or_default();
    written.into_iter().chain(confinement.annotations()).collect()
}

fn limits(spec: &Spec) -> Option<&LinuxResources> {
    spec.linux().as_ref().and_then(|linux| linux.resources().as_ref())
}

fn stage(
    spec: &mut Spec,
    rootfs: &Rootfs,
    directory: &StateDir,
) -> anyhow::Result<Option<Staging>> {
    match user_namespace::ids(spec)? {
        Some(ids) => staging::collect(spec, &ids, rootfs, directory.path()),
        None => Ok(None),
    }
}

fn check_terminal(bundle: &Bundle, terminal: &Terminal) -> anyhow::Result<()> {
    match (bundle.wants_terminal(), terminal) {
        (true, Terminal::None) => bail!(
            "process.terminal: is true, and nobody takes the terminal: give --console-socket, or \
             use run in the foreground"
        ),
        (false, Terminal::Socket(_)) => {
            bail!("--console-socket: is given, and process.terminal is not true")
        }
        _ => Ok(()),
    }
}

fn capabilities(spec: &Spec) -> spec::CapabilitySets {
    let sets = spec.process().as_ref().and_then(|process| process.capabilities().as_ref());
    spec::CapabilitySets::from_spec(sets)
}

/// A container whose root could make a mount of the host writable again.
#[must_use]
pub fn needs_sealed_copy(spec: &Spec) -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let sets = capabilities(spec);
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().clone());
    let has_user = namespaces.iter().flatten().any(|one| one.typ().to_string() == "user");
    sets.union() & CAP_SYS_ADMIN != 0 && !has_user
}

/// A mount of the cgroups that is to be read-only is that with all its hierarchies.
fn close_cgroups(spec: &mut Spec) {
    let closed = cgroup::read_only_paths(spec);
    if let Some(linux) = spec.linux_mut()
        && !closed.is_empty()
    {
        let mut paths = linux.readonly_paths().clone().unwrap_or_default();
        paths.extend(closed);
        linux.set_readonly_paths(Some(paths));
    }
}

fn rewrite(
    spec: &Spec,
    bundle: &Path,
    location: &Location,
    plan: &Plan,
    domain: &Domain,
) -> anyhow::Result<Rewritten> {
    limits(spec).map_or(Ok(()), huge_pages::check)?;
    let site = site(spec, bundle, location, plan, domain)?;
    let rewritten = spec::rewrite(spec, &site)?;
    if !rewritten.unavailable.is_empty() {
        tracing::warn!(
            "process.capabilities: not available to the caller and left out: {}",
            rewritten.unavailable.join(", ")
        );
    }
    let has_sys_resource = launcher::status_mask("CapEff")? & (1 << 24) != 0;
    if let Some(process) = rewritten.spec.process() {
        launcher::check_rlimits(process, has_sys_resource)?;
    }
    Ok(rewritten)
}

/// What the rewriting needs to know.
///
/// # Errors
///
/// /proc cannot be read.
pub fn site(
    spec: &Spec,
    bundle: &Path,
    location: &Location,
    plan: &Plan,
    domain: &Domain,
) -> anyhow::Result<Site> {
    Ok(Site {
        bundle: bundle.to_owned(),
        cgroup: location.path.clone(),
        cgroups: match location.availability {
            Availability::Own => Cgroups::Managed,
            Availability::Callers => Cgroups::Unavailable,
        },
        available: launcher::available_capabilities(spec)?,
        filter: if plan.program.is_some() { Filter::Loaded } else { Filter::None },
        domain: policy::is_made(domain),
    })
}

/// The state that hooks are given on standard input.
#[must_use]
pub fn container_state(record: &Record) -> State {
    let annotations: HashMap<String, String> =
        record.annotations.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut state = State::new(
        &record.id,
        ContainerStatus::Creating,
        record.init.map(|init| init.pid),
        record.bundle.clone(),
    );
    state.oci_version = OCI_VERSION.to_owned();
    state.annotations = Some(annotations);
    state.created = Some(record.created);
    state
}

fn start_socket(directory: &StateDir) -> anyhow::Result<OwnedFd> {
    sys::socket::listen(&directory.file(START_SOCKET)).context("socket for start")
}

/// Where decisions go, if there is a supervisor to make any.
fn decisions_log(
    plan: &Plan,
    confinement: &Confinement,
    record: &Record,
    directory: &StateDir,
) -> anyhow::Result<supervisor::Log> {
    let mut settings = confinement.settings.log.clone();
    if !matches!(plan.listener, Listener::Supervisor { .. }) {
        settings.decisions = Destination::None;
    }
    supervisor::Log::open(&settings, &record.id, directory.path())
}

fn listener_end(
    plan: &Plan,
    setup: &Setup<'_>,
    record: &Record,
) -> anyhow::Result<(ListenerEnd, Option<OwnedFd>)> {
    match &plan.listener {
        Listener::None => Ok((ListenerEnd::None, None)),
        Listener::Agent { path, metadata } => {
            let state = agent::process_state(record, "creating", metadata);
            Ok((ListenerEnd::Agent(agent::connect(path)?, state), None))
        }
        Listener::Supervisor { .. } => {
            let (control, pid) = supervisor::spawn(setup)?.split();
            Ok((ListenerEnd::Supervisor(control), Some(pid)))
        }
    }
}

fn continued(listener: &Listener) -> &[String] {
    match listener {
        Listener::Supervisor { continued } => continued,
        Listener::None | Listener::Agent { .. } => &[],
    }
}

/// Removes what an unfinished create has made.
struct Unwind<'a> {
    directory: &'a StateDir,
    cgroup: Option<Location>,
}

impl Unwind<'_> {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unwind<'_> {
    fn drop(&mut self) {
        process::kill_children();
        if let Some(location) = &self.cgroup
            && let Err(error) = cgroup::remove(location, None)
        {
            tracing::warn!("{error:#}");
        }
        if let Err(error) = self.directory.remove() {
            tracing::warn!("{error:#}");
        }
    }
}
