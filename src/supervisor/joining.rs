// SPDX-License-Identifier: Apache-2.0
//! How the supervisor comes to its place: the container's first process shows its namespaces and its
//! root directory, the supervisor joins them, learns what was made of the policy there, and confines
//! itself before it answers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::call::status::Status;
use brig_policy::decide::Decider;
use brig_policy::path::AbsPath;
use brig_policy::policy::AccessSet;
use rustix::fs::{Mode, OFlags, openat, readlinkat};

use super::judge::{Judge, Naming, Native};
use super::moves::Names;
use super::sticky::Sticky;
use super::task::GroupChanges;
use super::{READY, Roots, Setup, Shared, budget, caller, confine, dispatch, log, serve};
use crate::runtime::cgroup;
use crate::sys::{namespace, socket};

/// The message that carries the container's namespaces and its root directory; its first process's
/// pid on the host follows.
const NAMESPACES: &[u8] = b"namespaces ";
/// The namespaces that the supervisor joins, in this order, by their names in /proc/PID/ns.
const JOINED: [(&str, libc::c_int); 6] = [
    ("user", libc::CLONE_NEWUSER),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
];

/// A supervisor that is in its place and has no threads yet.
pub struct Placed {
    /// What its workers will share.
    pub shared: Shared,
    /// Who writes the log, if there is one.
    pub writer: Option<log::Writer>,
    /// Who ends it.
    pub closer: log::Closer,
}

/// Joins the container's namespaces and confines itself.
///
/// # Errors
///
/// A step that failed: the supervisor must not serve then.
pub fn place_itself(
    namespaces: &[OwnedFd],
    init: i32,
    setup: &Setup<'_>,
    mut rest: Vec<OwnedFd>,
) -> anyhow::Result<Placed> {
    cgroup::share(setup.cgroup, init)?;
    let proc = crate::runtime::executor::open_host_proc().context("open /proc")?;
    let level = status(&proc, init)?.ns_pids.len().saturating_sub(1);
    let for_log = rest.split_off(rest.len().saturating_sub(setup.log.descriptors().len()));
    let (log, closer, writer) = setup.log.begin(setup.policy, for_log);
    let judge = judge(setup, rest.first(), log)?;
    drop(rest);
    let (root, namespaces) = namespaces.split_last().context("the container's root")?;
    join(&proc, namespaces)?;
    // where the root was changed to without a change of the mount namespace's
    rustix::process::fchdir(root).context("fchdir")?;
    rustix::process::chroot(".").context("chroot")?;
    let own = openat(&proc, "self/fd", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let user_namespace = readlinkat(&proc, "self/ns/user", Vec::new()).context("own namespace")?;
    let shared = Shared {
        judge,
        user_namespace: user_namespace.into_bytes(),
        procs: proc_mounts(&proc)?,
        pid_level: level,
        permitted: confine::permitted(setup.capabilities)?,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        group_changes: GroupChanges::default(),
        roots: Roots::default(),
        root: root.try_clone()?,
        nesting: setup.nesting,
        calls: dispatch::Calls::new(),
        copies: budget::Budget::default(),
        names: Names::default(),
        sticky: Sticky::read(&proc),
        continued: serve::numbers(setup.continued)?,
        proc,
    };
    // what is reached by descriptor is reached from here
    rustix::process::fchdir(own).context("fchdir(/proc/self/fd)")?;
    confine::apply(shared.permitted)?;
    Ok(Placed { shared, writer, closer })
}

/// What the policy means in this container.
fn judge(setup: &Setup<'_>, record: Option<&OwnedFd>, log: log::Log) -> anyhow::Result<Judge> {
    let policy = Arc::clone(setup.policy);
    let Some(record) = record else {
        let nothing = brig_policy::plan::files::Placements::default();
        let decider = Decider::placed(policy, &nothing);
        let native = Native::default();
        return Ok(Judge::new(decider, native, AccessSet::EMPTY, Naming::ByKernel, log));
    };
    let applied = crate::runtime::domain::read(record).context("what was made of the policy")?;
    let decider = Decider::placed(policy, &applied.placements);
    let native = Native::new(applied.restricted, &applied.grants);
    let naming = match applied.metadata_by_name {
        true => Naming::ByBrig,
        false => Naming::ByKernel,
    };
    Ok(Judge::new(decider, native, applied.bounded, naming, log))
}

fn status(proc: &OwnedFd, pid: i32) -> anyhow::Result<Status> {
    let text = caller::read_whole(proc, &format!("{pid}/status"))
        .map_err(|errno| anyhow!("read /proc/{pid}/status: {errno}"))?;
    Status::parse(&text).map_err(|errno| anyhow!("/proc/{pid}/status: {errno}"))
}

/// Where procfs is mounted, by `/proc/self/mountinfo`.
fn proc_mounts(proc: &OwnedFd) -> anyhow::Result<Vec<AbsPath>> {
    let text = caller::read_whole(proc, "self/mountinfo")
        .map_err(|errno| anyhow!("read /proc/self/mountinfo: {errno}"))?;
    Ok(brig_policy::call::mounts::of_kind(&text, "proc"))
}

/// The namespaces, the root directory and the first process's pid; `None` where create ended before
/// there was a container.
///
/// # Errors
///
/// The kernel's; another message.
pub fn receive_namespaces(control: &OwnedFd) -> anyhow::Result<Option<(Vec<OwnedFd>, i32)>> {
    let mut buffer = [0; 64];
    let (length, fds) = socket::receive(control, &mut buffer).context("receive namespaces")?;
    if length == 0 {
        return Ok(None);
    }
    let pid =
        buffer[..length].strip_prefix(NAMESPACES).and_then(|pid| std::str::from_utf8(pid).ok());
    match pid.and_then(|pid| pid.parse().ok()) {
        // their descriptors, and the root directory's
        Some(pid) if fds.len() == JOINED.len() + 1 => Ok(Some((fds, pid))),
        _ => bail!("an unknown message in the place of the namespaces"),
    }
}

fn join(host_proc: &OwnedFd, namespaces: &[OwnedFd]) -> anyhow::Result<()> {
    let mut differing = Vec::new();
    for ((name, kind), theirs) in JOINED.iter().zip(namespaces) {
        let own = openat(
            host_proc,
            format!("self/ns/{name}"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let same = rustix::fs::fstat(&own)?.st_ino == rustix::fs::fstat(theirs)?.st_ino;
        if !same {
            differing.push((name, *kind, theirs));
        }
    }
    for (name, kind, theirs) in differing {
        namespace::join(theirs.as_fd(), kind).with_context(|| format!("setns({name})"))?;
    }
    namespace::become_root().context("become root of the container")
}

/// The container's side, in the first process: shows the namespaces and waits until the supervisor
/// is in its place.
///
/// # Errors
///
/// What the supervisor could not do, as text.
pub fn introduce(
    control: BorrowedFd<'_>,
    host_proc: BorrowedFd<'_>,
    host_pid: i32,
) -> Result<(), String> {
    let opened = JOINED.iter().map(|(name, _)| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        openat(host_proc, format!("self/ns/{name}"), flags, Mode::empty())
    });
    let opened = opened.collect::<Result<Vec<OwnedFd>, _>>();
    let opened = opened.map_err(|error| format!("open own namespaces: {error}"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty());
    let root = root.map_err(|error| format!("open /: {error}"))?;
    let fds: Vec<BorrowedFd<'_>> = opened.iter().chain([&root]).map(AsFd::as_fd).collect();
    let exchange = || -> io::Result<Vec<u8>> {
        let message = [NAMESPACES, host_pid.to_string().as_bytes()].concat();
        socket::send(control, &message, &fds)?;
        let mut buffer = [0; 1024];
        let (length, _) = socket::receive(control, &mut buffer)?;
        Ok(buffer[..length].to_vec())
    };
    match exchange() {
        Ok(answer) if answer == READY => Ok(()),
        Ok(answer) if answer.is_empty() => Err("the supervisor ended".to_owned()),
        Ok(answer) => Err(format!("supervisor: {}", String::from_utf8_lossy(&answer))),
        Err(error) => Err(format!("supervisor: {error}")),
    }
}
