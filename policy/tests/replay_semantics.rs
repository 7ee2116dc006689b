// SPDX-License-Identifier: Apache-2.0
//! The fuzz targets of matching, and of the log, over their seeds, and over bytes of a fixed generator.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests read their seeds

#[path = "../../fuzz/checks/log_line.rs"]
mod log_line;
#[path = "../../fuzz/checks/net_match.rs"]
mod net_match;
#[path = "../../fuzz/checks/path_match.rs"]
mod path_match;

fn seeds(target: &str, check: fn(&[u8]) -> bool) {
    let directory = format!("{}/../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        assert!(check(&std::fs::read(&path).unwrap()), "{} says nothing", path.display());
    }
}

/// Bytes of a linear congruential generator, the same in every run; how many said something.
fn arbitrary(check: fn(&[u8]) -> bool, rounds: usize) -> usize {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut byte = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    let inputs = (0..rounds).map(|_| {
        let length = usize::from(byte()) % 60;
        std::iter::once(1).chain((0..length).map(|_| byte())).collect::<Vec<u8>>()
    });
    inputs.collect::<Vec<_>>().iter().filter(|input| check(input)).count()
}

#[test]
fn the_seeds_of_path_matching_match_as_the_naive_matcher_does() {
    seeds("path_match", path_match::check);
}

#[test]
fn the_seeds_of_address_matching_match_as_trying_each_rule_does() {
    seeds("net_match", net_match::check);
}

#[test]
fn arbitrary_patterns_match_as_the_naive_matcher_does() {
    assert!(arbitrary(path_match::check, 800) > 300);
}

#[test]
fn arbitrary_addresses_match_as_trying_each_rule_does() {
    assert!(arbitrary(net_match::check, 5_000) > 1_000);
}

#[test]
fn the_seeds_of_the_log_are_printable_lines() {
    seeds("log_line", log_line::check);
}

#[test]
fn arbitrary_bytes_are_printable_lines_of_the_log() {
    assert!(arbitrary(log_line::check, 5_000) > 1_000);
}
