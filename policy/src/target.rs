// SPDX-License-Identifier: Apache-2.0
//! The target: what a host can do, as data.
//!
//! The compiler takes it as an argument and looks at nothing itself, so every kernel's plan can be
//! made on any kernel. `brig doctor` prints it; the survey of the host fills it in.

use serde::{Deserialize, Serialize};

use crate::seccomp::Arch;

/// What the compiler needs to know of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The first two numbers of the kernel's version.
    pub kernel: (u32, u32),
    /// The machine's architecture.
    pub arch: Arch,
    /// Landlock; `None`: the kernel has none, or it is switched off.
    pub landlock: Option<Landlock>,
    /// What containers' cgroups can limit.
    pub limits: Limits,
}

/// What the kernel's Landlock can do: landlock(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landlock {
    /// The ABI.
    pub abi: u32,
    /// The errata that are fixed, as bits; 0 where the kernel does not tell.
    pub errata: u32,
}

/// What the cgroup of a container can limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Whether the number of tasks can be limited (the controller `pids`).
    pub processes: bool,
    /// Whether memory can be limited (the controller `memory`).
    pub memory: bool,
}
