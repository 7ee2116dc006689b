// SPDX-License-Identifier: Apache-2.0
//! This host as a target of the compiler: what create needs to know, and no more.

use anyhow::anyhow;
use brig_policy::seccomp::Arch;
use brig_policy::target::{Landlock, Limits, Target};

use crate::sys::landlock;

/// This host.
///
/// # Errors
///
/// It is of no architecture that brig knows.
pub fn this_host() -> anyhow::Result<Target> {
    let arch = Arch::of_build()
        .ok_or_else(|| anyhow!("no table of system calls for this architecture"))?;
    let landlock = landlock::abi().ok().filter(|abi| *abi > 0);
    Ok(Target {
        kernel: kernel_version(),
        arch,
        landlock: landlock
            .map(|abi| Landlock { abi, errata: landlock::errata().unwrap_or_default() }),
        limits: limits(),
    })
}

/// The first two numbers of uname(2)'s release. What cannot be read counts as old: fewer entries
/// of a profile apply then.
#[must_use]
pub fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut parts = release.split(|one: char| !one.is_ascii_digit()).map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}

/// The controllers of the hierarchies that this host has: cgroups(7).
fn limits() -> Limits {
    let v2 = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let v1 = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_v1 = |name: &str| {
        let lists = v1.lines().filter_map(|line| line.split(':').nth(1));
        lists.flat_map(|list| list.split(',')).any(|one| one == name)
    };
    let has = |name: &str| v2.split_whitespace().any(|one| one == name) || of_v1(name);
    Limits { processes: has("pids"), memory: has("memory") }
}
