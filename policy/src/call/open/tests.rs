// SPDX-License-Identifier: Apache-2.0
//! What the old calls drop, openat2(2) refuses.

use super::flags::{O_APPEND, O_EXCL, O_NOFOLLOW, O_NONBLOCK};
use super::*;

const WIDE: Layout = Layout::Bits64;
const UNKNOWN: u64 = 1 << 31;

fn how(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn openat2(flags: u64, mode: u64, resolve: u64) -> Result<Open, Errno> {
    parse(WIDE, &how(&[flags, mode, resolve]))
}

#[test]
fn the_old_calls_drop_what_they_do_not_know() {
    let open = old(WIDE, UNKNOWN | 1 << 40 | O_RDWR, 0o1_7777).unwrap();
    assert_eq!((open.flags(), open.mode()), (O_RDWR | O_LARGEFILE, 0));
    assert_eq!(old(WIDE, O_CREAT, 0o17_7777).unwrap().mode(), 0o7777);
    assert_eq!(old(Layout::Bits32, O_RDWR, 0).unwrap().flags(), O_RDWR);
}

#[test]
fn o_path_beats_everything_else_in_the_old_calls_alone() {
    let flags = O_PATH | O_CREAT | O_TRUNC | O_RDWR | O_NOFOLLOW | O_NONBLOCK;
    let open = old(WIDE, flags, 0o600).unwrap();
    assert_eq!((open.flags(), open.mode()), (O_PATH | O_NOFOLLOW, 0));
    assert_eq!(openat2(flags, 0o600, 0), Err(Errno::EINVAL));
    assert_eq!(
        openat2(O_PATH | O_NOFOLLOW, 0, 0).map(|open| open.flags()),
        Ok(O_PATH | O_NOFOLLOW)
    );
}

#[test]
fn openat2_refuses_what_is_not_known_or_means_nothing() {
    for (flags, mode, resolve) in [
        (UNKNOWN, 0, 0),
        (1 << 40, 0, 0),
        (0, 0, 0x40),
        (0, 0, resolve::BENEATH | resolve::IN_ROOT),
        (0, 0o600, 0),
        (O_CREAT, 0o1_0000, 0),
        (O_CREAT | O_DIRECTORY, 0, 0),
        (TMPFILE | O_RDWR, 0, 0),
        (TMPFILE | O_DIRECTORY, 0, 0),
    ] {
        assert_eq!(openat2(flags, mode, resolve), Err(Errno::EINVAL), "{flags:o} {mode:o}");
    }
    assert!(openat2(TMPFILE | O_DIRECTORY | O_RDWR, 0o600, resolve::BENEATH).is_ok());
    assert_eq!(openat2(O_CREAT, 0o600, resolve::CACHED), Err(Errno::EAGAIN));
}

#[test]
fn a_longer_structure_is_zero_where_it_is_longer() {
    assert!(parse(WIDE, &how(&[0, 0, 0, 0, 0])).is_ok());
    assert_eq!(parse(WIDE, &how(&[0, 0, 0, 0, 1])), Err(Errno::E2BIG));
    let plan = |size| plan(WIDE, Pointer(4096), size).map(|span| span.length());
    assert_eq!(plan(0), Err(Errno::EINVAL));
    assert_eq!(plan(23), Err(Errno::EINVAL));
    assert_eq!(plan(24), Ok(24));
    assert_eq!(plan(4096), Ok(4096));
    assert_eq!(plan(4097), Err(Errno::E2BIG));
    assert_eq!(plan(u64::MAX), Err(Errno::E2BIG));
}

#[test]
fn flags_ask_for_what_they_permit() {
    let access = |flags| {
        let access = old(WIDE, flags, 0).unwrap().access();
        [access.read, access.write, access.create, access.truncate].map(|it| it == Asked::Yes)
    };
    assert_eq!(access(0), [true, false, false, false]);
    assert_eq!(access(O_WRONLY | O_APPEND), [false, true, false, false]);
    assert_eq!(access(O_RDWR), [true, true, false, false]);
    assert_eq!(access(O_ACCMODE), [true, true, false, false]);
    assert_eq!(access(O_TRUNC), [true, true, false, true]);
    assert_eq!(access(O_CREAT | O_EXCL), [true, false, true, false]);
    assert_eq!(access(O_PATH | O_CREAT | O_RDWR), [false; 4]);
    assert_eq!(access(TMPFILE | O_DIRECTORY | O_WRONLY), [false, true, true, false]);
}

#[test]
fn creat_truncates_what_it_does_not_make() {
    let access = creat(WIDE, 0o644).unwrap().access();
    assert_eq!((access.create, access.truncate, access.read), (Asked::Yes, Asked::Yes, Asked::No));
}
