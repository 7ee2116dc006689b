// SPDX-License-Identifier: Apache-2.0
//! This host as a target of the compiler: what create needs to know, and no more.

use anyhow::anyhow;
use brig_policy::seccomp::Arch;
use brig_policy::survey::Placement;
use brig_policy::target::{Landlock, Limits, Target};

use crate::survey;
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

/// What a container that names no cgroup can be limited in.
fn limits() -> Limits {
    let cgroups = survey::cgroups();
    cgroups.limits(&Placement::decide(&cgroups, survey::situation()))
}
