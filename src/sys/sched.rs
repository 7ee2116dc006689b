// SPDX-License-Identifier: Apache-2.0
//! Waiting for another thread of the same process without a system call that a filter could see.

use std::sync::atomic::{AtomicI64, Ordering};

/// Spins until `cell` is something else than `while_it_is`, and returns that. Makes no system call.
pub fn spin_until_changed(cell: &AtomicI64, while_it_is: i64) -> i64 {
    loop {
        let value = cell.load(Ordering::Acquire);
        if value != while_it_is {
            return value;
        }
        std::hint::spin_loop();
    }
}
