// SPDX-License-Identifier: Apache-2.0
//! Any bytes, read as lines: patterns, and in the last line a path. What the set of patterns says
//! covers the path is what a naive matcher says, pattern by pattern, prepared or not; and what it says
//! of relations between patterns agrees with that.
//!
//! The naive matcher works on the text of a pattern: it writes out braces and tries every way, so
//! it is exponential and gives up on what is large. Bytes that begin with an odd one choose parts of
//! patterns and names, so that most inputs are patterns.
#![allow(dead_code, clippy::expect_used, clippy::panic)] // panics are its findings

use brig_policy::path::{AbsPath, Matcher, Pattern, PatternSet, overlap, uncovered};

/// What patterns are made of; a line feed ends one.
const PARTS: [&str; 32] = [
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
    "a",
    "b",
    "*",
    "**",
    "?",
    "{,a}",
    "{b,a*}",
    "[a-b]",
    "/a",
    "/b",
    "/*",
    "\n",
    "\n",
    "\n",
    "\n",
    "\n",
];
const NAMES: [&str; 8] = ["a", "b", "ab", "ba", "aab", "bab", "c", "a"];

/// Patterns and a path that the bytes choose.
fn chosen(bytes: &[u8]) -> Vec<u8> {
    let (path, patterns) = bytes.split_at(bytes.len().min(5));
    let part = |byte: &u8| PARTS[usize::from(*byte) % PARTS.len()];
    let mut text: String = patterns.iter().map(part).collect();
    let depth = path.first().map_or(0, |byte| usize::from(*byte) % 5);
    text.push('\n');
    for byte in path.iter().skip(1).take(depth) {
        text.push('/');
        text.push_str(NAMES[usize::from(*byte) % NAMES.len()]);
    }
    if depth == 0 {
        text.push('/');
    }
    text.into_bytes()
}

/// How much the naive matcher does before it gives up.
const STEPS: usize = 200_000;

/// Whether the input had a path and a pattern.
pub fn check(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else { return false };
    let mapped: Vec<u8> = match first & 1 {
        0 => rest.to_vec(),
        _ => chosen(rest),
    };
    let mut lines: Vec<&[u8]> = mapped.split(|byte| *byte == b'\n').collect();
    let Some(Ok(path)) = lines.pop().map(AbsPath::new) else { return false };
    let mut set = PatternSet::default();
    let mut patterns = Vec::new();
    for line in lines.into_iter().take(40) {
        let Ok(Ok(pattern)) = std::str::from_utf8(line).map(Pattern::parse) else { continue };
        patterns.push((set.insert(&pattern), pattern));
    }
    let covering = set.covering(&path);
    assert_eq!(Matcher::new(&set).covering(&path).patterns(), covering, "{path}");
    for (id, pattern) in &patterns {
        if let Some(expected) = covers(pattern.text(), path.as_bytes()) {
            assert_eq!(covering.contains(id), expected, "{pattern} covers {path}");
        }
    }
    relations(&patterns.iter().map(|(_, pattern)| pattern).collect::<Vec<_>>(), &path);
    !patterns.is_empty()
}

/// The first pattern against the others.
fn relations(patterns: &[&Pattern], path: &AbsPath) {
    let Some((first, others)) = patterns.split_first() else { return };
    let mut set = PatternSet::default();
    for other in others {
        set.insert(other);
    }
    let naive = |pattern: &Pattern, path: &AbsPath| covers(pattern.text(), path.as_bytes());
    let any = |path: &AbsPath| -> Option<bool> {
        let all: Option<Vec<bool>> = others.iter().map(|other| naive(other, path)).collect();
        all.map(|all| all.contains(&true))
    };
    let here = naive(first, path).zip(any(path));
    if let Ok(found) = uncovered(first, &set) {
        assert!(found.is_some() || here != Some((true, false)), "{path} is not covered");
        let checked = found.as_ref().and_then(|path| naive(first, path).zip(any(path)));
        if let Some(checked) = checked {
            assert_eq!(checked, (true, false), "{found:?}: {first:?} not covered by {others:?}");
        }
    }
    if let Ok(found) = overlap(first, &set) {
        assert!(found.is_some() || here != Some((true, true)), "{path} is an overlap");
        let checked = found.as_ref().and_then(|path| naive(first, path).zip(any(path)));
        if let Some(checked) = checked {
            assert_eq!(checked, (true, true), "{found:?}: {first:?} overlaps {others:?}");
        }
    }
}

/// A step of a pattern without braces.
#[derive(Clone, Debug)]
enum Step {
    Byte(u8),
    Any,
    Class(Vec<(u8, u8)>, bool),
    Star,
    Stars,
}

/// Whether the pattern covers the path; `None` if that is too much to try.
pub fn covers(pattern: &str, path: &[u8]) -> Option<bool> {
    // The root has no component that a pattern could match.
    if pattern == "/" || path == b"/" {
        return Some(pattern == "/");
    }
    let mut steps = STEPS;
    let mut at = 0;
    for steps_of_one in sequences(pattern.as_bytes(), &mut at)? {
        let ends = (1..=path.len()).filter(|end| *end == path.len() || path[*end] == b'/');
        for end in ends {
            if matches(None, &steps_of_one, &path[..end], &mut steps)? {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Every way in which braces can be written out, up to the `,` or `}` that ends the alternative.
fn sequences(text: &[u8], at: &mut usize) -> Option<Vec<Vec<Step>>> {
    let mut ways: Vec<Vec<Step>> = vec![Vec::new()];
    while let Some(&byte) = text.get(*at) {
        if byte == b'{' {
            ways = with_alternatives(&ways, text, at)?;
            continue;
        }
        let inside_brace = matches!(byte, b',' | b'}') && depth(text, *at) > 0;
        if inside_brace {
            break;
        }
        let step = step(text, at);
        ways.iter_mut().for_each(|way| way.push(step.clone()));
    }
    Some(ways)
}

fn with_alternatives(ways: &[Vec<Step>], text: &[u8], at: &mut usize) -> Option<Vec<Vec<Step>>> {
    let mut longer = Vec::new();
    while text.get(*at) != Some(&b'}') {
        *at += 1;
        for alternative in sequences(text, at)? {
            longer.extend(ways.iter().map(|way| [&way[..], &alternative].concat()));
            if longer.len() > 500 {
                return None;
            }
        }
    }
    *at += 1;
    Some(longer)
}

/// How many braces are open before `at`.
fn depth(text: &[u8], end: usize) -> usize {
    let (mut at, mut depth) = (0, 0usize);
    while at < end {
        match text[at] {
            b'{' => {
                depth += 1;
                at += 1;
            }
            b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b',' => at += 1,
            _ => drop(step(text, &mut at)),
        }
    }
    depth
}

fn step(text: &[u8], at: &mut usize) -> Step {
    let byte = text[*at];
    match byte {
        b'*' if text.get(*at + 1) == Some(&b'*') => {
            *at += 2;
            Step::Stars
        }
        b'*' => {
            *at += 1;
            Step::Star
        }
        b'?' => {
            *at += 1;
            Step::Any
        }
        b'[' => class(text, at),
        _ => Step::Byte(plain(text, at)),
    }
}

fn plain(text: &[u8], at: &mut usize) -> u8 {
    if text[*at] != b'\\' {
        *at += 1;
        return text[*at - 1];
    }
    if text[*at + 1] == b'x' {
        let digits = std::str::from_utf8(&text[*at + 2..*at + 4]).expect("hexadecimal");
        *at += 4;
        return u8::from_str_radix(digits, 16).expect("hexadecimal");
    }
    *at += 2;
    text[*at - 1]
}

fn class(text: &[u8], at: &mut usize) -> Step {
    *at += 1;
    let negated = matches!(text[*at], b'!' | b'^');
    *at += usize::from(negated);
    let first = *at;
    let mut ranges = Vec::new();
    while text[*at] != b']' || *at == first {
        let low = plain(text, at);
        if text[*at] == b'-' && text[*at + 1] != b']' {
            *at += 1;
            ranges.push((low, plain(text, at)));
        } else {
            ranges.push((low, low));
        }
    }
    *at += 1;
    Step::Class(ranges, negated)
}

/// Whether the steps match the whole text; `before` is the step before them.
fn matches(before: Option<&Step>, steps: &[Step], text: &[u8], left: &mut usize) -> Option<bool> {
    *left = left.checked_sub(1)?;
    let Some((step, rest)) = steps.split_first() else { return Some(text.is_empty()) };
    let any_of = |ends: &mut dyn Iterator<Item = usize>, rest: &[Step], left: &mut usize| {
        for end in ends {
            if matches(Some(step), rest, &text[end..], left)? {
                return Some(true);
            }
        }
        Some(false)
    };
    let name = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
    let is_slash = |step: Option<&Step>| matches!(step, Some(Step::Byte(b'/')));
    let one = |fits: &dyn Fn(u8) -> bool, left: &mut usize| match text.split_first() {
        Some((byte, after)) if fits(*byte) => matches(Some(step), rest, after, left),
        _ => Some(false),
    };
    match step {
        Step::Byte(byte) => one(&|own| own == *byte, left),
        Step::Any => one(&|own| own != b'/', left),
        Step::Class(ranges, negated) => {
            let listed = |own| ranges.iter().any(|(low, high)| (*low..=*high).contains(&own));
            one(&|own| own != b'/' && listed(own) != *negated, left)
        }
        Step::Star => any_of(&mut (0..=name), rest, left),
        // Between slashes: any number of components; at the end: at least one; else any bytes.
        Step::Stars if is_slash(before) && is_slash(rest.first()) => {
            let starts = (1..text.len()).filter(|at| text[at - 1] == b'/');
            for start in std::iter::once(0).chain(starts) {
                if matches(rest.first(), &rest[1..], &text[start..], left)? {
                    return Some(true);
                }
            }
            Some(false)
        }
        Step::Stars if is_slash(before) && rest.is_empty() => Some(!text.is_empty()),
        Step::Stars => any_of(&mut (0..=text.len()), rest, left),
    }
}
