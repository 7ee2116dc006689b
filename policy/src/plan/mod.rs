// SPDX-License-Identifier: Apache-2.0
//! From a policy to what enforces it.

pub mod files;
mod landlock;

pub use landlock::{Rights, Truncation};
