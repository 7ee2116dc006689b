// SPDX-License-Identifier: Apache-2.0
//! The supervisor: brig's process that answers mediated system calls, one per container.
//!
//! It is started by create before the container's first process, stays outside the container's pid
//! namespace, joins its other namespaces, drops every capability, confines itself and only then
//! lets create go on. A container that mediates nothing has none.
//!
//! Guarantees: it holds no descriptor of its caller's but the three that it needs, so that nobody
//! waits for the end of a pipe because of it; it is not dumpable; it ends by itself, on every way
//! that create can fail and when the last process under its listeners has ended. What it does not
//! do yet: anything with the calls other than to let the kernel go on with them.

mod confine;
mod serve;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::DumpableBehavior;

use crate::runtime::process::Identity;
use crate::sys::fork::{Fork, exit_now, fork};
use crate::sys::{descriptors, namespace, signal, socket};

/// The message that carries a listener.
pub const LISTENER: &[u8] = b"listener";
/// The message that carries the container's namespaces.
const NAMESPACES: &[u8] = b"namespaces";
/// The answer once the supervisor is in its place.
const READY: &[u8] = b"ready";

/// The namespaces that the supervisor joins, in this order, by their names in /proc/PID/ns.
const JOINED: [(&str, libc::c_int); 5] = [
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
];

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

/// Starts a supervisor that listens for added processes at `path` and continues the calls named.
///
/// # Errors
///
/// The kernel's.
pub fn spawn(path: &Path, continued: &[String]) -> anyhow::Result<Spawned> {
    let (control, theirs) = socket::pair().context("socketpair")?;
    let added = socket::listen(path).context("socket for added processes")?;
    let (pid, pid_write) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
    let numbers = serve::numbers(continued)?;
    match fork().context("fork")? {
        // the middle child is reaped by whoever reaps brig's children: nothing waits for it here
        Fork::Parent(_) => Ok(Spawned { control, pid }),
        Fork::Child => match fork() {
            Ok(Fork::Parent(pid)) => {
                let told = File::from(pid_write).write_all(&pid.to_ne_bytes());
                exit_now(i32::from(told.is_err()))
            }
            Ok(Fork::Child) => {
                let ends = Ends { control: theirs, added };
                let status = live(ends, &numbers);
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
}

fn live(ends: Ends, continued: &[i32]) -> anyhow::Result<()> {
    rustix::process::setsid().context("setsid")?;
    let ends = leave_the_caller(ends)?;
    rustix::thread::set_name(c"brig-supervisor").context("prctl(PR_SET_NAME)")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .context("prctl(PR_SET_DUMPABLE, 0)")?;
    signal::unblock_all().context("signal mask")?;
    let Some(namespaces) = receive_namespaces(&ends.control)? else { return Ok(()) };
    let placed = join(&namespaces).and_then(|()| confine::apply());
    drop(namespaces);
    match placed {
        Ok(()) => socket::send(ends.control.as_fd(), READY, &[]).context("answer")?,
        Err(error) => {
            let text = format!("{error:#}");
            socket::send(ends.control.as_fd(), text.as_bytes(), &[]).context("answer")?;
            return Err(error);
        }
    }
    serve::serve(ends.control, ends.added, continued)
}

/// /dev/null on the standard streams; everything else but the two ends is closed.
fn leave_the_caller(ends: Ends) -> anyhow::Result<Ends> {
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("open /dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let control = descriptors::move_up(&ends.control, 16)?;
    let added = descriptors::move_up(&ends.added, 16)?;
    // INVARIANT: this process was forked a moment ago and never drops what its parent owned
    let kept = Ends {
        control: descriptors::install(&control, 3)?,
        added: descriptors::install(&added, 4)?,
    };
    std::mem::forget((null, control, added, ends));
    descriptors::close_between(5, i32::MAX).context("close_range")?;
    Ok(kept)
}

/// `None` where create ended before there was a container.
fn receive_namespaces(control: &OwnedFd) -> anyhow::Result<Option<Vec<OwnedFd>>> {
    let mut buffer = [0; 64];
    let (length, fds) = socket::receive(control, &mut buffer).context("receive namespaces")?;
    match &buffer[..length] {
        b"" => Ok(None),
        NAMESPACES if fds.len() == JOINED.len() => Ok(Some(fds)),
        _ => bail!("an unknown message in the place of the namespaces"),
    }
}

fn join(namespaces: &[OwnedFd]) -> anyhow::Result<()> {
    let host_proc = crate::runtime::executor::open_host_proc().context("open /proc")?;
    let mut differing = Vec::new();
    for ((name, kind), theirs) in JOINED.iter().zip(namespaces) {
        let own = openat(
            &host_proc,
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
pub fn introduce(control: BorrowedFd<'_>, host_proc: BorrowedFd<'_>) -> Result<(), String> {
    let opened = JOINED.iter().map(|(name, _)| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        openat(host_proc, format!("self/ns/{name}"), flags, Mode::empty())
    });
    let opened = opened.collect::<Result<Vec<OwnedFd>, _>>();
    let opened = opened.map_err(|error| format!("open own namespaces: {error}"))?;
    let fds: Vec<BorrowedFd<'_>> = opened.iter().map(AsFd::as_fd).collect();
    let exchange = || -> io::Result<Vec<u8>> {
        socket::send(control, NAMESPACES, &fds)?;
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
