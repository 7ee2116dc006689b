// SPDX-License-Identifier: Apache-2.0
//! Any bytes, read as everything that a workload can hand to the kernel: nothing panics, no plan asks
//! for more than the kernel would copy, what is planned is enough to parse, and what is written anew
//! is read as what it was written from.
//!
//! The first byte chooses the decoder, the second the layout; the rest are registers and memory, or
//! a text of procfs.
#![allow(dead_code, clippy::expect_used, clippy::panic)] // panics are its findings

#[path = "call_registers.rs"]
pub mod registers;
#[path = "call_texts.rs"]
mod texts;

use brig_policy::call::address::{Action, Destination, Socket};
use brig_policy::call::string::Progress;
use brig_policy::call::{
    Layout, Pointer, Span, address, attribute, control, ids, message, open, string, time, vector,
    xattr,
};
use brig_policy::policy::Errno;

const ACTIONS: [Action; 4] = [Action::Connect, Action::Bind, Action::Send, Action::FastOpen];
const DOMAINS: [i32; 5] = [1, 2, 10, 16, 43];
const TYPES: [i32; 4] = [1, 2, 3, 5];
const PROTOCOLS: [i32; 10] = [0, 1, 6, 17, 33, 58, 132, 136, 256, 262];

/// How many decoders the first byte chooses among.
pub const DECODERS: u8 = 16;

/// The bytes of a register, then memory.
struct Input<'d> {
    layout: Layout,
    rest: &'d [u8],
}

impl Input<'_> {
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        usize::from(*first)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let Some((first, rest)) = self.rest.split_first_chunk() else { return [0; N] };
        self.rest = rest;
        *first
    }

    fn register(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn pointer(&mut self) -> Pointer {
        let register = self.register();
        self.layout.pointer(register)
    }
}

/// A span is where its layout has memory, and no longer than the bound.
fn bounded(layout: Layout, span: &Span, bound: usize) {
    assert!(span.length() <= bound, "{span:?} is longer than {bound}");
    let end = span.address().0.checked_add(span.length() as u64).expect("spans do not wrap");
    assert!(layout == Layout::Bits64 || end <= 1 << 32, "{span:?}");
}

/// Whether something was decoded.
pub fn check(data: &[u8]) -> bool {
    let [decoder, layout, rest @ ..] = data else { return false };
    let layout = if layout & 1 == 0 { Layout::Bits64 } else { Layout::Bits32 };
    let input = Input { layout, rest };
    match decoder % DECODERS {
        0 => addresses(input),
        1 => controls(input),
        2 => messages(input),
        3 => vectors(input),
        4 => opens(input),
        5 => old_opens(input),
        6 => times(input),
        7 => attributes(input),
        8 => extended(input),
        9 => strings(input),
        10 => registers::files(input),
        11 => registers::sockets(input),
        12 => texts::status(input),
        13 => texts::soft(input),
        14 => texts::mount_points(input),
        _ => lists(input),
    }
}

fn addresses(mut input: Input<'_>) -> bool {
    let socket = Socket {
        domain: DOMAINS[input.byte() % DOMAINS.len()],
        kind: TYPES[input.byte() % TYPES.len()],
        protocol: PROTOCOLS[input.byte() % PROTOCOLS.len()],
    };
    let action = ACTIONS[input.byte() % ACTIONS.len()];
    if let Ok(length) = i32::try_from(input.rest.len())
        && let Ok(span) = address::plan(input.layout, Pointer(4096), length)
    {
        bounded(input.layout, &span, address::LONGEST);
    }
    let Ok(destination) = address::parse(socket, action, input.rest) else { return false };
    if let Destination::UnixPath(path) = &destination {
        assert!(!path.is_empty() && path.len() <= 108 && !path.contains(&0), "{path:?}");
    }
    if let Some(bytes) = destination.encode(action) {
        let again = address::parse(socket, action, &bytes).expect("what is written is read");
        assert_eq!(again.encode(action), Some(bytes), "it is read as what it was written from");
        assert_eq!(again.endpoint().is_some(), destination.endpoint().is_some());
    }
    true
}

fn controls(mut input: Input<'_>) -> bool {
    let (pointer, length) = (input.pointer(), input.register());
    if let Ok(Some(span)) = control::plan(input.layout, pointer, length) {
        bounded(input.layout, &span, control::LONGEST);
    }
    let Ok(items) = control::parse(input.layout, input.rest) else { return false };
    let descriptors = items.iter().map(|item| match item {
        control::Item::Rights(numbers) => numbers.len(),
        _ => 0,
    });
    assert!(descriptors.sum::<usize>() <= control::MAX_DESCRIPTORS);
    for item in &items {
        let admitted = item.effect(&Destination::Absent).admit();
        assert!(admitted.is_ok() || !matches!(item, control::Item::Rights(_)));
    }
    let again = control::parse(Layout::Bits64, &control::encode(&items));
    assert_eq!(again.as_ref(), Ok(&items), "control data is written as it was read");
    !items.is_empty()
}

fn messages(mut input: Input<'_>) -> bool {
    let (pointer, layout) = (input.pointer(), input.layout);
    let count = u32::try_from(input.register() & 0xffff_ffff).expect("masked");
    if let Ok(span) = message::plan_array(layout, pointer, count) {
        bounded(layout, &span, message::MAX_MESSAGES * 64);
    }
    let Ok(headers) = message::parse_array(layout, input.rest) else { return false };
    assert!(headers.len() <= message::MAX_MESSAGES);
    for header in &headers {
        if let Ok(Some(span)) = header.name() {
            bounded(layout, &span, address::LONGEST);
        }
        if let Ok(Some(span)) = header.control() {
            bounded(layout, &span, control::LONGEST);
        }
        if let Ok(span) = header.vector() {
            bounded(layout, &span, vector::MAX_ELEMENTS * 16);
        }
    }
    !headers.is_empty()
}

fn vectors(mut input: Input<'_>) -> bool {
    let (digits, zeros) = (input.byte(), input.byte() % 24);
    let limit = digits << zeros;
    let Ok(buffers) = vector::parse(input.layout, input.rest) else { return false };
    assert!(buffers.total() <= vector::MAX_BYTES);
    let spans = buffers.spans(input.layout, limit).expect("buffers are where memory can be");
    let copied: usize = spans.iter().map(Span::length).sum();
    let total = usize::try_from(buffers.total()).expect("bounded");
    assert_eq!(copied, limit.min(total), "no more than the limit, no less than there is");
    spans.iter().for_each(|span| bounded(input.layout, span, limit));
    !buffers.as_slice().is_empty()
}

/// What was opened by any call is what openat2(2) takes unchanged.
fn opened(open: &open::Open) {
    let words = [open.flags(), open.mode(), open.resolve()];
    let how: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(open::parse(Layout::Bits32, &how).as_ref(), Ok(open));
    if open.flags() & open::flags::O_PATH != 0 {
        assert_eq!(open.access().write, open::Asked::No);
    }
}

fn opens(mut input: Input<'_>) -> bool {
    let (pointer, size) = (input.pointer(), input.register());
    if let Ok(span) = open::plan(input.layout, pointer, size) {
        bounded(input.layout, &span, 4096);
    }
    let Ok(open) = open::parse(input.layout, input.rest) else { return false };
    opened(&open);
    true
}

fn old_opens(mut input: Input<'_>) -> bool {
    let (flags, mode) = (input.register(), input.register());
    opened(&open::creat(input.layout, mode).expect("creat has no flags"));
    let Ok(open) = open::old(input.layout, flags, mode) else { return false };
    opened(&open);
    true
}

fn times(mut input: Input<'_>) -> bool {
    const FORMS: [time::Form; 4] =
        [time::Form::Timespec, time::Form::Timespec64, time::Form::Timeval, time::Form::Utimbuf];
    let form = FORMS[input.byte() % 4];
    let span = time::plan(input.layout, form, Pointer(4096)).expect("a place").expect("not null");
    bounded(input.layout, &span, 32);
    let parsed = time::parse(input.layout, form, input.rest);
    let whole = input.rest.len() >= span.length();
    assert_eq!(parsed == Err(Errno::EFAULT), !whole, "what is planned is what is parsed");
    let Ok(times) = parsed else { return false };
    for time in [times.accessed, times.modified] {
        if let time::Time::At { nanoseconds, .. } = time {
            assert!(nanoseconds < 1_000_000_000);
        }
    }
    true
}

fn attributes(mut input: Input<'_>) -> bool {
    let (pointer, size) = (input.pointer(), input.register());
    if let Ok(span) = attribute::plan(input.layout, pointer, size) {
        bounded(input.layout, &span, 4096);
    }
    let Ok(parsed) = attribute::parse(input.rest) else { return false };
    assert_eq!(parsed.encode(), input.rest[..24]);
    true
}

fn extended(mut input: Input<'_>) -> bool {
    let (pointer, size) = (input.pointer(), input.register());
    match xattr::plan(input.layout, pointer, size) {
        Ok(span) => {
            bounded(input.layout, &span, 4096);
            assert_eq!(span.length() as u64, input.layout.unsigned(size));
        }
        Err(Errno::EINVAL) => assert!(input.layout.unsigned(size) < 16),
        Err(errno) => assert!(matches!(errno, Errno::E2BIG | Errno::EFAULT), "{errno}"),
    }
    let parsed = xattr::parse(input.rest);
    let Some((known, more)) = input.rest.split_at_checked(16) else {
        assert_eq!(parsed, Err(Errno::EFAULT), "what is planned is what is parsed");
        return false;
    };
    let mut fields = Input { layout: input.layout, rest: known };
    let (address, size, flags) = (fields.register(), fields.array(), fields.array());
    let in_registers = xattr::Value::new(
        Pointer(address),
        u32::from_le_bytes(size).into(),
        u32::from_le_bytes(flags),
    );
    let is_longer = more.iter().any(|byte| *byte != 0);
    assert_eq!(parsed, if is_longer { Err(Errno::E2BIG) } else { in_registers });
    let Ok(value) = parsed else { return false };
    assert!(value.flags() < 4);
    match value.plan(input.layout) {
        Ok(Some(span)) => bounded(input.layout, &span, xattr::MAX_VALUE),
        Ok(None) => assert_eq!(size, [0; 4]),
        Err(errno) => assert!(matches!(errno, Errno::E2BIG | Errno::EFAULT), "{errno}"),
    }
    true
}

/// A list of access and a map of ids: ids in the list change, and nothing else.
fn lists(mut input: Input<'_>) -> bool {
    let offset = u32::from_le_bytes(input.array());
    let mut list = input.rest.to_vec();
    let replaced = ids::replace(&mut list, |_, id| id.checked_add(offset).ok_or(Errno::EINVAL));
    assert!(matches!(replaced, Ok(()) | Err(Errno::EINVAL)));
    assert_eq!(list.len(), input.rest.len());
    let pairs = list.iter().zip(input.rest).enumerate();
    let mut changed = pairs.filter(|(_, (one, other))| one != other).map(|(at, _)| at);
    assert!(changed.all(|at| at >= 8 && at % 8 < 4), "an id is the second word of an entry");
    let outside = ids::outside(input.rest, offset);
    assert_ne!(outside, Some(u32::MAX), "that is nobody");
    outside.is_some() || list != input.rest
}

/// The rest is memory from the pointer on, and again and again; nothing follows it.
fn strings(mut input: Input<'_>) -> bool {
    let repeat = input.byte();
    let start = input.pointer();
    let memory = input.rest.repeat(1 + repeat);
    let mut reading = match repeat % 2 {
        0 => string::Reading::path(input.layout, start),
        _ => string::Reading::xattr_name(input.layout, start),
    };
    let mut copied = 0;
    loop {
        let Ok(span) = reading.wanted() else { return false };
        bounded(input.layout, &span, 4096);
        assert!(span.length() > 0, "there is progress");
        let chunk = &memory[copied..memory.len().min(copied + span.length())];
        copied += chunk.len();
        assert!(copied <= string::PATH_MAX);
        match reading.take(chunk) {
            Ok(Progress::More(rest)) => reading = rest,
            Ok(Progress::Complete(text)) => {
                assert_eq!(Some(text.len()), memory.iter().position(|byte| *byte == 0));
                let name = xattr::name(text.clone());
                assert_eq!(name, if text.is_empty() { Err(Errno::ERANGE) } else { Ok(text) });
                return true;
            }
            Err(errno) => {
                let expected = [Errno::EFAULT, Errno::ENAMETOOLONG, Errno::ERANGE];
                assert!(expected.contains(&errno), "{errno}");
                return false;
            }
        }
    }
}
