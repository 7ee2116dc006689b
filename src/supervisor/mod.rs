// SPDX-License-Identifier: Apache-2.0
//! The supervisor: brig's process that answers mediated system calls, one per container.
//!
//! It is started by create before the container's first process, stays outside the container's pid
//! namespace, enters its cgroup, joins its other namespaces, keeps the capabilities that it must
//! exercise for callers, confines itself and only then lets create go on. A container that mediates nothing has none.
//!
//! Guarantees: it holds no descriptor of its caller's but those that it needs, so that nobody waits
//! for the end of a pipe because of it; it is not dumpable; it ends by itself, on every way that
//! create can fail and when the last process under its listeners has ended. If it ends in any other
//! way or hangs, the [`watch`]er kills the container.
//!
//! What it does not do: decide (`brig_policy::decide`) or read what a workload hands over
//! (`brig_policy::call`).

mod answer;
mod budget;
mod caller;
mod confine;
mod dispatch;
mod files;
mod joining;
mod judge;
mod log;
mod minder;
mod moves;
mod network;
mod place;
mod pool;
mod queue;
mod serve;
mod slot;
mod standing;
mod sticky;
mod task;
mod walk;
mod watch;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use brig_policy::path::AbsPath;
use brig_policy::policy::Policy;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::DumpableBehavior;

use crate::runtime::cgroup::Location;
use crate::runtime::domain::Domain;
use crate::runtime::process::Identity;
use crate::sys::fork::{Fork, exit_now, fork};
use crate::sys::{descriptors, pidfd, signal, socket};

pub use joining::introduce;
use joining::{Placed, place_itself, receive_namespaces};
use judge::Judge;
pub use log::{SECOND_HALF, STATE_FILE, Target as Log};
use moves::Names;
use pool::Pool;
use sticky::Sticky;
use task::GroupChanges;

/// How long the end of a supervisor may be put off by lines that have not been written.
const LAST_LINES: Duration = Duration::from_millis(500);
/// The message that carries a listener.
pub const LISTENER: &[u8] = b"listener";
/// The answer once the supervisor is in its place.
const READY: &[u8] = b"ready";

/// What a supervisor is started with.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Where added processes hand over their listeners.
    pub socket: &'a Path,
    /// The policy.
    pub policy: &'a Arc<Policy>,
    /// What is made of it in the container.
    pub domain: &'a Domain,
    /// The calls that are continued without a look, to test the seat.
    pub continued: &'a [String],
    /// The capabilities that the container's processes can have.
    pub capabilities: u64,
    /// The container's cgroup.
    pub cgroup: &'a Location,
    /// Whether the container's processes can make user namespaces.
    pub nesting: Nesting,
    /// Where decisions go.
    pub log: &'a log::Target,
}

/// A supervisor that has been started.
#[derive(Debug)]
pub struct Spawned {
    /// The container's end of the control socket.
    pub control: OwnedFd,
    pid: OwnedFd,
}

impl Spawned {
    /// Which process it is. Waits until that is known.
    ///
    /// # Errors
    ///
    /// It has ended already.
    pub fn identity(pid: &OwnedFd) -> anyhow::Result<Identity> {
        let mut bytes = [0; 4];
        let mut pipe = File::from(pid.try_clone().context("pipe")?);
        pipe.read_exact(&mut bytes).context("the supervisor was not started")?;
        Identity::of(i32::from_ne_bytes(bytes)).context("the supervisor ended at once")
    }

    /// Gives both ends away.
    #[must_use]
    pub fn split(self) -> (OwnedFd, OwnedFd) {
        (self.control, self.pid)
    }
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The policy.
    pub judge: Judge,
    /// The host's /proc.
    pub proc: OwnedFd,
    /// What `/proc/PID/ns/user` reads of processes in the container's user namespace.
    pub user_namespace: Vec<u8>,
    /// Where procfs is mounted.
    procs: Vec<AbsPath>,
    /// How deep the container's pid namespace is in the host's.
    pid_level: usize,
    /// The capabilities that may be put in force.
    pub permitted: u64,
    /// How many threads can run at once.
    pub processors: usize,
    /// How often some task has changed its groups.
    pub group_changes: GroupChanges,
    /// Whether all callers have the container's root.
    pub roots: Roots,
    /// The container's root.
    pub root: OwnedFd,
    /// Whether callers can be in a user namespace of their own.
    pub nesting: Nesting,
    /// The calls by number.
    pub calls: dispatch::Calls,
    /// What large copies of callers' data share.
    pub copies: budget::Budget,
    /// Names while they are changed.
    pub names: Names,
    /// What the host keeps from being opened in directories where everybody may put something.
    pub sticky: Sticky,
    /// Native numbers of calls that are continued without a look.
    pub continued: Vec<i32>,
}

/// Whether callers can be in a user namespace of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// The seccomp program lets them make one.
    Possible,
    /// It does not.
    Refused,
}

/// Whether all callers have the same root directory: until one calls chroot(2) or pivot_root(2),
/// which are mediated for this, they have the container's.
#[derive(Debug, Default)]
pub struct Roots(AtomicBool);

impl Roots {
    /// A caller is about to change its root, and perhaps that of others.
    pub fn note(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether they do.
    pub fn are_one(&self) -> bool {
        !self.0.load(Ordering::SeqCst)
    }
}

/// Starts a supervisor, and who watches it.
///
/// # Errors
///
/// The kernel's.
pub fn spawn(setup: &Setup<'_>) -> anyhow::Result<Spawned> {
    let (control, theirs) = socket::pair().context("socketpair")?;
    let (heart, watchers) = socket::pair().context("socketpair")?;
    let added = socket::listen(setup.socket).context("socket for added processes")?;
    let (pid, pid_write) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
    match fork().context("fork")? {
        // the watcher is reaped by whoever reaps brig's children: nothing waits for it here
        Fork::Parent(_) => Ok(Spawned { control, pid }),
        Fork::Child => match fork() {
            Ok(Fork::Parent(pid)) => {
                let told = File::from(pid_write).write_all(&pid.to_ne_bytes());
                if told.is_err() {
                    exit_now(1);
                }
                watch::live(watchers, pid, setup.cgroup)
            }
            Ok(Fork::Child) => {
                let status = live(Ends { control: theirs, added, heart }, setup);
                exit_now(i32::from(status.is_err()))
            }
            Err(_) => exit_now(1),
        },
    }
}

/// The supervisor's own descriptors.
struct Ends {
    control: OwnedFd,
    added: OwnedFd,
    /// Where the watcher asks whether it is alive.
    heart: OwnedFd,
}

fn live(ends: Ends, setup: &Setup<'_>) -> anyhow::Result<()> {
    // a thread that ended alone would leave its caller waiting: all end, and the container with them
    std::panic::set_hook(Box::new(|_| exit_now(2)));
    rustix::process::setsid().context("setsid")?;
    let kept = [&ends.control, &ends.added, &ends.heart];
    let record = match setup.domain {
        Domain::New(_, record) => Some(record.as_ref()),
        Domain::None | Domain::Again(_) => None,
    };
    let kept = leave_the_caller(kept.into_iter().chain(record).chain(setup.log.descriptors()))?;
    std::mem::forget(ends);
    let mut kept = kept.into_iter();
    let (Some(control), Some(added), Some(heart)) = (kept.next(), kept.next(), kept.next()) else {
        bail!("no descriptors")
    };
    let rest: Vec<OwnedFd> = kept.collect();
    rustix::thread::set_name(c"brig-supervisor").context("prctl(PR_SET_NAME)")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("prctl(PR_SET_DUMPABLE, 0)")?;
    signal::unblock_all().context("signal mask")?;
    signal::interrupt_on(pool::CANCEL).context("sigaction")?;
    raise_descriptors().context("setrlimit(RLIMIT_NOFILE)")?;
    // what is left to be done at the end is done to this
    let nothing = heart.try_clone().context("fcntl(F_DUPFD_CLOEXEC)")?;
    // a log at the limit of its size is no reason to end
    signal::ignore(libc::SIGXFSZ).context("sigaction")?;
    let Some((namespaces, init)) = receive_namespaces(&control)? else { return Ok(()) };
    let init_fd = pidfd::open_process(init).context("pidfd_open of the first process")?;
    socket::send(heart.as_fd(), watch::INIT, &[init_fd.as_fd()]).context("tell the watcher")?;
    let placed = place_itself(&namespaces, init, setup, rest);
    drop(namespaces);
    let (pool, closer) = match placed.and_then(begin) {
        Ok(begun) => begun,
        Err(error) => {
            let text = format!("{error:#}");
            socket::send(control.as_fd(), text.as_bytes(), &[]).context("answer")?;
            return Err(error);
        }
    };
    let ends = serve::Ends { control, added, heart, init: init_fd };
    let served = serve::serve(ends, pool);
    closer.close(LAST_LINES);
    // RACE: a worker may be waiting, as nobody's signal ends it, for a server whose device it holds, and
    // which ends when nobody holds that any more. Nothing becomes free that another worker could open
    // something by: all that is left to be done is done to a socket of one's own, or fails
    descriptors::cover_from(3, &nothing);
    served
}

/// As many descriptors as the caller of create may have: each call that waits takes some.
fn raise_descriptors() -> rustix::io::Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised)
}

/// Starts the threads that serve; the calling one reaches nothing from here on.
fn begin(placed: Placed) -> anyhow::Result<(Pool, log::Closer)> {
    let Placed { shared, writer, closer } = placed;
    writer.map_or(Ok(()), log::Writer::start).context("start a thread")?;
    let pool = Pool::start(Arc::new(shared)).context("start a thread")?;
    confine::reach_nothing()?;
    Ok((pool, closer))
}

/// /dev/null on the standard streams; everything else but these is closed.
fn leave_the_caller<'a>(kept: impl Iterator<Item = &'a OwnedFd>) -> anyhow::Result<Vec<OwnedFd>> {
    const ABOVE: i32 = 64;
    let moved: Result<Vec<_>, _> = kept.map(|fd| descriptors::move_up(fd, ABOVE)).collect();
    let moved = moved.context("fcntl(F_DUPFD)")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("open /dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    // INVARIANT: this process was forked a moment ago and never drops what its parent owned
    let install = |(fd, number)| descriptors::install(fd, number);
    let installed: Result<Vec<_>, _> = moved.iter().zip(3..).map(install).collect();
    let installed = installed.context("dup3")?;
    let first_other = 3 + i32::try_from(installed.len()).unwrap_or(i32::MAX);
    std::mem::forget((null, moved));
    descriptors::close_between(first_other, i32::MAX).context("close_range")?;
    Ok(installed)
}

impl Shared {
    /// Whether a path lies in procfs.
    pub fn is_in_proc(&self, path: Option<&AbsPath>) -> bool {
        path.is_some_and(|path| self.procs.iter().any(|proc| judge::is_beneath(path, proc)))
    }

    /// What a new worker needs besides: root, working directory and umask of its own.
    pub fn prepare_worker(&self) -> io::Result<()> {
        crate::sys::identity::own_directories()
    }
}

impl caller::Call<'_> {
    /// The ids of the caller's process and thread, in the container's pid namespace.
    pub fn ids_in_container(&self) -> Result<(i32, i32), brig_policy::policy::Errno> {
        let status = self.status()?;
        let level = self.shared.pid_level;
        match (status.ns_tgids.get(level), status.ns_pids.get(level)) {
            (Some(tgid), Some(tid)) => Ok((*tgid, *tid)),
            _ => Err(brig_policy::policy::Errno::ENOENT),
        }
    }
}
