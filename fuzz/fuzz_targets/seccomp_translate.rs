// SPDX-License-Identifier: Apache-2.0
//! `cargo fuzz run seccomp_translate fuzz/seeds/seccomp_translate`
#![no_main]

#[path = "../checks/seccomp_translate.rs"]
mod seccomp_translate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| seccomp_translate::check(data));
