// SPDX-License-Identifier: Apache-2.0
//! The last steps before the workload's program: brig's own `Executor`.
//!
//! libcontainer calls [`Executor::validate`] in the container during create and
//! [`Executor::exec`] during start, after it has set ids and capabilities. An added process takes
//! the same way.
//!
//! Guarantees: when the program begins, no_new_privs, the seccomp program, the capability sets,
//! the signal dispositions and mask and the set of inherited descriptors are the specification's,
//! or the program does not begin. Order: no_new_privs, the Landlock domain, the filter (with the listener
//! handed over), the capabilities, execve. Whatever fails is reported to `start` or `exec` and the process ends:
//! [`Executor::exec`] never returns to libcontainer.
//!
//! It does not decide anything: it carries out a [`Launch`] and a [`Plan`].

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use brig_policy::spec::Launch;
use libcontainer::container::{ContainerStatus, State};
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{
    Executor as LibcontainerExecutor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::domain::{self, Domain};
use super::handover::{Handover, Receiver, Report, describe, exec_error};
use super::plan::Plan;
use super::{agent, console, executable, home};
use crate::supervisor;
use crate::sys::exec::StringArray;
use crate::sys::{self, fork};

/// Everything that the steps need; made by create or exec, inherited over fork.
#[derive(Debug)]
pub struct Prepared {
    /// What to do.
    pub launch: Launch,
    /// What to load.
    pub plan: Plan,
    /// First or added.
    pub role: Role,
    /// The Landlock domain and the mounts.
    pub domain: Domain,
    /// Who gets the listener.
    pub listener: ListenerEnd,
    /// The host's /proc, opened before any namespace was joined.
    pub host_proc: OwnedFd,
    /// A pidfd of the brig that creates or executes.
    pub runtime: OwnedFd,
    /// How many descriptors from 3 on the workload inherits.
    pub preserve_fds: i32,
    /// For the `startContainer` hooks.
    pub state: State,
}

/// Which process of the container it is.
#[derive(Debug)]
pub enum Role {
    /// The first.
    First {
        /// Where `start` connects to.
        start: OwnedFd,
        /// Carries one byte when create has recorded the container; ends without if it died.
        commit: OwnedFd,
        /// The number of its writing end, which create alone must hold.
        commit_write: RawFd,
    },
    /// One that `exec` adds.
    Added {
        /// Where the outcome is told.
        report: OwnedFd,
    },
}

/// The container's end of whoever gets the listener.
#[derive(Debug)]
pub enum ListenerEnd {
    /// Nobody.
    None,
    /// The specification's agent, with the container process state.
    Agent(OwnedFd, serde_json::Value),
    /// brig's supervisor.
    Supervisor(OwnedFd),
}

/// brig's executor.
#[derive(Clone, Debug)]
pub struct Executor {
    prepared: Arc<Prepared>,
    found: Arc<OnceLock<Program>>,
}

/// What `validate` found out.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    env: Vec<String>,
    host_pid: i32,
    ruleset: Option<OwnedFd>,
}

impl Executor {
    /// Wraps what was prepared.
    #[must_use]
    pub fn new(prepared: Prepared) -> Self {
        Executor { prepared: Arc::new(prepared), found: Arc::new(OnceLock::new()) }
    }
}

impl LibcontainerExecutor for Executor {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        self.check().map_err(ExecutorValidationError::ArgValidationError)
    }

    /// The environment is built for execve alone; the process's own is left as it is.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        let report = match self.report() {
            Ok(report) => Arc::new(report),
            Err(error) => {
                tracing::error!("accept the connection of start: {error}");
                fork::exit_now(1)
            }
        };
        if let Err(text) = self.launch(&report) {
            report.failed(&text);
        }
        fork::exit_now(1)
    }
}

impl Executor {
    fn check(&self) -> Result<(), String> {
        let Prepared { launch, host_proc, runtime, .. } = &*self.prepared;
        let host_pid = host_pid(host_proc).map_err(|error| format!("own pid: {error}"))?;
        verify_inside()?;
        let path = executable::find(&launch.args[0], &launch.env)?;
        let env = home::complete(&launch.env, launch.uid);
        if let Some(size) = launch.terminal {
            own_terminal(launch.uid, size.height, size.width)?;
        }
        let domain = domain::prepare(&self.prepared.domain, host_proc.as_fd())?;
        enter_again();
        verify_inside()?;
        if launch.setup != 0 {
            leave_setup(launch)?;
        }
        if let ListenerEnd::Supervisor(socket) = &self.prepared.listener
            && matches!(self.prepared.role, Role::First { .. })
        {
            supervisor::introduce(socket.as_fd(), host_proc.as_fd(), host_pid)?;
        }
        if let Role::First { commit, commit_write, .. } = &self.prepared.role {
            // this process's copy of create's end would keep the end of create from being seen
            sys::descriptors::close_between(*commit_write, *commit_write)
                .map_err(|error| format!("close: {error}"))?;
            end_unless_committed(commit, runtime)
                .map_err(|error| format!("watch create: {error}"))?;
        }
        // libcontainer calls validate once
        let found = Program { path, env, host_pid, ruleset: domain.ruleset };
        self.found.set(found).map_err(|_| "validated twice".to_owned())
    }

    fn report(&self) -> io::Result<Report> {
        match &self.prepared.role {
            Role::First { start, .. } => {
                Ok(Report::new(rustix::net::accept_with(start, rustix::net::SocketFlags::CLOEXEC)?))
            }
            Role::Added { report } => Ok(Report::new(report.try_clone()?)),
        }
    }

    /// Returns only with what failed.
    fn launch(&self, report: &Arc<Report>) -> Result<(), String> {
        let Prepared { launch, plan, .. } = &*self.prepared;
        let program = self.found.get().ok_or("not validated")?;
        self.run_start_hooks()?;
        let name = program.path.display().to_string();
        let path = executable::to_c(&program.path).map_err(|error| exec_error(&name, &error))?;
        let strings =
            |items: &[String]| StringArray::new(items).map_err(|error| format!("process: {error}"));
        let argv = strings(&launch.args)?;
        let envp = strings(&program.env)?;
        verify_inside()?;
        sys::signal::reset().map_err(|error| format!("reset signals: {error}"))?;
        self.inherit_descriptors()?;
        set_no_new_privs(launch)?;
        if let Some(ruleset) = &program.ruleset {
            sys::landlock::restrict_self(ruleset.as_fd())
                .map_err(|error| format!("landlock_restrict_self: {}", describe(&error)))?;
        }
        let handover = self.start_helper(report, &name, program.host_pid)?;
        // `start` may be gone by now; the container goes on without it
        report.ready().unwrap_or_else(|error| tracing::debug!("start is gone: {error}"));
        self.confine(handover.as_ref(), plan, launch)?;
        let error = sys::exec::execve(&path, &argv, &envp);
        match handover {
            Some(handover) => handover.fail(&error),
            None => Err(exec_error(&name, &error)),
        }
    }

    /// The filter and, under it, the capabilities.
    fn confine(
        &self,
        handover: Option<&Handover>,
        plan: &Plan,
        launch: &Launch,
    ) -> Result<(), String> {
        let drops = launch.transient != 0 && plan.allows("capset");
        let sets = CapabilitySets {
            effective: CapabilitySet::from_bits_retain(launch.capabilities.effective),
            permitted: CapabilitySet::from_bits_retain(launch.capabilities.permitted),
            inheritable: CapabilitySet::from_bits_retain(launch.capabilities.inheritable),
        };
        if let Some(program) = &plan.program {
            let flags = plan.flags.bits().into();
            let number = sys::seccomp::load(program.instructions(), flags)
                .map_err(|error| format!("load the seccomp program: {}", describe(&error)))?;
            // INVARIANT: no allocation and no system call but capset and execve from here on
            if let Some(handover) = handover
                && self.wants_listener()
            {
                handover.send(number);
            }
        }
        // INVARIANT: where the filter denies capset, nothing is left over all the same: execve
        // computes the permitted set from the inheritable, ambient and bounding sets alone
        // (capabilities(7)), none of which has what was borrowed
        if drops && let Err(error) = rustix::thread::set_capabilities(None, sets) {
            match handover {
                Some(handover) => handover.fail(&error.into()),
                None => return Err(format!("capset: {error}")),
            }
        }
        Ok(())
    }

    fn wants_listener(&self) -> bool {
        !matches!(self.prepared.listener, ListenerEnd::None)
    }

    /// The helper is needed where there is a listener to hand over, or where the program may keep
    /// this thread from telling that execve failed.
    fn start_helper(
        &self,
        report: &Arc<Report>,
        name: &str,
        host_pid: i32,
    ) -> Result<Option<Handover>, String> {
        let plan = &self.prepared.plan;
        let can_report = ["sendmsg", "exit_group"].iter().all(|call| plan.allows(call));
        if plan.program.is_none() || (!self.wants_listener() && can_report) {
            return Ok(None);
        }
        let receiver = match &self.prepared.listener {
            ListenerEnd::None => None,
            ListenerEnd::Agent(socket, state) => {
                Some((socket, agent::with_pid(state.clone(), host_pid)))
            }
            ListenerEnd::Supervisor(socket) => Some((socket, supervisor::LISTENER.to_vec())),
        };
        let receiver = receiver
            .map(|(socket, message)| {
                Ok::<_, io::Error>(Receiver { socket: socket.try_clone()?, message })
            })
            .transpose()
            .map_err(|error| format!("socket of the listener's receiver: {error}"))?;
        Handover::start(receiver, Arc::clone(report), name.to_owned())
            .map(Some)
            .map_err(|error| format!("start a thread: {error}"))
    }

    fn run_start_hooks(&self) -> Result<(), String> {
        let hooks = &self.prepared.launch.hooks;
        if hooks.is_empty() {
            return Ok(());
        }
        let mut state = self.prepared.state.clone();
        state.pid = self.found.get().map(|program| program.host_pid);
        state.status = ContainerStatus::Created;
        libcontainer::hooks::run_hooks(Some(hooks), Some(&state), None, None)
            .map_err(|error| format!("startContainer hook: {}", super::launcher::chain(&error)))
    }

    /// Standard input, output and error, and what --preserve-fds names; nothing else.
    fn inherit_descriptors(&self) -> Result<(), String> {
        sys::descriptors::close_on_exec_from(3).map_err(|error| format!("close_range: {error}"))?;
        for fd in 3..3 + self.prepared.preserve_fds {
            sys::descriptors::keep_over_exec(fd)
                .map_err(|error| format!("--preserve-fds: descriptor {fd}: {error}"))?;
        }
        Ok(())
    }
}

/// Gives up what was held to prepare, before anybody can ask this process to do anything.
fn leave_setup(launch: &Launch) -> Result<(), String> {
    let sets = &launch.capabilities;
    let bits = |set: u64| CapabilitySet::from_bits_retain(set);
    let sets = CapabilitySets {
        effective: bits(sets.effective | launch.transient),
        permitted: bits(sets.permitted | launch.transient),
        inheritable: bits(sets.inheritable),
    };
    rustix::thread::set_capabilities(None, sets).map_err(|error| format!("capset: {error}"))
}

fn set_no_new_privs(launch: &Launch) -> Result<(), String> {
    if !launch.no_new_privileges {
        return Ok(());
    }
    rustix::thread::set_no_new_privs(true).map_err(|error| format!("no_new_privs: {error}"))?;
    match rustix::thread::no_new_privs() {
        Ok(true) => Ok(()),
        Ok(false) => Err("no_new_privs has no effect".to_owned()),
        Err(error) => Err(format!("no_new_privs: {error}")),
    }
}

/// A directory that cannot be reached from the root is outside: getcwd(2) says "(unreachable)".
// RACE: a directory can be moved out of the container's reach between this and execve only by
// someone who can reach it outside already
fn verify_inside() -> Result<(), String> {
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(()),
        _ => Err("process.cwd: lies outside the container's root filesystem".to_owned()),
    }
}

/// Mounts that have been made since may lie over the working directory: it is entered by its name.
/// Where it cannot be, it stays the one below, in which no more may be written.
fn enter_again() {
    let entered = rustix::process::getcwd(Vec::new()).and_then(rustix::process::chdir);
    if let Err(error) = entered {
        tracing::debug!("enter the working directory by its name: {error}");
    }
}

fn own_terminal(uid: u32, height: u16, width: u16) -> Result<(), String> {
    let stdin = rustix::stdio::stdin();
    if uid != 0 {
        let owner = rustix::fs::Uid::from_raw(uid);
        give(stdin, owner).map_err(|error| format!("chown the terminal to {uid}: {error}"))?;
    }
    console::set_size(stdin, height, width)
        .map_err(|error| format!("set the terminal's size: {error}"))
}

/// Changes a terminal's owner, also where the policy has made its mount read-only: by a mount of
/// its own that nobody else sees.
fn give(terminal: BorrowedFd<'_>, owner: rustix::fs::Uid) -> io::Result<()> {
    match rustix::fs::fchown(terminal, Some(owner), None) {
        Err(rustix::io::Errno::ROFS) => {}
        done => return Ok(done?),
    }
    let mount = domain::mount_of(terminal)?;
    sys::mount::set_writable(mount.as_fd())?;
    Ok(rustix::fs::chownat(&mount, "", Some(owner), None, rustix::fs::AtFlags::EMPTY_PATH)?)
}

/// The pid that the host sees.
///
/// # Errors
///
/// /proc cannot be read.
pub fn host_pid(host_proc: &OwnedFd) -> io::Result<i32> {
    let link = rustix::fs::readlinkat(host_proc, "self", Vec::new())?;
    let text = link.to_str().map_err(|_| io::ErrorKind::InvalidData)?;
    text.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// A create that dies between here and its record would leave a process that nobody knows of.
fn end_unless_committed(commit: &OwnedFd, runtime: &OwnedFd) -> io::Result<()> {
    let (commit, runtime) = (commit.try_clone()?, runtime.try_clone()?);
    std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        if !matches!(await_byte(&commit, &runtime), Ok(true)) {
            fork::exit_now(1);
        }
    })?;
    Ok(())
}

/// Waits for a byte of brig's; false where brig has ended without. The end of the pipe does not
/// say that: this process has inherited its other end, too.
fn await_byte(pipe: &OwnedFd, runtime: &OwnedFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(pipe, PollFlags::IN), PollFd::new(runtime, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.map(drop)?,
        }
    }
    // RACE: brig may have written and ended since: what it has written counts
    let [pipe_ready, _] = fds;
    if pipe_ready.revents().contains(PollFlags::IN) {
        return Ok(File::from(pipe.try_clone()?).read(&mut [0])? == 1);
    }
    Ok(false)
}

/// Opens the host's /proc.
///
/// # Errors
///
/// There is none.
pub fn open_host_proc() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/proc", flags, Mode::empty())?)
}
