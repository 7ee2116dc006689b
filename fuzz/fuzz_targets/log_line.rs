// SPDX-License-Identifier: Apache-2.0
//! `cargo fuzz run log_line fuzz/seeds/log_line`
#![no_main]

#[path = "../checks/log_line.rs"]
mod log_line;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    log_line::check(data);
});
