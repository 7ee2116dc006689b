// SPDX-License-Identifier: Apache-2.0
//! How patterns relate: whether one covers another, whether they overlap, with an example.

use super::absolute::AbsPath;
use super::explore::{Budget, Next, TooComplex, Visitor, explore};
use super::pattern::Pattern;
use super::set::{PatternId, PatternSet};

/// A path that `pattern` covers and no pattern of `others` does; `None`: all that it covers is
/// covered by them.
///
/// # Errors
/// If that cannot be found out within bounds.
pub fn uncovered(pattern: &Pattern, others: &PatternSet) -> Result<Option<AbsPath>, TooComplex> {
    search(pattern, others, |own, other| own && !other)
}

/// A path that both `pattern` and some pattern of `others` cover; `None`: they do not overlap.
///
/// # Errors
/// If that cannot be found out within bounds.
pub fn overlap(pattern: &Pattern, others: &PatternSet) -> Result<Option<AbsPath>, TooComplex> {
    search(pattern, others, |own, other| own && other)
}

/// The shortest path of which `wanted` holds: whether the pattern and whether another covers it.
fn search(
    pattern: &Pattern,
    others: &PatternSet,
    wanted: fn(bool, bool) -> bool,
) -> Result<Option<AbsPath>, TooComplex> {
    let mut own = PatternSet::default();
    own.insert(pattern);
    let mut search = Search { wanted, found: None };
    explore([&own, others], &mut search, Budget::PAIR)?;
    Ok(search.found)
}

struct Search {
    wanted: fn(bool, bool) -> bool,
    found: Option<AbsPath>,
}

impl Visitor<2> for Search {
    fn visit(&mut self, path: &[u8], covering: &mut [Vec<PatternId>; 2]) -> Next {
        // That one covers is enough to know; which does not matter.
        covering[1].truncate(1);
        let [own, other] = [!covering[0].is_empty(), !covering[1].is_empty()];
        if (self.wanted)(own, other) {
            self.found = AbsPath::new(path).ok();
            if self.found.is_some() {
                return Next::Stop;
            }
        }
        if own && other { Next::Skip } else { Next::Beneath }
    }

    fn worthwhile(&self, covering: &[Vec<PatternId>; 2], live: [bool; 2]) -> bool {
        !covering[0].is_empty() || live[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> PatternSet {
        let mut set = PatternSet::default();
        for text in texts {
            set.insert(&Pattern::parse(text).unwrap());
        }
        set
    }

    fn covered(pattern: &str, by: &[&str], example: Option<&str>) {
        let found = uncovered(&Pattern::parse(pattern).unwrap(), &set(by)).unwrap();
        assert_eq!(found.map(|path| path.to_string()).as_deref(), example, "{pattern} by {by:?}");
    }

    fn overlapping(pattern: &str, with: &[&str], example: Option<&str>) {
        let found = overlap(&Pattern::parse(pattern).unwrap(), &set(with)).unwrap();
        assert_eq!(found.map(|path| path.to_string()).as_deref(), example, "{pattern}, {with:?}");
    }

    #[test]
    fn what_is_not_covered_has_an_example() {
        covered("/a/b", &["/a"], None);
        covered("/a", &["/a/b"], Some("/a"));
        covered("/a/*.key", &["/a/**"], None);
        covered("/a/**", &["/a/*"], None);
        covered("/a/**/*.key", &["/a/*.key"], Some("/a/x/.key"));
        covered("/a/[bc]", &["/a/b", "/a/c"], None);
        covered("/a/[bcd]", &["/a/b", "/a/c"], Some("/a/d"));
        covered("/a/b*", &["/a/bx*", "/a/b"], Some("/a/by"));
        covered("/a/?", &["/a/[!x]"], Some("/a/x"));
        covered("/a/{b,c}/d", &["/a/b", "/a/c"], None);
        covered("/*", &["/.*"], Some("/x"));
        covered("/**/a", &["/**/a/**"], Some("/a"));
    }

    #[test]
    fn an_overlap_has_an_example() {
        overlapping("/a", &["/b"], None);
        overlapping("/a", &["/a/b/c"], Some("/a/b/c"));
        overlapping("/a/b/c", &["/a"], Some("/a/b/c"));
        overlapping("/a/*.key", &["/a/x*"], Some("/a/x.key"));
        overlapping("/a/*.key", &["/b/*.key", "/c"], None);
        overlapping(
            "/**/*.key",
            &["/usr/lib"],
            Some("/.key/usr/lib").filter(|_| false).or(Some("/usr/lib/.key")),
        );
        overlapping("/a/[ab]", &["/a/[cd]"], None);
    }

    #[test]
    fn dots_are_no_names() {
        covered("/a/?", &["/a/[!.]"], None);
        covered("/a/.?", &["/a/.[!.]"], None);
        covered("/a/??", &["/a/[!.]?", "/a/?[!.]"], None);
    }

    #[test]
    fn what_is_too_complex_is_an_error_and_not_a_long_wait() {
        let entangled: Vec<String> = (0..40).map(|i| format!("/**/*a{}b", "?".repeat(i))).collect();
        let texts: Vec<&str> = entangled.iter().map(String::as_str).collect();
        let found = uncovered(&Pattern::parse("/**/*[ab]*[cd]").unwrap(), &set(&texts));
        assert!(matches!(found, Err(TooComplex) | Ok(Some(_))));
        let hard = format!("/**/*a{}c", "?".repeat(40));
        let other = format!("/**/*a{}[!c]", "?".repeat(40));
        let found = uncovered(&Pattern::parse("/**/*a*").unwrap(), &set(&[&hard, &other, "/**/b"]));
        assert!(matches!(found, Err(TooComplex) | Ok(Some(_))), "{found:?}");
    }
}
