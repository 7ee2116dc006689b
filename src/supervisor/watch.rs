// SPDX-License-Identifier: Apache-2.0
//! Watching a supervisor: whoever is under its policy must not outlive it.
//!
//! The watcher is the supervisor's parent. If the supervisor ends other than because nobody is left
//! to serve, or does not answer for too long, the watcher kills the container. The supervisor in its
//! turn does so if the watcher ends.
//!
//! Guarantee: within a second. A supervisor that gets no processor is not taken for one that hangs. One
//! that answers, but where nobody looks after the workers any more, is given longer
//! (`pool::LATE`).

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{DumpableBehavior, Pid, WaitOptions, waitpid};

use crate::runtime::cgroup::{self, Availability, Location};
use crate::sys::fork::exit_now;
use crate::sys::{pidfd, signal, socket};

/// The message that carries a pidfd of the container's first process.
pub const INIT: &[u8] = b"init";
/// What the supervisor is asked, and what it answers.
pub const BEAT: &[u8] = b"beat";

/// How often it is asked.
const PERIOD: Duration = Duration::from_millis(150);
/// How long an answer may take. Who has been asked wants a processor: it is no matter of load.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long it may take to end, once it has closed its own end.
const ENDING: Duration = Duration::from_millis(400);
/// How long one that gets no processor, or waits for its own memory, may take.
const STARVED: Duration = Duration::from_secs(10);

/// Watches until the supervisor ends; then ends itself.
pub fn live(heart: OwnedFd, supervisor: i32, cgroup: &Location) -> ! {
    let mut init = None;
    let verdict = match leave_the_caller(heart) {
        Ok(heart) => watch(&heart, supervisor, cgroup, &mut init),
        Err(_) => Verdict::Failed,
    };
    if verdict == Verdict::Failed {
        // it may only hang
        kill(supervisor);
        kill_container(init.as_ref(), cgroup);
    }
    exit_now(i32::from(verdict == Verdict::Failed));
}

/// How a supervisor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody is left to serve.
    Ended,
    /// In another way.
    Failed,
}

fn leave_the_caller(heart: OwnedFd) -> anyhow::Result<OwnedFd> {
    rustix::process::setsid()?;
    let kept = super::leave_the_caller(std::iter::once(&heart))?;
    std::mem::forget(heart);
    rustix::thread::set_name(c"brig-watcher")?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    signal::unblock_all()?;
    super::confine::keep_only(1 << CAP_KILL | 1 << CAP_DAC_READ_SEARCH)?;
    kept.into_iter().next().ok_or_else(|| anyhow::anyhow!("no descriptor"))
}

const CAP_DAC_READ_SEARCH: u32 = 2;
const CAP_KILL: u32 = 5;

fn watch(
    heart: &OwnedFd,
    supervisor: i32,
    cgroup: &Location,
    init: &mut Option<OwnedFd>,
) -> Verdict {
    // before there is a container there is nothing to be killed, and nothing to be asked
    let mut asked: Option<Instant> = None;
    loop {
        let timeout = init.is_some().then_some(PERIOD);
        match wait(heart, timeout) {
            Heard::End => return outcome(supervisor),
            Heard::Nothing => {}
            Heard::Message(found) => {
                asked = None;
                if found.is_some() {
                    *init = found;
                }
                continue;
            }
        }
        let Some(since) = asked else {
            asked = Some(Instant::now());
            if socket::send(heart.as_fd(), BEAT, &[]).is_err() {
                return outcome(supervisor);
            }
            continue;
        };
        if since.elapsed() > PATIENCE && (hangs(supervisor) || since.elapsed() > STARVED) {
            // KERNEL(cgroup v2): who freezes the container freezes the supervisor
            if cgroup::is_frozen(cgroup).unwrap_or(false) {
                asked = Some(Instant::now());
                continue;
            }
            return Verdict::Failed;
        }
    }
}

/// What came from the supervisor.
enum Heard {
    /// It is alive; perhaps with the first process's pidfd.
    Message(Option<OwnedFd>),
    /// Nothing, for a while.
    Nothing,
    /// The end of it.
    End,
}

fn wait(heart: &OwnedFd, timeout: Option<Duration>) -> Heard {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut fds = [PollFd::new(heart, PollFlags::IN)];
    match poll(&mut fds, timeout.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Heard::Nothing,
        Ok(_) => {}
        Err(_) => return Heard::End,
    }
    let mut buffer = [0; 16];
    match socket::receive(heart, &mut buffer) {
        Ok((0, _)) | Err(_) => Heard::End,
        Ok((_, mut fds)) => Heard::Message(fds.pop()),
    }
}

/// How the supervisor, which has closed its end, has ended. One that does not come to its end, since a
/// thread of it waits for something that no signal ends, has failed.
fn outcome(supervisor: i32) -> Verdict {
    let Some(pid) = Pid::from_raw(supervisor) else { return Verdict::Failed };
    let deadline = Instant::now() + ENDING;
    loop {
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) if status.exit_status() == Some(0) => return Verdict::Ended,
            Ok(None) | Err(rustix::io::Errno::INTR) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(2));
            }
            _ => return Verdict::Failed,
        }
    }
}

/// Whether it wants no processor and waits for no disk, and so will not answer.
fn hangs(supervisor: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{supervisor}/stat")).unwrap_or_default();
    // the state follows the name, which may have anything in it
    let state = text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('R' | 'D'))
}

fn kill(supervisor: i32) {
    if let Some(pid) = Pid::from_raw(supervisor) {
        // INVARIANT: it is a child that has not been waited for, or it is gone and this is in vain
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap_or_default();
    }
}

/// Kills the first process, with which its pid namespace goes, and whoever is in the cgroup.
fn kill_container(init: Option<&OwnedFd>, cgroup: &Location) {
    if let Some(init) = init {
        signal::send(init.as_fd(), libc::SIGKILL).unwrap_or_default();
    }
    if cgroup.availability != Availability::Own {
        return;
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        let pids = cgroup::pids(cgroup).unwrap_or_default();
        if pids.is_empty() {
            return;
        }
        pids.into_iter().for_each(|pid| kill_member(pid, cgroup));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// RACE: a number that was read may be another process's by now: what is killed is a process that is
/// held and still in the cgroup.
fn kill_member(pid: i32, cgroup: &Location) {
    let Ok(process) = pidfd::open_process(pid) else { return };
    if cgroup::pids(cgroup).is_ok_and(|pids| pids.contains(&pid)) {
        signal::send(process.as_fd(), libc::SIGKILL).unwrap_or_default();
    }
}
