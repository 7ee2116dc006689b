// SPDX-License-Identifier: Apache-2.0
//! Control data: the edges of its format, and what its items can do.

use super::*;
use crate::call::address::Destination;

/// An item as a caller lays it out, with a length of its own choice.
fn raw(layout: Layout, length: u64, level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
    let mut bytes = match layout {
        Layout::Bits64 => length.to_ne_bytes().to_vec(),
        Layout::Bits32 => u32::try_from(length & 0xffff_ffff).unwrap().to_ne_bytes().to_vec(),
    };
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(data);
    bytes
}

fn rights(layout: Layout, count: usize) -> Vec<u8> {
    let length = header(layout) + 4 * count;
    let mut bytes = raw(layout, length as u64, SOL_SOCKET, SCM_RIGHTS, &vec![0; 4 * count]);
    bytes.resize(bytes.len().next_multiple_of(layout.word()), 0);
    bytes
}

const LAYOUTS: [Layout; 2] = [Layout::Bits64, Layout::Bits32];

#[test]
fn items_follow_each_other_at_the_alignment_of_the_layout() {
    for layout in LAYOUTS {
        let bytes = [rights(layout, 1), rights(layout, 2)].concat();
        let expected = [Item::Rights(vec![0]), Item::Rights(vec![0, 0])];
        assert_eq!(parse(layout, &bytes).as_deref(), Ok(&expected[..]), "{layout:?}");
    }
}

#[test]
fn a_length_that_is_too_short_or_too_long_is_refused() {
    for layout in LAYOUTS {
        let least = header(layout) as u64;
        for length in [0, 1, least - 1, least + 1, u64::from(u32::MAX), u64::MAX] {
            let bytes = raw(layout, length, 0, 1, &[]);
            assert_eq!(parse(layout, &bytes), Err(Errno::EINVAL), "{layout:?} {length}");
        }
        assert!(parse(layout, &raw(layout, least, 0, 1, &[])).is_ok());
    }
}

#[test]
fn what_is_too_short_for_a_header_is_a_mistake_of_32_bit_callers_alone() {
    for count in 1..12 {
        let rest = vec![0xff; count];
        assert_eq!(parse(Layout::Bits64, &rest), Ok(Vec::new()));
        assert_eq!(parse(Layout::Bits32, &rest), Err(Errno::EINVAL));
        let after = |layout| parse(layout, &[rights(layout, 2), rest.clone()].concat());
        assert_eq!(after(Layout::Bits64).map(|items| items.len()), Ok(1));
        assert_eq!(after(Layout::Bits32), Err(Errno::EINVAL));
    }
}

#[test]
fn a_message_has_253_descriptors_at_most() {
    for layout in LAYOUTS {
        assert!(parse(layout, &rights(layout, 253)).is_ok());
        assert_eq!(parse(layout, &rights(layout, 254)), Err(Errno::EINVAL));
        let several = [rights(layout, 200), rights(layout, 54)].concat();
        assert_eq!(parse(layout, &several), Err(Errno::EINVAL));
    }
}

#[test]
fn what_is_no_whole_descriptor_is_ignored_and_credentials_are_whole() {
    let layout = Layout::Bits64;
    let odd = raw(layout, 16 + 7, SOL_SOCKET, SCM_RIGHTS, &[0; 7]);
    assert_eq!(parse(layout, &odd), Ok(vec![Item::Rights(vec![0])]));
    let credentials = |count: usize| {
        let data = vec![0; count];
        parse(layout, &raw(layout, (16 + count) as u64, SOL_SOCKET, SCM_CREDENTIALS, &data))
    };
    assert_eq!(credentials(12), Ok(vec![Item::Credentials { pid: 0, uid: 0, gid: 0 }]));
    assert_eq!(credentials(11), Err(Errno::EINVAL));
    assert_eq!(credentials(16), Err(Errno::EINVAL));
}

#[test]
fn no_more_is_copied_than_a_socket_may_have() {
    let plan = |length| plan(Layout::Bits64, Pointer(4096), length).map(|s| s.map(|s| s.length()));
    assert_eq!(plan(0), Ok(None));
    assert_eq!(plan(LONGEST as u64), Ok(Some(LONGEST)));
    assert_eq!(plan(LONGEST as u64 + 1), Err(Errno::ENOBUFS));
    assert_eq!(plan(u64::MAX), Err(Errno::ENOBUFS));
}

#[test]
fn what_can_lead_elsewhere_and_what_is_not_known_are_refused() {
    let admit = |level, kind| {
        let item = Item::Other { level, kind, data: Vec::new() };
        item.effect(&Destination::Absent).admit()
    };
    for (level, kind) in [(0, 7), (0, 8), (41, 2), (41, 5), (41, 11), (41, 50), (41, 57)] {
        assert_eq!(admit(level, kind), Err(Errno::EACCES), "{level} {kind}");
    }
    // SCTP_DSTADDRV4, IP_PROTOCOL, SCM_DEVMEM_DMABUF, UDP_GRO, nothing
    for (level, kind) in [(132, 7), (0, 52), (1, 79), (17, 104), (7, 7)] {
        assert_eq!(admit(level, kind), Err(Errno::EINVAL), "{level} {kind}");
    }
    for (level, kind) in [(0, 1), (0, 2), (41, 67), (17, 103), (1, 61)] {
        assert_eq!(admit(level, kind), Ok(()), "{level} {kind}");
    }
}
