// SPDX-License-Identifier: Apache-2.0
//! The process's own environment.

/// Removes a variable from the process's environment.
///
/// To be called at the beginning of `main`, while there is one thread.
pub fn remove(name: &str) {
    // SAFETY: remove_var races with other threads that use the environment; there are none yet.
    unsafe { std::env::remove_var(name) };
}
