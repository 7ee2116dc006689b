// SPDX-License-Identifier: Apache-2.0
//! `cargo fuzz run net_match fuzz/seeds/net_match`
#![no_main]

#[path = "../checks/path_match.rs"]
mod path_match;
#[path = "../checks/net_match.rs"]
mod net_match;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    net_match::check(data);
});
