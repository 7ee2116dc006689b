// SPDX-License-Identifier: Apache-2.0
//! Seccomp: from the OCI specification's `linux.seccomp` to one classic BPF program.
