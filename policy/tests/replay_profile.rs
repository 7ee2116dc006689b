// SPDX-License-Identifier: Apache-2.0
//! The fuzz target of the profile parser over its seeds, over every profile of the
//! other tests, and over those with bytes changed.
#![allow(clippy::disallowed_methods)] // a test reads its seeds

#[path = "../../fuzz/checks/profile_parse.rs"]
mod profile_parse;

use std::path::{Path, PathBuf};

fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Vec::new();
    for directory in ["../fuzz/seeds/profile_parse", "../profiles"] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                seeds.push((path, bytes));
            }
        }
    }
    seeds.sort();
    seeds
}

#[test]
fn every_seed_is_read_shown_and_printed() {
    let seeds = seeds();
    assert!(seeds.len() >= 20, "{}", seeds.len());
    for (path, bytes) in seeds {
        println!("{}", path.display());
        profile_parse::check(&bytes);
    }
}

#[test]
fn every_seed_with_bytes_changed_is_read_shown_and_printed() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let interesting = b"\"'\\[]{}=,.#\n*?$@:/-0\x00\x7f\x80\xff";
    let rounds = if cfg!(debug_assertions) { 6 } else { 200 };
    for (_, bytes) in seeds().into_iter().filter(|(_, bytes)| bytes.len() < 5000) {
        for _ in 0..rounds {
            let mut changed = bytes.clone();
            for _ in 0..=next(3) {
                let at = next(changed.len());
                match next(4) {
                    0 => changed.truncate(at),
                    1 if at < changed.len() => drop(changed.remove(at)),
                    2 => changed.insert(at, interesting[next(interesting.len())]),
                    _ if at < changed.len() => changed[at] = interesting[next(interesting.len())],
                    _ => {}
                }
            }
            profile_parse::check(&changed);
        }
    }
}
