// SPDX-License-Identifier: Apache-2.0
//! `cargo fuzz run profile_parse fuzz/seeds/profile_parse`
#![no_main]

#[path = "../checks/profile_parse.rs"]
#[allow(dead_code)] // the replay test uses more of it
mod profile_parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| profile_parse::check(data));
