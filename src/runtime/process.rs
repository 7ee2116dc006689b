// SPDX-License-Identifier: Apache-2.0
//! A process of the host by pid and start time: the two together are never reused.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A process that existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The pid in brig's pid namespace.
    pub pid: i32,
    /// `starttime` of proc_pid_stat(5), in clock ticks since boot.
    pub start_time: u64,
}

impl Identity {
    /// The process that has this pid now.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        let (_, start_time) = stat(pid)?;
        Ok(Identity { pid, start_time })
    }

    /// Whether it still runs: not gone, not a zombie, and no other process with its pid.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_ok_and(|(state, start_time)| {
            start_time == self.start_time && !matches!(state, b'Z' | b'X' | b'x')
        })
    }

    /// A pidfd of this very process, or `None` where it is gone.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            other => other?,
        };
        // RACE: the pid may have been reused before pidfd_open; the descriptor pins whichever
        // process it is, and its start time tells which.
        match stat(self.pid) {
            Ok((_, start_time)) if start_time == self.start_time => Ok(Some(fd)),
            _ => Ok(None),
        }
    }

    /// Sends a signal; `false` where the process is gone.
    ///
    /// # Errors
    ///
    /// The kernel's: EPERM, EINVAL.
    pub fn signal(&self, signal: i32) -> io::Result<bool> {
        let Some(fd) = self.open()? else { return Ok(false) };
        match crate::sys::signal::send(fd.as_fd(), signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// It has not ended after `limit`.
    pub fn wait(&self, limit: Duration) -> anyhow::Result<()> {
        let Some(fd) = self.open()? else { return Ok(()) };
        let timeout = Timespec::try_from(limit).context("limit")?;
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => bail!("process {} does not end", self.pid),
            Ok(_) => Ok(()),
            Err(error) => Err(error).context("poll a pidfd"),
        }
    }
}

/// The children of the calling thread.
fn children() -> Vec<i32> {
    let tid = rustix::thread::gettid();
    let path = format!("/proc/self/task/{}/children", tid.as_raw_nonzero());
    let children = fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Kills and reaps brig's own children: what an unfinished create may have left.
pub fn kill_children() {
    for pid in children() {
        if let Ok(child) = Identity::of(pid)
            && let Err(error) = child.signal(libc::SIGKILL)
        {
            tracing::warn!("kill {pid}: {error}");
        }
    }
    // all of them have been killed: each wait ends
    while rustix::process::wait(rustix::process::WaitOptions::empty()).is_ok() {}
}

/// The state letter and the start time of proc_pid_stat(5).
fn stat(pid: i32) -> io::Result<(u8, u64)> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The command's name, in parentheses, may have any byte: the last parenthesis ends it.
fn parse_stat(text: &[u8]) -> Option<(u8, u64)> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_cannot_forge_its_state() {
        let text = b"7 (a) Z 1 ) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(parse_stat(text), Some((b'S', 4242)));
    }

    #[test]
    fn this_process_is_alive_and_another_start_time_is_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let me = Identity::of(pid).unwrap();
        assert!(me.is_alive());
        assert!(!Identity { start_time: me.start_time + 1, ..me }.is_alive());
        assert!(Identity { start_time: me.start_time + 1, ..me }.open().unwrap().is_none());
    }
}
