// SPDX-License-Identifier: Apache-2.0
//! Who asks, and whether from within a container.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use brig_policy::survey::{Caller, Signs};
use rustix::process::{Resource, getrlimit};

use crate::runtime::cgroup::in_user_namespace;
use crate::runtime::launcher::status_mask;

/// The inode numbers of the host's namespaces, `enum proc_ns_ino_t` of linux/proc_ns.h; the other
/// kinds have none that is the same on every kernel.
const HOSTS: [(&str, u64); 4] =
    [("cgroup", 0xEFFF_FFFB), ("ipc", 0xEFFF_FFFF), ("pid", 0xEFFF_FFFC), ("uts", 0xEFFF_FFFE)];

/// Files that engines put into their containers: Docker, Podman, systemd-nspawn and LXC.
const MARKERS: [&str; 3] = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];

/// The caller.
pub fn caller() -> Caller {
    Caller {
        uid: rustix::process::geteuid().as_raw(),
        in_user_namespace: in_user_namespace(),
        // without /proc nothing works, and nothing is what is assumed
        effective: status_mask("CapEff").unwrap_or_default(),
        locked_memory: getrlimit(Resource::Memlock).maximum,
    }
}

/// What says that this is a container.
///
/// An environment variable says nothing: anybody sets one.
#[must_use]
pub fn container() -> Signs {
    let is_foreign = |(kind, host): &(&str, u64)| {
        let found = fs::metadata(format!("/proc/self/ns/{kind}"));
        found.is_ok_and(|found| found.ino() != *host)
    };
    let foreign = HOSTS.into_iter().filter(is_foreign);
    let marker = MARKERS.into_iter().find(|file| Path::new(file).exists());
    Signs {
        namespaces: foreign.map(|(kind, _)| kind.to_owned()).collect(),
        marker: marker.map(str::to_owned),
    }
}
