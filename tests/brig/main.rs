// SPDX-License-Identifier: Apache-2.0
//! brig against a real kernel, as root.
//!
//! Each test has a directory, a `--root` and a tag of its own, and is followed by a search for what it
//! left behind. They are made for cargo-nextest, which gives every test its own process: the process is
//! a subreaper, so that whatever brig leaves running becomes its child and is found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod agreement;
mod attacks;
mod beside_runc;
mod cgroups;
mod checkpoint;
mod commands;
mod confinement;
mod conformance;
mod doctor;
mod engines;
mod exec;
mod executable;
mod files;
mod floods;
mod grants;
#[allow(dead_code, unused_imports)]
mod harness;
mod hooks;
mod hostile;
mod inside;
mod lifecycle;
mod log;
mod malformed;
mod mounts;
mod namespaces;
mod network;
mod profiles;
mod reach;
mod regions;
mod residue;
mod rootless;
mod seccomp;
mod sinks;
mod soak;
mod stalled;
mod supervisor;
mod tty;
mod workload;
