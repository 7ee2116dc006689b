// SPDX-License-Identifier: Apache-2.0
//! The probes of the survey: what this host has for this caller, as facts.
//!
//! One file per family. They draw no conclusions: `brig_policy::survey` does. What has to be tried
//! is tried in a child ([`child`]) with namespaces of its own, so that nothing changes and nothing
//! is left: no mount, no cgroup, no process. (A first overlay may have the kernel load a module.) A
//! probe that cannot be made is a fact, not an error.

mod caller;
mod cgroup;
mod child;
mod files;
mod kernel;
mod landlock;
mod libseccomp;
mod namespaces;
mod overlay;
mod seccomp;

use brig_policy::survey::{Situation, Survey};

pub use cgroup::cgroups;

/// Surveys this host.
///
/// To be called while the process has one thread: children are forked.
#[must_use]
pub fn survey() -> Survey {
    let caller = caller::caller();
    Survey {
        kernel: kernel::kernel(),
        container: caller::container(),
        namespaces: namespaces::kinds(),
        user_namespaces: namespaces::user(),
        cgroups: cgroup::cgroups(),
        landlock: landlock::landlock(),
        seccomp: seccomp::seccomp(),
        overlay: overlay::overlay(&caller),
        devices: files::devices(),
        programs: files::programs(),
        systemd: std::path::Path::new("/run/systemd/system").is_dir(),
        caller,
    }
}

/// What decides where cgroups go, beside the [`cgroups`] themselves.
#[must_use]
pub fn situation() -> Situation {
    Situation::of(&caller::caller(), &caller::container())
}
