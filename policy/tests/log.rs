// SPDX-License-Identifier: Apache-2.0
//! The log's lines, whatever a workload puts into them.

use brig_policy::decide::{Operation, decide};
use brig_policy::log::{Caller, LONGEST, Line, Note, describe, printable};
use brig_policy::path::AbsPath;
use brig_policy::policy::{Access, Policy};
use proptest::prelude::*;

fn note(comm: Vec<u8>, path: AbsPath, policy: &Policy) -> Note {
    let operation = Operation::access(Access::Read, path);
    let decision = decide(policy, &operation);
    Note { caller: Some(Caller { pid: 1, comm, uid: 0 }), syscall: "openat", operation, decision }
}

/// A policy that grants nothing for reading.
fn nothing() -> Policy {
    let mut policy = Policy::default();
    policy.files.read = Some(Vec::new());
    policy
}

fn hidden(text: &str) -> bool {
    text.chars().any(|one| one.is_control() || matches!(one, '\u{202a}'..='\u{202e}' | '\u{2028}'))
}

proptest! {
    #[test]
    fn any_bytes_give_one_printable_line_that_is_read_back(
        comm in proptest::collection::vec(any::<u8>(), 0..40),
        name in proptest::collection::vec(1_u8..=255, 1..300),
        count in 1_u64..9,
    ) {
        let name: Vec<u8> = name.into_iter().map(|one| if one == b'/' { b'_' } else { one }).collect();
        let Ok(path) = AbsPath::new(&[b"/".as_slice(), &name].concat()) else { return Ok(()) };
        let note = note(comm, path.clone(), &nothing());
        let line = Line::entry("2026-11-22T13:00:00.000Z", "c", &note, count);
        let json = line.to_json();
        prop_assert!(!hidden(&json) && json.len() <= LONGEST, "{json:?}");
        prop_assert_eq!(Line::parse(&json), Some(line.clone()));
        prop_assert!(!hidden(&describe(&line)));
        let Line::Entry(entry) = line else { unreachable!() };
        prop_assert_eq!(entry.operation(), Some(Operation::access(Access::Read, path)));
    }

    #[test]
    fn any_bytes_are_printable_once_and_for_all(
        bytes in proptest::collection::vec(any::<u8>(), 0..99),
        most in 0_usize..99,
    ) {
        let text = printable(&bytes, most);
        prop_assert!(!hidden(&text) && text.len() <= most + '…'.len_utf8());
        prop_assert_eq!(printable(text.as_bytes(), 1000), text);
    }

    #[test]
    fn any_text_is_a_line_or_none(text in ".{0,200}") {
        if let Some(line) = Line::parse(&text) {
            prop_assert!(!hidden(&describe(&line)));
        }
    }
}
