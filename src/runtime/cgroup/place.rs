// SPDX-License-Identifier: Apache-2.0
//! Where a container's cgroup goes, and making what it is made in.
//!
//! The decision is `brig_policy::survey`'s; here its steps are carried out. What they make
//! (`/brig/containers`, a leaf `init`) stays: it is shared by all containers.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use brig_policy::survey::{
    Cgroups, Placement, Privilege, Setup, Situation, Step, steps, to_enable,
};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Availability, Location, ManagerKind};
use crate::survey;

/// How often a cgroup is emptied: its processes may fork meanwhile.
const ROUNDS: usize = 16;

/// Decides where a container's cgroup goes, and makes the cgroups above it.
///
/// # Errors
///
/// A request that this host cannot meet: systemd where there is none, a malformed
/// `slice:prefix:name`; a cgroup above that cannot be made.
pub fn locate(
    id: &str,
    written: Option<&Path>,
    manager: ManagerKind,
    wants_limits: bool,
) -> anyhow::Result<Location> {
    let (cgroups, situation) = (survey::cgroups(), survey::situation());
    let written = written.filter(|path| !path.as_os_str().is_empty());
    let (path, placement) = match (manager, written) {
        (ManagerKind::Systemd, _) => (systemd_path(id, written, cgroups.setup)?, None),
        (ManagerKind::Filesystem, Some(path)) if path.file_name().is_none() => {
            bail!("linux.cgroupsPath: {path:?} is no cgroup of a container's own")
        }
        (ManagerKind::Filesystem, Some(path)) => (path.to_owned(), None),
        (ManagerKind::Filesystem, None) => {
            let placement = Placement::decide(&cgroups, situation);
            let parent = placement.parent().or_else(|| Placement::TopLevel.parent());
            (parent.unwrap_or_default().join(id), Some(placement))
        }
    };
    let availability = match &placement {
        Some(Placement::Callers { .. }) => Availability::Callers,
        Some(Placement::TopLevel | Placement::Delegated { .. }) => Availability::Own,
        None => availability(&cgroups, situation, &path, manager),
    };
    if availability == Availability::Callers && wants_limits {
        tracing::warn!(
            "no cgroup can be made here by this caller (`brig doctor` says why): the limits of \
             linux.resources are not applied"
        );
    }
    if availability == Availability::Own && manager == ManagerKind::Filesystem {
        prepare(&cgroups, &placement.unwrap_or(Placement::TopLevel), &path)?;
    }
    Ok(Location { id: id.to_owned(), path, manager, availability })
}

/// On cgroup v2 systemd is asked for `slice:prefix:name`; on v1, which libcgroups serves by the
/// filesystem alone, the same names make a path.
fn systemd_path(id: &str, written: Option<&Path>, setup: Setup) -> anyhow::Result<PathBuf> {
    let text = written.map_or_else(
        || format!("system.slice:brig:{id}"),
        |path| path.to_string_lossy().into_owned(),
    );
    let parts: Vec<&str> = text.split(':').collect();
    let [slice, prefix, name] = parts.as_slice() else {
        bail!("linux.cgroupsPath: {text:?} is not slice:prefix:name, which --systemd-cgroup takes");
    };
    if setup == Setup::V2 {
        if !Path::new("/run/systemd/system").is_dir() {
            bail!("--systemd-cgroup: systemd is not running on this host");
        }
        return Ok(PathBuf::from(text));
    }
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    Ok(Path::new("/").join(slice).join(format!("{prefix}-{name}.scope")))
}

/// Whether the cgroup that was asked for can be made.
fn availability(
    cgroups: &Cgroups,
    situation: Situation,
    path: &Path,
    manager: ManagerKind,
) -> Availability {
    if manager == ManagerKind::Systemd && cgroups.setup == Setup::V2 {
        return Availability::Own;
    }
    let mut roots = cgroups.hierarchies.iter().map(|one| Path::new(&one.mount_point));
    if roots.len() == 0 {
        return Availability::Callers;
    }
    // what root cannot make is an error of whoever asked for it, not a reason to go without
    let is_allowed = situation.allows_cgroups(cgroups.setup).is_ok();
    if situation.privilege == Privilege::Host
        || (is_allowed && roots.all(|root| can_make(root, path)))
    {
        Availability::Own
    } else {
        Availability::Callers
    }
}

/// Whether the deepest directory of `path` that exists below `root` can be written.
fn can_make(root: &Path, path: &Path) -> bool {
    let mut deepest = root.join(path.strip_prefix("/").unwrap_or(path));
    while !deepest.exists() {
        if !deepest.pop() {
            return false;
        }
    }
    accessat(CWD, &deepest, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok()
}

/// Makes what a container's cgroup is made in, with the controllers that can be had.
fn prepare(cgroups: &Cgroups, placement: &Placement, path: &Path) -> anyhow::Result<()> {
    let Some(hierarchy) = cgroups.hierarchies.first() else { return Ok(()) };
    let root = Path::new(&hierarchy.mount_point);
    for step in steps(cgroups.setup, placement, &Path::new("/").join(path)) {
        carry_out(root, &step)?;
    }
    Ok(())
}

fn carry_out(root: &Path, step: &Step) -> anyhow::Result<()> {
    let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    match step {
        Step::Make(path) => match fs::create_dir(below(path)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other.with_context(|| format!("make cgroup {}", path.display())),
        },
        Step::Move { from, to } => move_processes(&below(from), &below(to))
            .with_context(|| format!("move from cgroup {} to {}", from.display(), to.display())),
        Step::Enable(path) => {
            hand_down(&below(path));
            Ok(())
        }
    }
}

/// Moves every process that there is. One of another pid namespace (it reads as 0) cannot be moved:
/// controllers will not be handed down then, and limits fail by name.
fn move_processes(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..ROUNDS {
        let text = fs::read_to_string(from.join("cgroup.procs"))?;
        let mut pids = text.lines().filter(|pid| *pid != "0").peekable();
        if pids.peek().is_none() {
            break;
        }
        for pid in pids {
            match fs::write(to.join("cgroup.procs"), pid) {
                // it has ended meanwhile
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

/// A controller that cannot be handed down (its cgroup is somebody else's, or has processes) is left
/// out: who wants its limits is told by name when they are applied.
fn hand_down(cgroup: &Path) {
    let read = |file: &str| fs::read_to_string(cgroup.join(file)).unwrap_or_default();
    let (offered, enabled) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    for controller in to_enable(&offered, &enabled) {
        // one at a time: the kernel refuses a list as a whole
        if let Err(error) =
            fs::write(cgroup.join("cgroup.subtree_control"), format!("+{controller}"))
        {
            tracing::debug!("cgroup {}: +{controller}: {error}", cgroup.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A cgroup of a cgroup v2 hierarchy of this host, with a process in it.
    struct Part {
        root: PathBuf,
        path: PathBuf,
        process: Child,
    }

    impl Part {
        fn new(name: &str) -> Self {
            let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
            let line =
                mountinfo.lines().find(|line| line.contains(" - cgroup2 ")).expect("cgroup v2");
            let root = PathBuf::from(line.split(' ').nth(4).unwrap());
            let path = PathBuf::from(format!("/{name}{}", std::process::id()));
            let part =
                Part { root, path, process: Command::new("sleep").arg("60").spawn().unwrap() };
            fs::create_dir(part.below("")).unwrap();
            fs::write(part.below("cgroup.procs"), part.process.id().to_string()).unwrap();
            part
        }

        fn below(&self, name: &str) -> PathBuf {
            self.root.join(self.path.strip_prefix("/").unwrap()).join(name)
        }

        fn processes(&self, name: &str) -> String {
            fs::read_to_string(self.below(name).join("cgroup.procs")).unwrap()
        }
    }

    impl Drop for Part {
        fn drop(&mut self) {
            self.process.kill().unwrap();
            self.process.wait().unwrap();
            for name in ["init", "containers", ""] {
                // what a failed test has not made
                fs::remove_dir(self.below(name)).unwrap_or_default();
            }
        }
    }

    #[test]
    fn what_was_there_moves_to_a_leaf_and_twice_is_once() {
        let part = Part::new("bt-place");
        let base = part.path.display().to_string();
        let placement = Placement::Delegated { base };
        let path = placement.parent().unwrap().join("c");
        for _ in 0..2 {
            for step in steps(Setup::V2, &placement, &path) {
                carry_out(&part.root, &step).unwrap();
            }
            assert_eq!(part.processes(""), "");
            assert_eq!(part.processes("init"), format!("{}\n", part.process.id()));
            assert_eq!(part.processes("containers"), "");
        }
        assert!(!part.below("containers/c").exists(), "the library's to make");
    }

    #[test]
    fn a_cgroup_that_cannot_be_made_is_named() {
        let step = Step::Make("/bt-place-none/below".into());
        let error = carry_out(Path::new("/sys/fs/cgroup"), &step).unwrap_err();
        assert_eq!(error.to_string(), "make cgroup /bt-place-none/below");
    }
}
