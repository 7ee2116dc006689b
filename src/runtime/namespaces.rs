// SPDX-License-Identifier: Apache-2.0
//! The namespaces of a running container, for a process that is added to it.
//!
//! They are opened before anything is joined: afterwards `/proc/PID/ns` may be out of reach. Every
//! one that differs from brig's own is joined, the user namespace included.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use libcontainer::oci_spec::runtime::{LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType};
use rustix::fs::{Mode, OFlags, open};

/// The names in /proc/PID/ns, with their types.
const KINDS: [(&str, LinuxNamespaceType); 7] = [
    ("user", LinuxNamespaceType::User),
    ("pid", LinuxNamespaceType::Pid),
    ("uts", LinuxNamespaceType::Uts),
    ("ipc", LinuxNamespaceType::Ipc),
    ("net", LinuxNamespaceType::Network),
    ("cgroup", LinuxNamespaceType::Cgroup),
    ("mnt", LinuxNamespaceType::Mount),
];

/// Opened namespaces, as libcontainer takes them.
#[derive(Debug)]
pub struct Opened {
    /// For `linux.namespaces`: paths of the descriptors below.
    pub namespaces: Vec<LinuxNamespace>,
    /// Kept open until the process has been added; in the order of `namespaces`.
    descriptors: Vec<OwnedFd>,
}

impl Opened {
    /// The user namespace, where it is not brig's own.
    #[must_use]
    pub fn user(&self) -> Option<BorrowedFd<'_>> {
        let at = self.namespaces.iter().position(|one| one.typ() == LinuxNamespaceType::User)?;
        self.descriptors.get(at).map(AsFd::as_fd)
    }
}

/// Opens the namespaces of a process.
///
/// # Errors
///
/// One cannot be opened, or brig's own cannot be read.
pub fn of(pid: i32) -> anyhow::Result<Opened> {
    refuse_time_namespace(pid)?;
    let mut opened = Opened { namespaces: Vec::new(), descriptors: Vec::new() };
    for (name, kind) in KINDS {
        let path = format!("/proc/{pid}/ns/{name}");
        let own = fs::metadata(format!("/proc/self/ns/{name}")).context("own namespaces")?;
        let theirs = fs::metadata(&path).with_context(|| format!("stat {path}"))?;
        if own.ino() == theirs.ino() {
            continue;
        }
        let descriptor = open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("open {path}"))?;
        let link = PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
        let namespace = LinuxNamespaceBuilder::default().typ(kind).path(link).build()?;
        opened.namespaces.push(namespace);
        opened.descriptors.push(descriptor);
    }
    Ok(opened)
}

/// libcontainer cannot join one: a process in another would not be in the container.
fn refuse_time_namespace(pid: i32) -> anyhow::Result<()> {
    let link = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/time"));
    match (link("self"), link(&pid.to_string())) {
        (Ok(own), Ok(theirs)) if own != theirs => {
            bail!("the container has a time namespace of its own: that is not supported")
        }
        _ => Ok(()),
    }
}
