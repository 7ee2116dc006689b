// SPDX-License-Identifier: Apache-2.0
//! Profiles that nobody meant to write: bounded time and memory, an error, no panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking
#![allow(clippy::disallowed_methods)] // tests measure time

mod reading;

use std::time::{Duration, Instant};

use brig_policy::profile::{self, MAX_FILE, Reading};
use reading::{Memory, codes, file, shown};

/// Generous: unoptimised, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(20);

fn read(bytes: &[u8]) -> Reading {
    let start = Instant::now();
    let reading =
        profile::read(file("bad.toml", bytes), &mut Memory::default(), &Default::default());
    let text = shown(&reading);
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    assert!(text.len() < 4 << 20, "{} bytes of diagnostics", text.len());
    // what is a profile in its structure is one for the schema too; larger ones would take it long
    if bytes.len() < 1 << 16
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        reading::agree(text, &reading);
    }
    reading
}

fn check(bytes: &[u8], code: &str) {
    let reading = read(bytes);
    let codes = codes(&reading.report);
    assert!(codes.contains(&code), "{codes:?}\n{}", shown(&reading));
    assert!(reading.resolved.is_none());
}

#[test]
fn random_bytes_are_not_a_profile() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for length in [1_usize, 10, 100, 10_000] {
        for _ in 0..50 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    u8::try_from(state >> 56).unwrap()
                })
                .collect();
            read(&bytes);
        }
    }
}

#[test]
fn a_file_of_100_megabytes_is_refused_by_its_size() {
    check(&vec![b'\n'; 100 << 20], "E0003");
}

#[test]
fn the_largest_files_of_one_character_are_read_in_time() {
    for character in
        ["=", "[", "]", "{", "\"", "'", "\n", "#", "a", ".", ",", "a.", "[[a]]\n", "a=1\n"]
    {
        let text = character.repeat((MAX_FILE / 16) / character.len());
        read(text.as_bytes());
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    let n = 100_000;
    check(format!("a = {}1{}", "[".repeat(n), "]".repeat(n)).as_bytes(), "E0100");
    check(format!("a = {}1{}", "{a=".repeat(n), "}".repeat(n)).as_bytes(), "E0100");
    check(format!("{}a = 1", "a.".repeat(n)).as_bytes(), "E0100");
    check(format!("[{}a]\n", "a.".repeat(n)).as_bytes(), "E0100");
    check(format!("a = {{ {}a = 1 }}", "a.".repeat(n)).as_bytes(), "E0100");
    check(format!("{}a = 1", "\"\".".repeat(n)).as_bytes(), "E0100");
    check(format!("{}a = 1", "'x' . ".repeat(n)).as_bytes(), "E0100");
}

#[test]
fn a_million_rules_are_too_many() {
    let text = format!("[files]\nread = [{}]\n", "\"/a\",".repeat(1_000_000));
    check(text.as_bytes(), "E0006");
}

#[test]
fn a_hundred_thousand_mistakes_are_counted_and_the_first_thousand_shown() {
    let text = format!("[syscalls]\ndeny = [{}]\n", "\"mout\",\n".repeat(100_000));
    let reading = read(text.as_bytes());
    assert_eq!(reading.report.errors(), 100_000);
    assert_eq!(reading.report.diagnostics().len(), 1000);
    assert!(shown(&reading).contains("99000 more"));
}

#[test]
fn mistakes_on_one_very_long_line_are_shown_in_time() {
    let text = format!("[files]\nread = [{}]\n", "\"a\",".repeat(200_000));
    let reading = read(text.as_bytes());
    assert_eq!(reading.report.errors(), 200_000);
}

#[test]
fn nul_bytes_are_an_error_wherever_they_stand() {
    for text in ["\0", "name = \"\0\"", "[files]\nread = [\"/a\0b\"]", "# \0\n"] {
        check(text.as_bytes(), "E0100");
    }
    check(b"[files]\nread = [\"/a\\u0000b\"]\n", "E0303");
    check(b"[files]\nread = ['/a\\x00b']\n", "E0303");
}

#[test]
fn bytes_that_are_not_utf8_are_named_with_their_line() {
    let reading = read(b"name = \"a\"\n[files]\nread = [\"/\xff\"]\n");
    let shown = shown(&reading);
    assert!(shown.contains("bad.toml:3: byte 0xff at offset 29 is not UTF-8"), "{shown}");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_accepted() {
    let reading = read(b"\xef\xbb\xbfname = \"a\"\r\n[files]\r\nread = [\"/a\"]\r\n");
    assert_eq!(reading.report.errors(), 0, "{}", shown(&reading));
    let policy = reading.resolved.unwrap().policy;
    assert_eq!(policy.files.read.unwrap()[0].rule.origin.to_string(), "bad.toml:3");
}

#[test]
fn a_lone_carriage_return_is_not_a_line_break() {
    check(b"name = \"a\"\r[files]\r", "E0100");
}

#[test]
fn an_empty_file_is_a_profile_that_restricts_nothing() {
    let reading = read(b"");
    assert_eq!(reading.resolved.unwrap().policy, brig_policy::policy::Policy::default());
}

#[test]
fn many_parents_of_many_parents_are_each_read_once() {
    // Each level extends both files of the next: 2^15 ways, 31 files.
    let mut files = Memory::default();
    for level in 0..15 {
        for side in ["a", "b"] {
            let text = if level == 14 {
                String::new()
            } else {
                format!("extends = [\"a{0}.toml\", \"b{0}.toml\"]\n", level + 1)
            };
            files.0.insert(format!("{side}{level}.toml"), text.into_bytes());
        }
    }
    let root = file("web.toml", b"extends = [\"a0.toml\", \"b0.toml\"]\n");
    let start = Instant::now();
    let reading = profile::read(root, &mut files, &Default::default());
    assert!(start.elapsed() < LIMIT);
    assert_eq!(reading.report.errors(), 0, "{}", shown(&reading));
}

#[test]
fn more_than_256_files_are_too_many() {
    let mut files = Memory::default();
    let mut list = String::new();
    for n in 0..300 {
        files.0.insert(format!("{n}.toml"), Vec::new());
        list.push_str(&format!("\"{n}.toml\","));
    }
    let root = file("web.toml", format!("extends = [{list}]").as_bytes());
    let reading = profile::read(root, &mut files, &Default::default());
    assert!(codes(&reading.report).contains(&"E0006"));
}

#[test]
fn sixteen_generations_are_read_and_seventeen_are_not() {
    for (generations, right) in [(16, true), (17, false)] {
        let mut files = Memory::default();
        for n in 1..generations {
            let text = format!("extends = [\"{}.toml\"]\n", n + 1);
            files.0.insert(format!("{n}.toml"), text.into_bytes());
        }
        files.0.insert(format!("{generations}.toml"), Vec::new());
        let root = file("0.toml", b"extends = [\"1.toml\"]\n");
        let reading = profile::read(root, &mut files, &Default::default());
        assert_eq!(reading.resolved.is_some(), right, "{}", shown(&reading));
        assert_eq!(codes(&reading.report), if right { vec![] } else { vec!["E0204"] });
    }
}

#[test]
fn depth_counts_by_the_longest_way_even_if_a_file_was_read_before() {
    let mut files = Memory::default();
    for n in 1..16 {
        let text = format!("extends = [\"{}.toml\"]\n", n + 1);
        files.0.insert(format!("{n}.toml"), text.into_bytes());
    }
    files.0.insert("16.toml".into(), Vec::new());
    files.0.insert("x.toml".into(), b"extends = [\"1.toml\"]\n".to_vec());
    let root = file("0.toml", b"extends = [\"1.toml\", \"x.toml\"]\n");
    let reading = profile::read(root, &mut files, &Default::default());
    assert_eq!(codes(&reading.report), ["E0204"]);
}

#[test]
fn a_profile_of_110000_rules_is_read_well_within_a_second() {
    let mut text = String::from("[files]\nread = [\n");
    for n in 0..100_000 {
        text.push_str(&format!("  \"/srv/data/{}/{n}/file*\",\n", n % 977));
    }
    text.push_str("]\n[network]\ndeny = [\n");
    for n in 0..10_000 {
        text.push_str(&format!("  \"tcp 10.{}.{}.0/24:443\",\n", n / 256, n % 256));
    }
    text.push_str("]\n");
    let start = Instant::now();
    let reading = read(text.as_bytes());
    let took = start.elapsed();
    println!("{} bytes, 110,000 rules: {took:?}", text.len());
    assert!(reading.resolved.is_some(), "{}", shown(&reading));
    if !cfg!(debug_assertions) {
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}
