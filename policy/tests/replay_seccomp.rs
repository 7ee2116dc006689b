// SPDX-License-Identifier: Apache-2.0
//! The fuzz target of the seccomp translation over its seeds, over bytes of a fixed generator, and
//! as a property that shrinks.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests read their seeds

#[path = "../../fuzz/checks/seccomp_translate.rs"]
mod seccomp_translate;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_policy_never_loosens_a_specification(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        seccomp_translate::check(&bytes);
    }
}

#[test]
fn every_seed_is_translated_to_what_it_means() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/seccomp_translate");
    let mut paths: Vec<_> = std::fs::read_dir(seeds).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let compiled = seccomp_translate::examine(&std::fs::read(&path).unwrap());
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        assert!(compiled || !is_json || path.ends_with("broken.json"), "{}", path.display());
    }
}

#[test]
fn arbitrary_bytes_are_translated_to_what_they_mean() {
    // A linear congruential generator: the same bytes in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut compiled = 0;
    let rounds = if cfg!(debug_assertions) { 150 } else { 3000 };
    for _ in 0..rounds {
        let bytes: Vec<u8> = (0..160)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()[0]
            })
            .collect();
        compiled += usize::from(seccomp_translate::examine(&bytes));
    }
    assert!(compiled * 2 > rounds, "only {compiled} of {rounds} inputs got past the parser");
}
