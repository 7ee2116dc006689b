// SPDX-License-Identifier: Apache-2.0
//! The fuzz target of the calls' decoders over its seeds, over bytes of a fixed generator, and as
//! properties that shrink.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests read their seeds

#[path = "../../fuzz/checks/call_decode.rs"]
mod call_decode;

use std::path::PathBuf;

use brig_policy::call::{Layout, control, time};
use proptest::prelude::*;

fn item() -> impl Strategy<Value = control::Item> {
    let rights = prop::collection::vec(any::<i32>(), 0..50).prop_map(control::Item::Rights);
    let credentials = (any::<i32>(), any::<u32>(), any::<u32>())
        .prop_map(|(pid, uid, gid)| control::Item::Credentials { pid, uid, gid });
    let data = prop::collection::vec(any::<u8>(), 0..40);
    let other = (2..300i32, any::<i32>(), data)
        .prop_map(|(level, kind, data)| control::Item::Other { level, kind, data });
    prop_oneof![rights, credentials, other]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_make_a_decoder_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        call_decode::check(&bytes);
    }

    #[test]
    fn control_data_is_read_as_it_was_written(items in prop::collection::vec(item(), 0..5)) {
        prop_assert_eq!(control::parse(Layout::Bits64, &control::encode(&items)), Ok(items));
    }

    #[test]
    fn times_are_read_as_they_were_written(pair in any::<[(i64, u32); 2]>()) {
        let written = pair.map(|(seconds, nanoseconds)| (seconds, nanoseconds % 1_000_000_000));
        let bytes: Vec<u8> = written
            .iter()
            .flat_map(|(seconds, fraction)| [*seconds, i64::from(*fraction)])
            .flat_map(i64::to_ne_bytes)
            .collect();
        let times = time::parse(Layout::Bits64, time::Form::Timespec, &bytes).unwrap();
        let at = written.map(|(seconds, nanoseconds)| time::Time::At { seconds, nanoseconds });
        prop_assert_eq!([times.accessed, times.modified], at);
    }
}

fn seeds() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/call_decode");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut seeds: Vec<_> =
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    seeds
}

#[test]
fn every_seed_is_decoded() {
    for (path, bytes) in seeds() {
        assert!(call_decode::check(&bytes), "{}", path.display());
    }
}

#[test]
fn seeds_with_mistakes_do_no_harm() {
    // A linear congruential generator: the same mistakes in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = move |limit: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::from(u16::from_be_bytes([state.to_be_bytes()[0], state.to_be_bytes()[1]])) % limit
    };
    let (mut decoded, mut rounds) = (0, 0);
    for (_, seed) in seeds() {
        for _ in 0..400 {
            let mut bytes = seed.clone();
            for _ in 0..=below(3) {
                let place = below(bytes.len());
                bytes[place] = [0, 1, 0x7f, 0x80, 0xff, bytes[place].wrapping_add(1)][below(6)];
            }
            bytes.truncate(seed.len() - below(4) / 3 * below(seed.len()));
            decoded += usize::from(call_decode::check(&bytes));
            rounds += 1;
        }
    }
    assert!(decoded * 3 > rounds && decoded < rounds, "{decoded} of {rounds} were decoded");
}
