// SPDX-License-Identifier: Apache-2.0
//! The hierarchies of cgroup v1, made and entered by brig itself.
//!
//! libcgroups reads the mount table once for every controller, and moves a process by its pid, for
//! which the kernel waits until no processor can be in the middle of a fork (some 10 ms). A process
//! with one thread that moves itself (`0` to `tasks`) waits for nothing: cgroups(7),
//! `cgroup_procs_write_start` of the kernel.
//!
//! Guarantees: a container has the same directories as by libcgroups, one in each mounted hierarchy
//! that has a controller of the specification's. Directories on the way to it that brig has made are
//! removed with the last container below them. What it does not do: limits other than of devices,
//! which stay libcgroups', and cgroup v2.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use brig_policy::survey::V1_CONTROLLERS;
use libcontainer::oci_spec::runtime::LinuxDeviceCgroup;

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
    let controllers: Vec<_> =
        V1_CONTROLLERS.into_iter().filter(|one| options.contains(one)).collect();
    let point = PathBuf::from(unescape(mount.split(' ').nth(4)?));
    (!controllers.is_empty()).then_some(Hierarchy { point, controllers })
}

/// Blanks are written in octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// A container's directories, one in each hierarchy.
#[derive(Debug)]
pub struct Directories {
    all: Vec<PathBuf>,
    /// The one that has the rules of devices.
    devices: Option<PathBuf>,
}

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
    // RACE: a container that is deleted removes the directories above its own that brig has made,
    // if they are empty: then they are made again
    fn make(&self, cgroup: &Path) -> anyhow::Result<PathBuf> {
        if cgroup.components().any(|part| part == Component::ParentDir) {
            bail!("linux.cgroupsPath: {} has \"..\"", cgroup.display());
        }
        let directory = self.directory(cgroup);
        for _ in 0..ATTEMPTS {
            match self.make_all(&directory) {
                Err(error) if is_missing(&error) => {}
                other => return other.map(|()| directory),
            }
        }
        bail!("mkdir {}: the directories above it come and go", directory.display())
    }

    fn make_all(&self, directory: &Path) -> anyhow::Result<()> {
        let below = directory.strip_prefix(&self.point).unwrap_or(directory);
        let mut at = self.point.clone();
        for part in below.components() {
            at.push(part);
            match fs::create_dir(&at) {
                Ok(()) if at != directory => mark(&at),
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("mkdir {}", at.display()));
                }
                _ => {}
            }
            if self.controllers.contains(&"cpuset") {
                inherit_cpuset(&at)?;
            }
        }
        Ok(())
    }

    /// Removes a cgroup's directory, and those above it that brig has made and that are empty.
    /// False where something is in the way.
    fn remove(&self, cgroup: &Path) -> bool {
        let mut at = self.directory(cgroup);
        match fs::remove_dir(&at) {
            Err(error) if error.kind() != ErrorKind::NotFound => return false,
            _ => {}
        }
        while at.pop() && at != self.point && is_marked(&at) {
            // another container has it: it will be the one that removes it
            if fs::remove_dir(&at).is_err() {
                break;
            }
        }
        true
    }
}

/// How often directories are made again.
const ATTEMPTS: u32 = 20;

/// What says of a directory that brig made it on the way to a container's.
const MARK: &str = "trusted.brig";

fn mark(directory: &Path) {
    let flags = rustix::fs::XattrFlags::empty();
    if let Err(error) = rustix::fs::setxattr(directory, MARK, b"1", flags) {
        // then it stays when it is empty
        tracing::debug!("mark {}: {error}", directory.display());
    }
}

fn is_marked(directory: &Path) -> bool {
    rustix::fs::getxattr(directory, MARK, &mut [0_u8; 8][..]).is_ok()
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|one| one.kind() == ErrorKind::NotFound)
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
    let mut directories = Directories { all: Vec::new(), devices: None };
    for hierarchy in mounted()? {
        let directory = hierarchy.make(cgroup)?;
        if hierarchy.controllers.contains(&"devices") {
            directories.devices = Some(directory.clone());
        }
        directories.all.push(directory);
    }
    Ok(directories)
}

impl Directories {
    /// Applies the rules of `linux.resources.devices`.
    ///
    /// # Errors
    ///
    /// The kernel's, with the rule; there is no controller for them.
    pub fn restrict_devices(&self, rules: &[LinuxDeviceCgroup]) -> anyhow::Result<()> {
        let Some(directory) = &self.devices else {
            bail!("linux.resources.devices: this host has no hierarchy of cgroups for them");
        };
        let write = |file: &str, rule: &str| {
            let file = directory.join(file);
            fs::write(&file, rule).with_context(|| format!("write {rule:?} to {}", file.display()))
        };
        for rule in rules {
            let file = if rule.allow() { "devices.allow" } else { "devices.deny" };
            write(file, &rule.to_string())?;
        }
        DEVICES.iter().try_for_each(|rule| write("devices.allow", rule))
    }

    /// Moves the calling process, which has one thread.
    ///
    /// # Errors
    ///
    /// The kernel's, with the path.
    pub fn enter(&self) -> anyhow::Result<()> {
        for directory in &self.all {
            let tasks = directory.join("tasks");
            fs::write(&tasks, "0").with_context(|| format!("enter {}", tasks.display()))?;
        }
        Ok(())
    }
}

/// What may be used in every container: the devices that the specification has in each, terminals,
/// tun, and making nodes. As in runc and libcgroups, it comes after the specification's rules.
const DEVICES: [&str; 12] = [
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 5:0 rwm",
    "c 1:9 rwm",
    "c 1:8 rwm",
    "c *:* m",
    "b *:* m",
    "c 5:1 rwm",
    "c 136:* rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
];

/// Removes a cgroup that has no processes; false where something is in the way.
///
/// # Errors
///
/// The mount table cannot be read.
pub fn remove(cgroup: &Path) -> anyhow::Result<bool> {
    let mut is_gone = true;
    for hierarchy in mounted()? {
        is_gone &= hierarchy.remove(cgroup);
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
