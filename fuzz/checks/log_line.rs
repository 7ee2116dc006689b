// SPDX-License-Identifier: Apache-2.0
//! A byte that says how long a thread's name is, that name, and the name of a file: what is logged
//! about them is one printable line of JSON, which is read back. And any bytes, read as such a line,
//! are none or can be printed.
#![allow(dead_code, clippy::panic)] // panics are its findings

use brig_policy::decide::{Operation, decide};
use brig_policy::log::{Caller, LONGEST, Line, Note, describe};
use brig_policy::path::AbsPath;
use brig_policy::policy::{Access, Policy};

/// Whether the input had the name of a file.
pub fn check(data: &[u8]) -> bool {
    if let Some(line) = std::str::from_utf8(data).ok().and_then(Line::parse) {
        assert_plain(&describe(&line));
    }
    let Some((length, rest)) = data.split_first() else { return false };
    let (comm, name) = rest.split_at(rest.len().min(usize::from(*length % 16)));
    let Ok(path) = AbsPath::new(&[b"/".as_slice(), name].concat()) else { return false };
    let mut policy = Policy::default();
    policy.files.read = Some(Vec::new());
    let operation = Operation::access(Access::Read, path);
    let decision = decide(&policy, &operation);
    let caller = Some(Caller { pid: 1, comm: comm.to_vec(), uid: 0 });
    let note = Note { caller, syscall: "openat", operation, decision };
    let line = Line::entry("2026-11-22T13:00:00.000Z", "c", &note, 1);
    let json = line.to_json();
    assert_plain(&json);
    assert!(json.len() <= LONGEST, "{} bytes", json.len());
    assert_eq!(Line::parse(&json).as_ref(), Some(&line));
    assert_plain(&describe(&line));
    true
}

fn assert_plain(text: &str) {
    let acts = |one: char| one.is_control() || matches!(one, '\u{2028}'..='\u{202e}');
    assert!(!text.chars().any(acts), "{text:?}");
}
