// SPDX-License-Identifier: Apache-2.0
//! Handing a rewritten specification to libcontainer: the same for the first process and for
//! added ones.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::spec::Launch;
use libcgroups::common::CgroupConfig;
use libcontainer::container::Container;
use libcontainer::notify_socket::NotifyListener;
use libcontainer::oci_spec::runtime::{LinuxNamespaceType, Process, Spec};
use libcontainer::process::args::{ContainerArgs, ContainerType};
use libcontainer::syscall::syscall::SyscallType;
use rustix::fs::{FileType, fchown, fstat};
use rustix::process::{DumpableBehavior, Resource, getrlimit};

use super::cgroup::Membership;
use super::executor::Executor;
use super::staging::Staging;
use super::user_namespace;
use crate::logging;

/// What libcontainer is given.
pub struct Start {
    /// First or added.
    pub kind: ContainerType,
    /// The rewritten specification.
    pub spec: Spec,
    /// The root filesystem on the host.
    pub rootfs: PathBuf,
    /// What is mounted where the container's user namespace does not reach.
    pub staging: Option<Staging>,
    /// The state directory's socket that lets the process go on.
    pub notify_socket: PathBuf,
    /// The container, for hooks; none for an added process.
    pub container: Option<Container>,
    /// The cgroup.
    pub cgroup: Membership,
    /// Where the terminal goes.
    pub console: Option<OwnedFd>,
    /// How many descriptors from 3 on the workload inherits.
    pub preserve_fds: i32,
    /// MS_MOVE and chroot in the place of pivot_root.
    pub no_pivot: bool,
    /// The host's /proc, opened before any namespace was joined.
    pub host_proc: OwnedFd,
}

/// A pidfd of this process, for the one that is made.
///
/// # Errors
///
/// The kernel's.
pub fn own_pidfd() -> anyhow::Result<OwnedFd> {
    let flags = rustix::process::PidfdFlags::empty();
    rustix::process::pidfd_open(rustix::process::getpid(), flags).context("pidfd_open")
}

/// Makes the process. Returns its pid, and whether a resctrl directory was made.
///
/// # Errors
///
/// What libcontainer says, with the cause that it logs.
pub fn start(start: Start, executor: Executor) -> anyhow::Result<(i32, bool)> {
    let notify_listener =
        NotifyListener::new(&start.notify_socket).map_err(|error| anyhow!("{}", chain(&error)))?;
    if let Some(score) = start.spec.process().as_ref().and_then(Process::oom_score_adj) {
        // before the process becomes non-dumpable: the file is root's afterwards
        set_oom_score(score)?;
    }
    let mut spec = start.spec;
    // by descriptors, as existing ones: there is nothing left to configure
    let _made = user_namespace::make(&mut spec, start.staging.as_ref())?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("prctl(PR_SET_DUMPABLE, 0)")?;
    let causes = logging::collect_causes()?;
    let cwd = spec.process().as_ref().map(|one| one.cwd().clone()).unwrap_or_default();
    let args = ContainerArgs {
        container_type: start.kind,
        syscall: SyscallType::Linux,
        spec: Rc::new(spec),
        rootfs: start.rootfs,
        console_socket: start.console.as_ref().map(AsRawFd::as_raw_fd),
        notify_listener,
        preserve_fds: start.preserve_fds,
        container: start.container,
        user_ns_config: None,
        // entered before the library is called
        cgroup_config: CgroupConfig {
            cgroup_path: PathBuf::new(),
            systemd_cgroup: false,
            container_name: String::new(),
        },
        detached: true,
        executor: Box::new(executor),
        no_pivot: start.no_pivot,
        stdin: None,
        stdout: None,
        stderr: None,
        as_sibling: false,
        pid_file: None,
    };
    match super::chain::run(args, &start.cgroup, &start.host_proc) {
        Ok(made) => Ok(made),
        Err(error) => {
            let mut text = readable(&format!("{error:#}"));
            if let Some(cause) = causes.first()
                && !text.contains(&cause)
                && !cause.contains(&text)
            {
                text = format!("{text}: {cause}");
            }
            Err(anyhow!(name_cwd(text, &cwd)))
        }
    }
}

/// An unprivileged user may make it no more likely to survive than it is itself: as in runc, the
/// container keeps the caller's then.
fn set_oom_score(score: i32) -> anyhow::Result<()> {
    match fs::write("/proc/self/oom_score_adj", score.to_string()) {
        Err(error)
            if error.kind() == std::io::ErrorKind::PermissionDenied
                && super::cgroup::in_user_namespace() =>
        {
            tracing::warn!("process.oomScoreAdj: {score} takes CAP_SYS_RESOURCE: left as it is");
            Ok(())
        }
        other => other.with_context(|| format!("process.oomScoreAdj: write {score}")),
    }
}

/// An error with all its sources: libcontainer's texts leave them out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// libcontainer's message about the working directory, which names neither it nor the field.
fn name_cwd(text: String, cwd: &Path) -> String {
    let Some((_, errno)) = text.rsplit_once("failed to chdir: ") else { return text };
    let reason = match errno.split(':').next().unwrap_or_default() {
        "ENOENT" => "no such file or directory",
        "EACCES" => "permission denied",
        "ENOTDIR" => "not a directory",
        other => other,
    };
    format!("process.cwd: chdir to {:?}: {reason}", cwd.display().to_string())
}

/// Without the words that libcontainer puts around a message on its way between processes.
fn readable(text: &str) -> String {
    let wrappings = [
        "exec process failed with error error in executing process : ",
        "intermediate process error ",
        "exec process failed with error ",
    ];
    let mut text = text;
    for wrapping in wrappings {
        text = text.strip_prefix(wrapping).unwrap_or(text);
    }
    text.to_owned()
}

/// Refuses what setrlimit(2) would refuse without saying which limit it was.
///
/// # Errors
///
/// The limit, and what it would take.
pub fn check_rlimits(process: &Process, has_sys_resource: bool) -> anyhow::Result<()> {
    if has_sys_resource {
        return Ok(());
    }
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let name = limit.typ().to_string();
        let Some(current) = resource(&name).and_then(|one| getrlimit(one).maximum) else {
            continue;
        };
        if limit.hard() > current {
            bail!(
                "process.rlimits[{index}]: {name}: the hard limit {} is above the caller's, \
                 {current}, and raising it takes CAP_SYS_RESOURCE",
                limit.hard()
            );
        }
    }
    Ok(())
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name.trim_start_matches("RLIMIT_").to_ascii_uppercase().replace('_', "").as_str() {
        "AS" => Resource::As,
        "CORE" => Resource::Core,
        "CPU" => Resource::Cpu,
        "DATA" => Resource::Data,
        "FSIZE" => Resource::Fsize,
        "LOCKS" => Resource::Locks,
        "MEMLOCK" => Resource::Memlock,
        "MSGQUEUE" => Resource::Msgqueue,
        "NICE" => Resource::Nice,
        "NOFILE" => Resource::Nofile,
        "NPROC" => Resource::Nproc,
        "RSS" => Resource::Rss,
        "RTPRIO" => Resource::Rtprio,
        "RTTIME" => Resource::Rttime,
        "SIGPENDING" => Resource::Sigpending,
        "STACK" => Resource::Stack,
        _ => return None,
    })
}

/// The caller's supplementary groups never reach the container: exactly the listed ones do, which
/// libcontainer sets. Where groups cannot be dropped (an unprivileged user) none can be set either.
///
/// # Errors
///
/// The kernel's, other than EPERM.
pub fn drop_groups() -> anyhow::Result<()> {
    match rustix::thread::set_thread_groups(&[]) {
        Ok(()) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error).context("setgroups(0, NULL)"),
    }
}

/// A new session keyring, so that the caller's keys are out of reach.
pub fn join_session_keyring(id: &str) {
    let name = std::ffi::CString::new(format!("_ses.{id}")).unwrap_or_default();
    if let Err(error) = crate::sys::keyring::join_session(&name) {
        // no keyrings in this kernel, or none for this caller: then there are no keys to reach
        tracing::debug!("keyctl(KEYCTL_JOIN_SESSION_KEYRING): {error}");
    }
}

/// Pipes that the engine made for the workload belong to the workload's user, who may want to open
/// them again by way of /dev/stdout.
pub fn give_pipes(spec: &Spec, launch: &Launch) {
    for fd in [rustix::stdio::stdin().as_fd(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let Ok(found) = fstat(fd) else { continue };
        if FileType::from_raw_mode(found.st_mode) != FileType::Fifo {
            continue;
        }
        let Some(owner) = host_uid(spec, launch.uid).filter(|uid| *uid != found.st_uid) else {
            continue;
        };
        // an unprivileged caller cannot, and then they are its own
        if let Err(error) = fchown(fd, Some(rustix::fs::Uid::from_raw(owner)), None) {
            tracing::debug!("chown standard stream {}: {error}", fd.as_raw_fd());
        }
    }
}

/// What a uid of the container is on the host, if that can be known.
#[must_use]
pub fn host_uid(spec: &Spec, uid: u32) -> Option<u32> {
    let linux = spec.linux().as_ref()?;
    let mut namespaces = linux.namespaces().iter().flatten();
    let Some(user) = namespaces.find(|one| one.typ() == LinuxNamespaceType::User) else {
        return Some(uid);
    };
    if let Some(path) = user.path() {
        let descriptor = fs::File::open(path).ok()?;
        return user_namespace::uid_outside(descriptor.as_fd(), uid).ok()?;
    }
    let mappings = linux.uid_mappings().as_deref().unwrap_or_default();
    let found = mappings
        .iter()
        .find(|one| uid >= one.container_id() && uid - one.container_id() < one.size());
    found.map(|one| one.host_id() + (uid - one.container_id()))
}

/// Writes a pid file as a whole: an engine that sees it can read it.
///
/// # Errors
///
/// The disk's.
pub fn write_pid_file(path: &Path, pid: i32) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}", std::process::id()));
        let beside = path.with_file_name(beside);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(pid.to_string().as_bytes())?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("--pid-file: write {}", path.display()))
}

/// Descriptors that `--preserve-fds` names are open.
///
/// # Errors
///
/// The first that is not.
pub fn check_preserved(count: i32) -> anyhow::Result<()> {
    if !(0..=1024).contains(&count) {
        bail!("--preserve-fds: {count} is not between 0 and 1024");
    }
    match (3..3 + count).find(|fd| !crate::sys::descriptors::is_open(*fd)) {
        Some(fd) => bail!("--preserve-fds {count}: descriptor {fd} is not open"),
        None => Ok(()),
    }
}

/// The caller's capabilities that a container can have: all of them where it gets a user namespace
/// of its own.
///
/// # Errors
///
/// /proc cannot be read.
pub fn available_capabilities(spec: &Spec) -> anyhow::Result<u64> {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().clone());
    let has_user = namespaces.iter().flatten().any(|one| one.typ() == LinuxNamespaceType::User);
    if has_user {
        return Ok(u64::MAX);
    }
    Ok(status_mask("CapBnd")? & status_mask("CapPrm")?)
}

/// One of the `Cap…` lines of proc_pid_status(5).
///
/// # Errors
///
/// /proc cannot be read.
pub fn status_mask(name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let text = line.ok_or_else(|| anyhow!("/proc/self/status has no {name}"))?;
    u64::from_str_radix(text.trim(), 16).with_context(|| format!("{name} of /proc/self/status"))
}
