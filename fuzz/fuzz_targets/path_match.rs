// SPDX-License-Identifier: Apache-2.0
//! `cargo fuzz run path_match fuzz/seeds/path_match`
#![no_main]

#[path = "../checks/path_match.rs"]
mod path_match;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    path_match::check(data);
});
