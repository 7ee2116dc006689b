// SPDX-License-Identifier: Apache-2.0
//! `cargo fuzz run call_decode fuzz/seeds/call_decode`
#![no_main]

#[path = "../checks/call_decode.rs"]
mod call_decode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    call_decode::check(data);
});
