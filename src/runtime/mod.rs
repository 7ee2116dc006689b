// SPDX-License-Identifier: Apache-2.0
//! The OCI lifecycle on libcontainer.
//!
//! The specification is loaded once, rewritten in memory by `brig_policy::spec` and given to
//! libcontainer, which makes namespaces, mounts and cgroups. The last steps before the workload's
//! program are brig's own: [`executor`]. What later commands need is kept in the state directory:
//! [`state`].

pub mod agent;
pub mod cgroup;
pub mod chain;
pub mod compiled;
pub mod console;
pub mod create;
pub mod domain;
pub mod exec;
pub mod executable;
pub mod executor;
pub mod foreground;
pub mod handover;
pub mod hierarchies;
pub mod home;
pub mod huge_pages;
pub mod labels;
pub mod launcher;
pub mod namespaces;
pub mod plan;
pub mod policy;
pub mod prepare;
pub mod process;
pub mod rootfs;
pub mod seal;
pub mod staging;
pub mod start;
pub mod state;
pub mod target;
pub mod unprivileged;
pub mod user_namespace;

use std::path::PathBuf;

/// What every command is given: the global options, resolved.
#[derive(Clone, Debug)]
pub struct Context {
    /// The directory that has one directory per container.
    pub root: PathBuf,
    /// Who makes cgroups.
    pub cgroup_manager: cgroup::ManagerKind,
    /// Names of system calls that the supervisor is to continue; for tests of its seat.
    pub mediated_for_testing: Vec<String>,
    /// How profiles are chosen.
    pub profiles: crate::profiles::choose::Options,
}
