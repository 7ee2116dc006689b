// SPDX-License-Identifier: Apache-2.0
//! A container's new user namespace, and the mount namespace that goes with one.
//!
//! brig makes them itself, before the container library is called, and lets the library join them
//! by descriptors: so any number of mappings is written as the specification has them, by brig, and
//! a mapping that the kernel refuses is an error; and what is mounted can lie where the namespace's
//! root may not go ([`super::staging`]).
//!
//! Guarantees: the namespace has exactly the mappings of the specification, or there is none.
//! What it does not do: choose mappings, or give an unprivileged user ids that are not its own;
//! that is [`super::unprivileged`]'s.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use libcontainer::oci_spec::runtime::{LinuxIdMapping, LinuxNamespace, LinuxNamespaceType, Spec};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use super::staging::{Ids, Staging};
use crate::sys::fork::{Fork, exit_now, fork};
use crate::sys::namespace;

/// The descriptors of what was made, to be kept until the container's process has been.
pub type Made = Vec<OwnedFd>;

/// The ids that exist in the user namespace of a specification, new or not; `None` where it has
/// none.
///
/// # Errors
///
/// The namespace cannot be joined.
pub fn ids(spec: &Spec) -> anyhow::Result<Option<Ids>> {
    let Some(linux) = spec.linux() else { return Ok(None) };
    let mut all = linux.namespaces().iter().flatten();
    let Some(entry) = all.find(|one| one.typ() == LinuxNamespaceType::User) else {
        return Ok(None);
    };
    let Some(path) = entry.path() else {
        let mappings = |of: &Option<Vec<LinuxIdMapping>>| of.clone().unwrap_or_default();
        let (uids, gids) = (mappings(linux.uid_mappings()), mappings(linux.gid_mappings()));
        return Ok(Some(Ids::of(&uids, &gids)));
    };
    let user = open_namespace(path)?;
    let holder = Holder::start(&Step::Join(user.as_fd()), None)?;
    let (uids, gids) = (holder.ranges("uid_map")?, holder.ranges("gid_map")?);
    Ok(Some(Ids { uids, gids }))
}

/// Makes the user namespace that a specification asks for and, where mounts are staged, a mount
/// namespace with them, and has the specification join both.
///
/// # Errors
///
/// A namespace cannot be made, a mapping is refused, a mount cannot be staged.
pub fn make(spec: &mut Spec, staging: Option<&Staging>) -> anyhow::Result<Made> {
    let Some(linux) = spec.linux_mut() else { return Ok(Vec::new()) };
    let uids = linux.uid_mappings().clone().unwrap_or_default();
    let gids = linux.gid_mappings().clone().unwrap_or_default();
    let mut entries = linux.namespaces_mut().iter_mut().flatten();
    let Some(entry) = entries.find(|one| one.typ() == LinuxNamespaceType::User) else {
        return Ok(Vec::new());
    };
    let existing = entry.path().as_deref().map(open_namespace).transpose()?;
    let step = match &existing {
        Some(_) if staging.is_none() => return Ok(Vec::new()),
        Some(user) => Step::Join(user.as_fd()),
        None => Step::Unshare,
    };
    let holder = Holder::start(&step, staging)?;
    if existing.is_none() {
        holder.map("uid_map", "linux.uidMappings", &uids)?;
        holder.map("gid_map", "linux.gidMappings", &gids)?;
    }
    let mut made = vec![join_instead(entry, holder.namespace("user")?)];
    let mut entries = linux.namespaces_mut().iter_mut().flatten();
    let mount = entries.find(|one| one.typ() == LinuxNamespaceType::Mount);
    if let Some(mount) = mount.filter(|_| staging.is_some()) {
        made.push(join_instead(mount, holder.namespace("mnt")?));
    }
    Ok(made)
}

fn join_instead(entry: &mut LinuxNamespace, descriptor: OwnedFd) -> OwnedFd {
    entry.set_path(Some(PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))));
    descriptor
}

fn open_namespace(path: &Path) -> anyhow::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("linux.namespaces: open {}", path.display()))
}

/// What a uid of an existing user namespace is on the host, if it is anything.
///
/// # Errors
///
/// The namespace cannot be joined.
pub fn uid_outside(user: BorrowedFd<'_>, uid: u32) -> anyhow::Result<Option<u32>> {
    let holder = Holder::start(&Step::Join(user), None)?;
    Ok(holder.read("uid_map")?.lines().find_map(|line| look_up(line, uid)))
}

/// One line of uid_map: user_namespaces(7).
fn look_up(line: &str, uid: u32) -> Option<u32> {
    let mut fields = line.split_whitespace().map(str::parse::<u32>);
    let (inside, outside, size) =
        (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
    let offset = uid.checked_sub(inside).filter(|offset| *offset < size)?;
    outside.checked_add(offset)
}

/// The host's side of a line of uid_map.
fn range(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.split_whitespace().skip(1).map(str::parse::<u32>);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
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
    fn start(step: &Step<'_>, staging: Option<&Staging>) -> anyhow::Result<Self> {
        let (answer, answer_write) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        let (alive_read, alive) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        let pid = match fork().context("fork")? {
            Fork::Child => {
                drop(alive);
                hold(step, staging, answer_write, alive_read)
            }
            Fork::Parent(pid) => Pid::from_raw(pid).ok_or_else(|| anyhow!("fork: pid 0"))?,
        };
        let holder = Holder { pid, _alive: alive };
        drop(answer_write);
        let mut text = String::new();
        File::from(answer).read_to_string(&mut text).context("user namespace: the child")?;
        match text.as_str() {
            ENTERED => Ok(holder),
            "" => bail!("user namespace: the child ended"),
            text => bail!("{text}"),
        }
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.pid.as_raw_pid());
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }

    fn ranges(&self, file: &str) -> anyhow::Result<Vec<(u32, u32)>> {
        Ok(self.read(file)?.lines().filter_map(range).collect())
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

    fn namespace(&self, kind: &str) -> anyhow::Result<OwnedFd> {
        open_namespace(&PathBuf::from(format!("/proc/{}/ns/{kind}", self.pid.as_raw_pid())))
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

/// What a child says that has come where it should.
const ENTERED: &str = "entered";

/// The child: tells how it went and waits for the end of its parent.
fn hold(step: &Step<'_>, staging: Option<&Staging>, answer: OwnedFd, alive: OwnedFd) -> ! {
    let text =
        enter(step, staging).map_or_else(|error| format!("{error:#}"), |()| ENTERED.to_owned());
    if File::from(answer).write_all(text.as_bytes()).is_err() {
        exit_now(1);
    }
    let mut byte = [0];
    // nobody ever writes: this returns when the parent is gone
    File::from(alive).read(&mut byte).unwrap_or_default();
    exit_now(0)
}

fn enter(step: &Step<'_>, staging: Option<&Staging>) -> anyhow::Result<()> {
    let copied = staging.map_or(0, |_| libc::CLONE_NEWNS);
    staging.map_or(Ok(()), Staging::enter)?;
    match step {
        Step::Unshare => {
            namespace::unshare(libc::CLONE_NEWUSER | copied).context("unshare(CLONE_NEWUSER)")
        }
        Step::Join(user) => {
            namespace::join(*user, libc::CLONE_NEWUSER).context("setns(CLONE_NEWUSER)")?;
            namespace::unshare(copied).context("unshare(CLONE_NEWNS)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{look_up, range};

    #[test]
    fn a_uid_is_looked_up_in_its_line() {
        assert_eq!(look_up("         0     100000      65536", 7), Some(100_007));
        assert_eq!(look_up("5 100000 2", 7), None);
        assert_eq!(look_up("5 100000 2", 4), None);
        assert_eq!(look_up("0 4294967295 10", 3), None);
        assert_eq!(look_up("nonsense", 0), None);
        assert_eq!(range("         0     100000      65536"), Some((100_000, 65536)));
    }
}
