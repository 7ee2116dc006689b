// SPDX-License-Identifier: Apache-2.0
//! A prepared set of patterns says what the set says, on generated patterns and paths.

#![allow(clippy::unwrap_used)] // tests fail by panicking

use brig_policy::path::{AbsPath, Matcher, Pattern, PatternSet};
use proptest::prelude::*;
use proptest::sample::select;

/// Parts of patterns that meet each other; what a part repeats, it repeats for long paths, too.
const PARTS: &[&str] = &[
    "/a",
    "/b",
    "/ab",
    "/*",
    "/**",
    "/**/a",
    "/**/*b",
    "/{a,b}",
    "/{a/b,ab}",
    "/[ab]",
    "/[!a]",
    "/a?",
    "/?",
    "/a*b",
    "/*a",
    "/**b",
    "/a**",
    "/**/a/**/a",
    "/**/*a??b",
    "/**/a*/**/*b???a",
    "/long-name-of-a-directory",
    "/long-name-of-a-dirEctory",
    "/a{,a}{,b}",
];
const NAMES: &[&str] =
    &["a", "a", "b", "ab", "ba", "aab", "aaab", "abab", "c", "long-name-of-a-directory"];

fn pattern() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(PARTS), 1..5).prop_map(|parts| parts.concat())
}

/// A few names, over and over.
fn path() -> impl Strategy<Value = String> {
    (proptest::collection::vec(select(NAMES), 1..7), 1..60usize).prop_map(|(names, times)| {
        let once = names.iter().map(|name| format!("/{name}")).collect::<String>();
        once.repeat(times)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_matcher_finds_what_the_set_finds(
        patterns in proptest::collection::vec(pattern(), 1..30),
        paths in proptest::collection::vec(path(), 1..10),
    ) {
        let mut set = PatternSet::default();
        for text in &patterns {
            // what stands side by side can be ambiguous, which is an error
            if let Ok(pattern) = Pattern::parse(text) {
                set.insert(&pattern);
            }
        }
        let matcher = Matcher::new(&set);
        for path in paths {
            let path = AbsPath::new(&path.as_bytes()[..path.len().min(4000)]);
            let Ok(path) = path else { continue };
            let found = matcher.covering(&path);
            prop_assert_eq!(found.patterns(), set.covering(&path), "{}", path);
        }
    }
}
