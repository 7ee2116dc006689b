// SPDX-License-Identifier: Apache-2.0
//! brig's policy compiler: what a container may do, from text to data.
//!
//! The crate is pure. It reads no file, no environment and no clock, starts no
//! thread, draws no random number and has no `unsafe` code; equal arguments give
//! equal results, byte for byte. Everything that it knows about a host is given
//! to it as data.

#![forbid(unsafe_code)]

pub mod call;
pub mod config;
pub mod decide;
pub mod diagnostics;
pub mod diff;
pub mod explain;
pub mod log;
pub mod net;
pub mod path;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod seccomp;
pub mod spec;
pub mod survey;
pub mod target;
