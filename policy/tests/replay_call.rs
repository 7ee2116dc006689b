// SPDX-License-Identifier: Apache-2.0
//! The fuzz target of the calls' decoders over its seeds, over bytes of a fixed generator, and as
//! properties that shrink.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // tests read their seeds

#[path = "../../fuzz/checks/call_decode.rs"]
mod call_decode;

use std::collections::BTreeSet;
use std::path::PathBuf;

use brig_policy::call::{Layout, control, files, sockets, time};
use brig_policy::seccomp::{Arch, Syscall, Width};
use call_decode::registers::{FILES, SOCKETS};
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
fn every_decoder_has_a_seed_in_each_layout_that_it_looks_at() {
    let seeds = seeds();
    let reached = |decoder, layouts: &[u8]| {
        layouts.iter().all(|layout| seeds.iter().any(|(_, seed)| seed[..2] == [decoder, *layout]))
    };
    for decoder in 0..call_decode::DECODERS {
        // addresses, structures that say how long they are, and texts are the same in both
        let layouts: &[u8] = if matches!(decoder, 0 | 4 | 7 | 8 | 12..) { &[0] } else { &[0, 1] };
        assert!(reached(decoder, layouts), "{decoder} in {layouts:?}");
    }
}

#[test]
fn every_call_that_is_decoded_is_checked() {
    let named = |list: &[(&'static str, &str, u64)]| {
        list.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>()
    };
    let all = |known: fn(Syscall) -> bool| {
        Syscall::all().filter(|call| known(*call)).map(Syscall::name).collect::<BTreeSet<_>>()
    };
    assert_eq!(named(FILES), all(files::is_known));
    let decoded = |call| sockets::decode(call, &[0; 6], Layout::Bits64).is_some();
    assert_eq!(named(SOCKETS), all(decoded));
}

#[test]
fn registers_are_checked_at_the_widths_of_the_kernels_headers() {
    for (name, registers, _) in FILES.iter().chain(SOCKETS) {
        let call = Syscall::from_name(name).unwrap();
        let natives = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64];
        for arch in natives.into_iter().filter(|arch| call.number(*arch).is_some()) {
            for (index, register) in (0..).zip(registers.bytes()) {
                let expected = match register {
                    b'm' | b'p' => Width::Bits16,
                    b'w' => Width::Bits64,
                    _ => Width::Bits32,
                };
                assert_eq!(call.width(arch, index), expected, "{name} {index} {arch:?}");
            }
        }
    }
}

#[test]
fn every_call_is_decoded_whatever_its_registers_are() {
    const VALUES: [u64; 7] = [0, 1, 6, 0x1000, 0xffff_ff9c, 0x1234_5678_9abc_def0, u64::MAX];
    for (decoder, list) in [(10, FILES), (11, SOCKETS)] {
        for (number, (name, registers, flags)) in (0..).zip(list) {
            let value = |place: usize, turn: usize| match registers.as_bytes().get(place) {
                Some(b'f') => VALUES[turn] & flags,
                _ => VALUES[(place + turn) % VALUES.len()],
            };
            let input = |layout, turn| {
                let registers = (0..6).flat_map(|place| value(place, turn).to_le_bytes());
                [decoder, layout, number].into_iter().chain(registers).collect::<Vec<u8>>()
            };
            let inputs = (0..VALUES.len()).flat_map(|turn| [input(0, turn), input(1, turn)]);
            let decoded = inputs.filter(|bytes| call_decode::check(bytes)).count();
            assert!(decoded >= 8, "{name}: {decoded}");
        }
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
