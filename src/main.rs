// SPDX-License-Identifier: Apache-2.0
//! brig: a hardened OCI container runtime.

fn main() {}
