// SPDX-License-Identifier: Apache-2.0
//! A container's new user namespace.
//!
//! brig makes it itself, before the container library is called, and lets the library join it by a
//! descriptor: so any number of mappings is written as the specification has them, by brig, and a
//! mapping that the kernel refuses is an error.
//!
//! Guarantees: the namespace has exactly the mappings of the specification, or there is none.
//! What it does not do: choose mappings, or give an unprivileged user ids that are not its own;
//! that is [`super::unprivileged`]'s.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use libcontainer::oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::sys::fork::{Fork, exit_now, fork};
use crate::sys::namespace;

/// Makes the user namespace that a specification asks for, and has the specification join it.
///
/// The descriptor is to be kept until the container's process has been made. `None` where no new
/// user namespace is asked for.
///
/// # Errors
///
/// The namespace cannot be made, or a mapping is refused.
pub fn make(spec: &mut Spec) -> anyhow::Result<Option<OwnedFd>> {
    let Some(linux) = spec.linux_mut() else { return Ok(None) };
    let uids = linux.uid_mappings().clone().unwrap_or_default();
    let gids = linux.gid_mappings().clone().unwrap_or_default();
    let Some(entry) = linux
        .namespaces_mut()
        .iter_mut()
        .flatten()
        .find(|one| one.typ() == LinuxNamespaceType::User && one.path().is_none())
    else {
        return Ok(None);
    };
    let holder = Holder::start(Step::Unshare)?;
    holder.map("uid_map", "linux.uidMappings", &uids)?;
    holder.map("gid_map", "linux.gidMappings", &gids)?;
    let descriptor = holder.namespace()?;
    entry.set_path(Some(PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))));
    Ok(Some(descriptor))
}

/// What a uid of an existing user namespace is on the host, if it is anything.
///
/// # Errors
///
/// The namespace cannot be joined.
pub fn uid_outside(user: BorrowedFd<'_>, uid: u32) -> anyhow::Result<Option<u32>> {
    let holder = Holder::start(Step::Join(user))?;
    let path = format!("/proc/{}/uid_map", holder.pid.as_raw_pid());
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    Ok(text.lines().find_map(|line| look_up(line, uid)))
}

/// One line of uid_map: user_namespaces(7).
fn look_up(line: &str, uid: u32) -> Option<u32> {
    let mut fields = line.split_whitespace().map(str::parse::<u32>);
    let (inside, outside, size) =
        (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    let offset = uid.checked_sub(inside).filter(|offset| *offset < size)?;
    outside.checked_add(offset)
}

/// How a holder comes into its namespace.
enum Step<'a> {
    /// Into a new one.
    Unshare,
    /// Into this one.
    Join(BorrowedFd<'a>),
}

/// A child that sits in a user namespace until it is dropped.
struct Holder {
    pid: Pid,
    /// Its end makes the child end.
    _alive: OwnedFd,
}

impl Holder {
    fn start(step: Step<'_>) -> anyhow::Result<Self> {
        let (answer, answer_write) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        let (alive_read, alive) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        let pid = match fork().context("fork")? {
            Fork::Child => {
                drop(alive);
                hold(&step, answer_write, alive_read)
            }
            Fork::Parent(pid) => Pid::from_raw(pid).ok_or_else(|| anyhow!("fork: pid 0"))?,
        };
        let holder = Holder { pid, _alive: alive };
        drop(answer_write);
        let mut errno = [0; 4];
        File::from(answer).read_exact(&mut errno).context("user namespace: the child ended")?;
        match (i32::from_ne_bytes(errno), step) {
            (0, _) => Ok(holder),
            (errno, Step::Unshare) => {
                Err(std::io::Error::from_raw_os_error(errno)).context("unshare(CLONE_NEWUSER)")
            }
            (errno, Step::Join(_)) => {
                Err(std::io::Error::from_raw_os_error(errno)).context("setns(CLONE_NEWUSER)")
            }
        }
    }

    fn map(&self, file: &str, field: &str, mappings: &[LinuxIdMapping]) -> anyhow::Result<()> {
        let line = |one: &LinuxIdMapping| {
            format!("{} {} {}\n", one.container_id(), one.host_id(), one.size())
        };
        let text: String = mappings.iter().map(line).collect();
        let path = format!("/proc/{}/{file}", self.pid.as_raw_pid());
        fs::write(&path, &text)
            .with_context(|| format!("{field}: write {:?} to {path}", text.trim_end()))
    }

    fn namespace(&self) -> anyhow::Result<OwnedFd> {
        let path = format!("/proc/{}/ns/user", self.pid.as_raw_pid());
        open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("open {path}"))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // a kill cannot come late: the pid is reserved until the child is reaped here
        if let Err(error) = rustix::process::kill_process(self.pid, rustix::process::Signal::KILL) {
            tracing::debug!("kill the holder of a user namespace: {error}");
        }
        while let Err(rustix::io::Errno::INTR) = waitpid(Some(self.pid), WaitOptions::empty()) {}
    }
}

/// The child: tells how it went and waits for the end of its parent.
fn hold(step: &Step<'_>, answer: OwnedFd, alive: OwnedFd) -> ! {
    let entered = match step {
        Step::Unshare => namespace::unshare(libc::CLONE_NEWUSER),
        Step::Join(user) => namespace::join(*user, libc::CLONE_NEWUSER),
    };
    let errno = entered.err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
    if File::from(answer).write_all(&errno.to_ne_bytes()).is_err() {
        exit_now(1);
    }
    let mut byte = [0];
    // nobody ever writes: this returns when the parent is gone
    File::from(alive).read(&mut byte).unwrap_or_default();
    exit_now(0)
}

#[cfg(test)]
mod tests {
    use super::look_up;

    #[test]
    fn a_uid_is_looked_up_in_its_line() {
        assert_eq!(look_up("         0     100000      65536", 7), Some(100_007));
        assert_eq!(look_up("5 100000 2", 7), None);
        assert_eq!(look_up("5 100000 2", 4), None);
        assert_eq!(look_up("0 4294967295 10", 3), None);
        assert_eq!(look_up("nonsense", 0), None);
    }
}
