// SPDX-License-Identifier: Apache-2.0
//! The loop of the thread that talks to brig: listeners come in and end, the watcher asks.
//!
//! It touches nothing of the workload's and never waits for it, so that it always answers the
//! watcher; calls are the [`super::pool`]'s.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use brig_policy::seccomp::{Arch, Syscall};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{SocketFlags, accept_with, sockopt};

use super::pool::Pool;
use super::queue::Queue;
use super::{LISTENER, READY, watch};
use crate::sys::{notify, signal, socket};

/// How long nobody is let in after somebody could not be.
const REST: Duration = Duration::from_millis(10);

/// The native numbers of calls.
///
/// # Errors
///
/// A name that this architecture does not have.
pub fn numbers(names: &[String]) -> anyhow::Result<Vec<i32>> {
    let native = Arch::of_build()
        .ok_or_else(|| anyhow!("no table of system calls for this architecture"))?;
    let number = |name: &String| {
        let number = Syscall::from_name(name).and_then(|call| call.number(native));
        let number = number.and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| anyhow!("{name}: this architecture has no such call"))
    };
    names.iter().map(number).collect()
}

/// Whom the loop talks to.
#[derive(Debug)]
pub struct Ends {
    /// The first process, until it has handed over its listener or ended.
    pub control: OwnedFd,
    /// Where added processes connect.
    pub added: OwnedFd,
    /// The watcher.
    pub heart: OwnedFd,
    /// A pidfd of the first process.
    pub init: OwnedFd,
}

/// What the loop holds.
struct Seat {
    /// Until the first process has handed over its listener or ended.
    control: Option<OwnedFd>,
    added: OwnedFd,
    heart: OwnedFd,
    init: OwnedFd,
    /// Connections of added processes that have not handed over a listener yet.
    arriving: Vec<OwnedFd>,
    queues: Vec<Arc<Queue>>,
    pool: Pool,
    /// Descriptors for added processes, where the workload's calls have taken all others.
    spare: Vec<OwnedFd>,
    /// How the caller of create looks from here.
    operator: u32,
}

/// Serves until nothing is left to be served.
///
/// # Errors
///
/// The kernel's, other than about one single caller.
pub fn serve(ends: Ends, pool: Pool) -> anyhow::Result<()> {
    let Ends { control, added, heart, init } = ends;
    let operator = sockopt::socket_peercred(&control).context("SO_PEERCRED")?.uid.as_raw();
    socket::send(control.as_fd(), READY, &[]).context("answer")?;
    let (arriving, queues, spare) = (Vec::new(), Vec::new(), Vec::new());
    let control = Some(control);
    let mut seat = Seat { control, added, heart, init, arriving, queues, pool, spare, operator };
    while seat.control.is_some() || !seat.queues.is_empty() {
        seat.turn()?;
    }
    Ok(())
}

impl Seat {
    fn turn(&mut self) -> anyhow::Result<()> {
        self.put_by();
        let nothing = PollFlags::empty();
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        // calls are the workers'; here only the end of the callers matters
        fds.extend(
            self.queues.iter().map(|queue| PollFd::from_borrowed_fd(queue.listener(), nothing)),
        );
        let all = self.arriving.iter().chain(self.control.as_ref());
        fds.extend(all.map(|fd| PollFd::new(fd, PollFlags::IN)));
        fds.push(PollFd::new(&self.added, PollFlags::IN));
        fds.push(PollFd::new(&self.heart, PollFlags::IN));
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other.context("poll")?,
        };
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        let (queues, rest) = ready.split_at(self.queues.len());
        let (arriving, rest) = rest.split_at(self.arriving.len());
        self.end_queues(queues);
        self.take_arrivals(arriving);
        let (control, rest) = rest.split_at(usize::from(self.control.is_some()));
        if control.iter().any(|flags| !flags.is_empty()) {
            self.take_first();
        }
        let [added, heart] = rest else { return Ok(()) };
        if added.contains(PollFlags::IN) {
            self.accept();
        }
        if heart.is_empty() { Ok(()) } else { self.beat() }
    }

    /// A connection takes a descriptor, and the listener that comes by it.
    fn put_by(&mut self) {
        const SPARE: usize = 2;
        while self.spare.len() < SPARE {
            let Ok(one) = self.init.try_clone() else { return };
            self.spare.push(one);
        }
    }

    fn end_queues(&mut self, ready: &[PollFlags]) {
        let mut ready = ready.iter();
        self.queues.retain(|queue| {
            let flags = ready.next().copied().unwrap_or(PollFlags::empty());
            let over = flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
            if over {
                queue.close();
            }
            !over
        });
    }

    fn serve(&mut self, listener: OwnedFd) {
        // KERNEL(6.6): without it a call takes longer where caller and worker are on two processors
        notify::wake_in_turn(listener.as_fd()).unwrap_or_default();
        self.queues.push(self.pool.serve(listener));
    }

    /// The first process's message, or the end of create or of that process.
    fn take_first(&mut self) {
        let Some(control) = self.control.take() else { return };
        if let Some(listener) = receive_listener(&control) {
            self.serve(listener);
        }
    }

    fn take_arrivals(&mut self, ready: &[PollFlags]) {
        let mut ready = ready.iter();
        let mut found = Vec::new();
        self.arriving.retain(|connection| {
            if ready.next().is_none_or(|flags| flags.is_empty()) {
                return true;
            }
            self.spare.clear();
            found.extend(receive_listener(connection));
            false
        });
        found.into_iter().for_each(|listener| self.serve(listener));
    }

    /// Only who may create containers may add processes to one. The socket lies in a directory that
    /// the container cannot reach; this is the second lock.
    fn accept(&mut self) {
        self.spare.pop();
        let Ok(connection) = accept_with(&self.added, SocketFlags::CLOEXEC) else {
            // RACE: a worker may have been faster; who comes waits, and this thread does not turn round
            // without a rest
            std::thread::sleep(REST);
            return;
        };
        let trusted = sockopt::socket_peercred(&connection)
            .is_ok_and(|peer| peer.uid.as_raw() == self.operator);
        if trusted && self.arriving.len() < 64 {
            self.arriving.push(connection);
        }
    }

    /// Answers the watcher, unless calls might not be answered any more. If there is no watcher any
    /// more, nobody would kill the container when this process ends: then both end now.
    fn beat(&mut self) -> anyhow::Result<()> {
        if self.pool.is_unminded() {
            bail!("nobody looks after the workers");
        }
        let mut buffer = [0; 16];
        match socket::receive(&self.heart, &mut buffer) {
            Ok((length, _)) if length > 0 => {
                socket::send(self.heart.as_fd(), watch::BEAT, &[]).context("answer the watcher")
            }
            _ => {
                signal::send(self.init.as_fd(), libc::SIGKILL).context("kill the container")?;
                Err(anyhow!("the watcher ended"))
            }
        }
    }
}

fn receive_listener(socket: &OwnedFd) -> Option<OwnedFd> {
    let mut buffer = [0; 64];
    let (length, mut fds) = socket::receive(socket, &mut buffer).ok()?;
    (&buffer[..length] == LISTENER && fds.len() == 1).then(|| fds.pop()).flatten()
}
