// SPDX-License-Identifier: Apache-2.0
//! Making a container where no cgroup can be made: an unprivileged user without a delegated one,
//! or root of a user namespace that somebody else made.
//!
//! The container stays in the caller's own cgroup. The container library is to find nothing that
//! it could join: brig enters a mount namespace of its own and covers the cgroup filesystems with a
//! tmpfs that has plain files in their place. A caller without CAP_SYS_ADMIN first enters a user
//! namespace in which exactly its own ids and those of the container's mappings exist, each as
//! itself; the container's own user namespace is made in that one.
//!
//! Guarantees: nothing outside brig's own mount namespace changes; ids beyond the caller's own are
//! had by newuidmap(1) and newgidmap(1) alone, whose refusal is an error.
//! A mount of the cgroups is an empty, read-only directory.
//! What it does not: hooks of `createRuntime` and before see these namespaces, not the caller's;
//! and no limit of `linux.resources` is applied.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use libcontainer::oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use super::cgroup::{Availability, Location};
use super::launcher;
use crate::sys::fork::{Fork, exit_now, fork};
use crate::sys::namespace;

const CGROUP_ROOT: &str = "/sys/fs/cgroup";
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Before a container is created.
///
/// # Errors
///
/// A step that the kernel or newuidmap(1) refuses; a specification that an unprivileged user
/// cannot have carried out.
pub fn enter(location: &Location, spec: &Spec) -> anyhow::Result<()> {
    if location.availability == Availability::Own {
        return Ok(());
    }
    if !has_sys_admin()? {
        own_user_namespace(spec)?;
    }
    cover_cgroups(location)
}

/// A mount of the cgroups shows none: the container has none, and the caller's are not its affair.
pub fn hide_cgroups(spec: &mut Spec, location: &Location) {
    if location.availability == Availability::Own {
        return;
    }
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    for mount in &mut mounts {
        if matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2")) {
            let options = ["ro", "nosuid", "nodev", "noexec", "mode=755"];
            mount.set_typ(Some("tmpfs".to_owned())).set_source(Some("tmpfs".into()));
            mount.set_options(Some(options.map(str::to_owned).to_vec()));
        }
    }
    spec.set_mounts(Some(mounts));
}

/// Before a process is added to a container in the user namespace `user`; `None` where that is
/// brig's own.
///
/// # Errors
///
/// A step that the kernel refuses.
pub fn enter_again(location: &Location, user: Option<BorrowedFd<'_>>) -> anyhow::Result<()> {
    if location.availability == Availability::Own {
        return Ok(());
    }
    if let Some(user) = user
        && !has_sys_admin()?
    {
        let parent = namespace::parent(user).context("ioctl(NS_GET_PARENT)")?;
        namespace::join(parent.as_fd(), libc::CLONE_NEWUSER)
            .context("setns to the user namespace that the container was created in")?;
    }
    cover_cgroups(location)
}

fn has_sys_admin() -> anyhow::Result<bool> {
    Ok(launcher::status_mask("CapEff")? & CAP_SYS_ADMIN != 0)
}

/// Ids that exist in a user namespace: the first, and how many.
type Range = (u32, u32);

fn own_user_namespace(spec: &Spec) -> anyhow::Result<()> {
    let linux = spec.linux().clone().unwrap_or_default();
    let is_new = linux
        .namespaces()
        .iter()
        .flatten()
        .any(|one| one.typ() == LinuxNamespaceType::User && one.path().is_none());
    if !is_new {
        bail!(
            "linux.namespaces: has no new user namespace, which a container of an unprivileged \
             user needs (`brig spec --rootless` writes one)"
        );
    }
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let uids = ranges(uid, linux.uid_mappings().as_deref().unwrap_or_default());
    let gids = ranges(gid, linux.gid_mappings().as_deref().unwrap_or_default());
    if uids == [(uid, 1)] && gids == [(gid, 1)] {
        namespace::unshare(libc::CLONE_NEWUSER).context("unshare(CLONE_NEWUSER)")?;
        return map_own(uid, gid);
    }
    let helper = MapHelper::start(&uids, &gids)?;
    namespace::unshare(libc::CLONE_NEWUSER).context("unshare(CLONE_NEWUSER)")?;
    helper.map()
}

/// The caller's own id and the host's side of the mappings, in order and without overlaps.
fn ranges(own: u32, mappings: &[LinuxIdMapping]) -> Vec<Range> {
    let mut all: Vec<Range> = mappings.iter().map(|one| (one.host_id(), one.size())).collect();
    let has_own = |(first, size): &Range| own.checked_sub(*first).is_some_and(|at| at < *size);
    if !all.iter().any(has_own) {
        all.push((own, 1));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Without privilege one's own ids can be mapped, and setgroups(2) must be given up for it.
fn map_own(uid: u32, gid: u32) -> anyhow::Result<()> {
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).with_context(|| format!("write {path}"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))
}

/// A child that stays in the caller's user namespace and has the maps written from there.
struct MapHelper {
    pid: Pid,
    go: OwnedFd,
    outcome: OwnedFd,
}

impl MapHelper {
    fn start(uids: &[Range], gids: &[Range]) -> anyhow::Result<Self> {
        let target = getpid();
        let (go_read, go) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        let (outcome, outcome_write) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
        match fork().context("fork")? {
            Fork::Parent(pid) => {
                let pid = Pid::from_raw(pid).ok_or_else(|| anyhow!("fork: pid 0"))?;
                Ok(MapHelper { pid, go, outcome })
            }
            Fork::Child => {
                drop((go, outcome));
                let mut byte = [0];
                if !matches!(File::from(go_read).read(&mut byte), Ok(1)) {
                    exit_now(1);
                }
                let mapped = run_map("newuidmap", "linux.uidMappings", target, uids)
                    .and_then(|()| run_map("newgidmap", "linux.gidMappings", target, gids));
                let text = mapped.map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned());
                let told = File::from(outcome_write).write_all(text.as_bytes());
                exit_now(i32::from(told.is_err()))
            }
        }
    }

    fn map(self) -> anyhow::Result<()> {
        File::from(self.go).write_all(&[1]).context("the child that writes the maps ended")?;
        let mut text = String::new();
        File::from(self.outcome).read_to_string(&mut text).context("read from the child")?;
        while let Err(rustix::io::Errno::INTR) = waitpid(Some(self.pid), WaitOptions::empty()) {}
        match text.as_str() {
            "ok" => Ok(()),
            "" => bail!("the child that writes the maps ended"),
            text => bail!("{text}"),
        }
    }
}

fn run_map(program: &str, field: &str, target: Pid, ranges: &[Range]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.arg(target.as_raw_pid().to_string());
    for (first, size) in ranges {
        command.args([first.to_string(), first.to_string(), size.to_string()]);
    }
    let output = command.output().with_context(|| {
        format!("{field}: ids beyond the caller's own take {program}(1): execute it")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{field}: {program}: {}: {}", output.status, said.trim())
}

/// Puts plain files in the place of the cgroup filesystems, in a mount namespace of brig's own.
fn cover_cgroups(location: &Location) -> anyhow::Result<()> {
    let hierarchies = libcgroups::v1::util::list_subsystem_mount_points()
        .map_err(|error| anyhow!("cgroup mounts: {error}"))?;
    namespace::unshare(libc::CLONE_NEWNS).context("unshare(CLONE_NEWNS)")?;
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave).context("make the mounts of brig's own namespace private")?;
    cover(Path::new(CGROUP_ROOT))?;
    for hierarchy in hierarchies {
        if !hierarchy.starts_with(CGROUP_ROOT) {
            cover(&hierarchy)?;
        }
        stand_in(&hierarchy, &location.path)
            .with_context(|| format!("stand-in for {}", hierarchy.display()))?;
    }
    Ok(())
}

fn cover(at: &Path) -> anyhow::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", at, "tmpfs", flags, Some(c"mode=755,size=1m,nr_inodes=4096"))
        .with_context(|| format!("mount a tmpfs on {}", at.display()))
}

/// The files that the container library reads and writes on its way to a cgroup: cgroups(7),
/// cpuset(7).
fn stand_in(hierarchy: &Path, cgroup: &Path) -> std::io::Result<()> {
    let mut at = hierarchy.to_owned();
    fs::create_dir_all(&at)?;
    let parts = cgroup.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        _ => None,
    });
    for part in std::iter::once(PathBuf::new()).chain(parts) {
        at.push(part);
        fs::create_dir_all(&at)?;
        for (file, content) in [("cgroup.procs", ""), ("cpuset.cpus", "0"), ("cpuset.mems", "0")] {
            fs::write(at.join(file), content)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use libcontainer::oci_spec::runtime::LinuxIdMappingBuilder;

    use super::*;

    fn check(own: u32, mappings: &[(u32, u32, u32)], expected: &[Range]) {
        let build = |(inside, outside, size): &(u32, u32, u32)| {
            let builder = LinuxIdMappingBuilder::default();
            builder.container_id(*inside).host_id(*outside).size(*size).build().unwrap()
        };
        let mappings: Vec<LinuxIdMapping> = mappings.iter().map(build).collect();
        assert_eq!(ranges(own, &mappings), expected);
    }

    #[test]
    fn the_callers_own_id_always_exists_and_exists_once() {
        check(1000, &[(0, 1000, 1)], &[(1000, 1)]);
        check(1000, &[(0, 1000, 1), (1, 100_000, 65536)], &[(1000, 1), (100_000, 65536)]);
        check(1000, &[(0, 100_000, 65536)], &[(1000, 1), (100_000, 65536)]);
        check(1000, &[], &[(1000, 1)]);
    }
}
