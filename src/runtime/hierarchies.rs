// SPDX-License-Identifier: Apache-2.0
//! The hierarchies of cgroup v1, made and entered by brig itself.
//!
//! libcgroups reads the mount table once for every controller, and moves a process by its pid, for
//! which the kernel waits until no processor can be in the middle of a fork (some 10 ms). A process
//! with one thread that moves itself (`0` to `tasks`) waits for nothing: cgroups(7),
//! `cgroup_procs_write_start` of the kernel.
//!
//! Guarantees: a container has the same directories as by libcgroups, one in each mounted hierarchy
//! that has a controller of the specification's. What it does not do: limits, which stay
//! libcgroups', and cgroup v2.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};

/// The controllers that libcgroups knows.
const CONTROLLERS: [&str; 12] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Its controllers.
    controllers: Vec<&'static str>,
}

/// The hierarchies of this host, by one look at the mount table.
///
/// # Errors
///
/// It cannot be read.
pub fn mounted() -> anyhow::Result<Vec<Hierarchy>> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let mut found: Vec<Hierarchy> = Vec::new();
    for hierarchy in text.lines().filter_map(parse) {
        // mounted elsewhere too: the first place counts
        if !found.iter().any(|one| one.controllers == hierarchy.controllers) {
            found.push(hierarchy);
        }
    }
    Ok(found)
}

/// A line of proc_pid_mountinfo(5).
fn parse(line: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = filesystem.split(' ');
    if fields.next()? != "cgroup" {
        return None;
    }
    let options: Vec<&str> = fields.nth(1)?.split(',').collect();
    let controllers: Vec<_> = CONTROLLERS.into_iter().filter(|one| options.contains(one)).collect();
    let point = PathBuf::from(unescape(mount.split(' ').nth(4)?));
    (!controllers.is_empty()).then_some(Hierarchy { point, controllers })
}

/// Blanks are written in octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// A container's directories, one in each hierarchy.
#[derive(Debug)]
pub struct Directories(Vec<PathBuf>);

impl Hierarchy {
    /// Whether it has a controller.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    /// A cgroup's directory in it.
    #[must_use]
    pub fn directory(&self, cgroup: &Path) -> PathBuf {
        self.point.join(cgroup.strip_prefix("/").unwrap_or(cgroup))
    }

    /// Makes a cgroup's directory, with those above it that are missing.
    fn make(&self, cgroup: &Path) -> anyhow::Result<PathBuf> {
        let mut at = self.point.clone();
        for part in cgroup.components() {
            match part {
                Component::Normal(name) => at.push(name),
                Component::RootDir | Component::CurDir => continue,
                Component::ParentDir | Component::Prefix(_) => {
                    bail!("linux.cgroupsPath: {} has \"..\"", cgroup.display())
                }
            }
            match fs::create_dir(&at) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("mkdir {}", at.display()));
                }
                _ => {}
            }
            if self.controllers.contains(&"cpuset") {
                inherit_cpuset(&at)?;
            }
        }
        Ok(at)
    }
}

/// A new cpuset is empty, and nothing can enter it so.
fn inherit_cpuset(directory: &Path) -> anyhow::Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let file = directory.join(name);
        let own = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        if !own.trim().is_empty() {
            continue;
        }
        let above = directory.parent().unwrap_or(directory).join(name);
        let value =
            fs::read_to_string(&above).with_context(|| format!("read {}", above.display()))?;
        fs::write(&file, value.trim()).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

/// Makes a container's cgroup.
///
/// # Errors
///
/// The kernel's, with the path.
pub fn make(cgroup: &Path) -> anyhow::Result<Directories> {
    let directories = mounted()?.iter().map(|one| one.make(cgroup)).collect::<Result<_, _>>()?;
    Ok(Directories(directories))
}

impl Directories {
    /// Moves the calling process, which has one thread.
    ///
    /// # Errors
    ///
    /// The kernel's, with the path.
    pub fn enter(&self) -> anyhow::Result<()> {
        for directory in &self.0 {
            let tasks = directory.join("tasks");
            fs::write(&tasks, "0").with_context(|| format!("enter {}", tasks.display()))?;
        }
        Ok(())
    }
}

/// Removes a cgroup that has no processes; false where something is in the way.
///
/// # Errors
///
/// The mount table cannot be read.
pub fn remove(cgroup: &Path) -> anyhow::Result<bool> {
    let mut is_gone = true;
    for hierarchy in mounted()? {
        match fs::remove_dir(hierarchy.directory(cgroup)) {
            Err(error) if error.kind() != ErrorKind::NotFound => is_gone = false,
            _ => {}
        }
    }
    Ok(is_gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_is_known_by_its_options_not_by_its_name() {
        let line =
            "31 24 0:27 / /sys/fs/cgroup/a\\040b rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let found = parse(line).unwrap();
        assert_eq!(found.point, Path::new("/sys/fs/cgroup/a b"));
        assert_eq!(found.controllers, ["cpu", "cpuacct"]);
        assert_eq!(found.directory(Path::new("/x/y")), Path::new("/sys/fs/cgroup/a b/x/y"));
    }

    #[test]
    fn what_has_no_controller_is_none() {
        for line in [
            "31 24 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
            "32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
            "33 24 0:29 / /cpu rw - tmpfs cpu rw,cpu",
            "nonsense",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
