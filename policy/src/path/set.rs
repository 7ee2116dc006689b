// SPDX-License-Identifier: Apache-2.0
//! Many patterns, matched at once.
//!
//! Literal paths are a trie of components; the tails of patterns are an automaton for each literal
//! prefix that they follow (section 5's "mixed region"). So a path costs one look-up for each of
//! its components, and its bytes once more for each mixed region that it is in, however many
//! rules there are. Who asks about many paths prepares the set first ([`super::Matcher`]).
//!
//! Guarantees: building is `O(text · log)`, in memory linear in the text; matching is bounded by
//! the path's length times the active states. Hostile patterns make more states active, never
//! exponentially many.

use std::collections::BTreeMap;

use super::absolute::AbsPath;
use super::nfa::{Nfa, Scratch, StateId, StateSet};
use super::pattern::{NamePattern, Pattern, Token};

/// A pattern of a set. Patterns that are known to be equal have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PatternId(pub(super) u32);

impl PatternId {
    /// Its index: ids are given in order, from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The index of a node of the trie.
pub(super) type NodeId = u32;

/// A directory or file that literals name or lie beneath.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) children: BTreeMap<Box<[u8]>, NodeId>,
    /// The literal that ends here.
    pub(super) literal: Option<PatternId>,
    /// Where the tails begin whose literal prefix this is.
    pub(super) tails: Option<StateId>,
}

/// A set of path patterns.
#[derive(Debug)]
pub struct PatternSet {
    pub(super) nodes: Vec<Node>,
    pub(super) nfa: Nfa,
    len: u32,
}

impl Default for PatternSet {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], nfa: Nfa::default(), len: 0 }
    }
}

impl PatternSet {
    /// The node of `/`.
    pub(super) const ROOT: NodeId = 0;

    /// Adds a pattern.
    pub fn insert(&mut self, pattern: &Pattern) -> PatternId {
        self.insert_at(pattern.literal_prefix(), pattern.tail())
    }

    /// Adds the pattern that has this tail behind another directory than the one it was written
    /// with.
    pub(crate) fn insert_at(&mut self, prefix: &[u8], tail: &[Token]) -> PatternId {
        let mut node = Self::ROOT;
        for component in super::absolute::components(prefix) {
            node = self.child(node, component);
        }
        let fresh = PatternId(self.len);
        let id = if tail.is_empty() {
            match self.nodes.get_mut(node as usize) {
                Some(node) => *node.literal.get_or_insert(fresh),
                None => fresh,
            }
        } else {
            let start = self.tails(node);
            let end = self.nfa.add(start, tail);
            self.nfa.accept(end, fresh)
        };
        self.len += u32::from(id == fresh);
        id
    }

    fn child(&mut self, node: NodeId, component: &[u8]) -> NodeId {
        let fresh = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(parent) = self.nodes.get_mut(node as usize) else { return node };
        if let Some(&child) = parent.children.get(component) {
            return child;
        }
        parent.children.insert(component.into(), fresh);
        self.nodes.push(Node::default());
        fresh
    }

    fn tails(&mut self, node: NodeId) -> StateId {
        let nfa = &mut self.nfa;
        match self.nodes.get_mut(node as usize) {
            Some(node) => *node.tails.get_or_insert_with(|| nfa.new_state()),
            None => nfa.new_state(),
        }
    }

    /// How many different patterns it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many states its automaton has, for tests of the bound.
    #[must_use]
    pub fn states(&self) -> usize {
        self.nfa.len()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    /// The patterns that cover `path`, in ascending order, each once.
    #[must_use]
    pub fn covering(&self, path: &AbsPath) -> Vec<PatternId> {
        let mut found = Vec::new();
        let mut node = self.node(Self::ROOT);
        let mut rest = &path.as_bytes()[1..];
        let mut scratch = Scratch::default();
        while let Some(here) = node {
            found.extend(here.literal);
            if rest.is_empty() {
                break;
            }
            if let Some(start) = here.tails {
                self.nfa.run(start, rest, &mut scratch, |pattern| found.push(pattern));
            }
            let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
            node = here.children.get(&rest[..end]).and_then(|&child| self.node(child));
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl PatternSet {
    /// Where the trie and the automaton are behind `path` and a slash.
    pub(super) fn enter(&self, path: &AbsPath) -> (Option<NodeId>, Vec<StateId>) {
        let (mut active, mut next) = (StateSet::default(), StateSet::default());
        let mut node = Some(Self::ROOT);
        self.enter_tails(node, &mut active);
        for component in path.components() {
            for byte in component.iter().copied().chain([b'/']) {
                next.clear();
                self.nfa.step(active.states(), byte, &mut next);
                std::mem::swap(&mut active, &mut next);
            }
            let children = node.and_then(|id| self.node(id)).map(|node| &node.children);
            node = children.and_then(|children| children.get(component)).copied();
            self.enter_tails(node, &mut active);
        }
        (node, active.sorted())
    }

    fn enter_tails(&self, node: Option<NodeId>, active: &mut StateSet) {
        if let Some(start) = node.and_then(|id| self.node(id)).and_then(|node| node.tails) {
            self.nfa.enter(start, active);
        }
    }
}

/// A set of patterns of abstract names.
#[derive(Debug)]
pub struct NameSet {
    pub(super) nfa: Nfa,
    pub(super) start: StateId,
    len: u32,
}

impl Default for NameSet {
    fn default() -> Self {
        let mut nfa = Nfa::default();
        let start = nfa.new_state();
        Self { nfa, start, len: 0 }
    }
}

impl NameSet {
    /// Adds a pattern.
    pub fn insert(&mut self, pattern: &NamePattern) -> PatternId {
        let end = self.nfa.add(self.start, pattern.tokens());
        let fresh = PatternId(self.len);
        let id = self.nfa.accept(end, fresh);
        self.len += u32::from(id == fresh);
        id
    }

    /// How many different patterns it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The patterns that match `name`, in ascending order, each once.
    #[must_use]
    pub fn matching(&self, name: &[u8]) -> Vec<PatternId> {
        let (mut active, mut next) = (StateSet::default(), StateSet::default());
        self.nfa.enter(self.start, &mut active);
        for &byte in name {
            next.clear();
            self.nfa.step(active.states(), byte, &mut next);
            std::mem::swap(&mut active, &mut next);
        }
        let mut found: Vec<_> = self.nfa.accepted(active.states()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        let mut set = PatternSet::default();
        set.insert(&Pattern::parse(pattern).unwrap());
        !set.covering(&AbsPath::new(path.as_bytes()).unwrap()).is_empty()
    }

    fn check(pattern: &str, covered: &[&str], not: &[&str]) {
        for path in covered {
            assert!(covers(pattern, path), "{pattern} should cover {path}");
        }
        for path in not {
            assert!(!covers(pattern, path), "{pattern} should not cover {path}");
        }
    }

    #[test]
    fn a_literal_covers_itself_and_everything_beneath_it() {
        check("/", &["/", "/a", "/a/b"], &[]);
        check("/a", &["/a", "/a/b", "/a/b/c"], &["/", "/ab", "/b", "/b/a"]);
        check("/a/b", &["/a/b", "/a/b/c"], &["/a", "/a/bc", "/a/c"]);
    }

    #[test]
    fn a_star_stays_within_a_component() {
        check("/*", &["/a", "/.a", "/a/b"], &["/"]);
        check(
            "/a/*.key",
            &["/a/.key", "/a/x.key", "/a/x.key/y"],
            &["/a", "/a/b/x.key", "/a/x.keys"],
        );
        check("/a*/b", &["/a/b", "/axx/b"], &["/a/x/b", "/b"]);
        check("/a/?", &["/a/b", "/a/b/c"], &["/a", "/a/bc"]);
        check("/a/é?", &["/a/éx"], &["/a/é"]);
    }

    #[test]
    fn two_stars_cross_components() {
        check("/a/**", &["/a/b", "/a/b/c"], &["/a", "/ab"]);
        check("/**", &["/a", "/a/b"], &["/"]);
        check("/a/**/k", &["/a/k", "/a/b/k", "/a/b/c/k", "/a/k/x"], &["/a", "/a/bk", "/k"]);
        check("/a/**/*.key", &["/a/x.key", "/a/b/x.key", "/a/x.key/b"], &["/a/x.keyz"]);
        check("/a/x**z", &["/a/xz", "/a/x/y/z", "/a/xyz/b"], &["/a/x/y", "/a/yz"]);
        check("/**/a/**/b", &["/a/b", "/x/a/y/b", "/a/a/b/b"], &["/b/a", "/a"]);
    }

    #[test]
    fn classes_match_one_byte_of_a_component() {
        check("/a[0-9x]", &["/a0", "/a9", "/ax/y"], &["/a", "/aa", "/a00"]);
        check("/a[!0-9]", &["/aa", "/a-"], &["/a0", "/a/b"]);
        check("/[]-]", &["/]", "/-"], &["/a"]);
    }

    #[test]
    fn braces_take_one_of_their_alternatives() {
        check("/{a,b}/c", &["/a/c", "/b/c/d"], &["/a", "/ab/c", "/c"]);
        check("/x{,y}z", &["/xz", "/xyz"], &["/xyyz"]);
        check("/{a/b,c}/d", &["/a/b/d", "/c/d"], &["/a/d"]);
        check("/{a,{b,c}d}*", &["/ax", "/bd", "/cdx"], &["/b", "/d"]);
    }

    #[test]
    fn an_escaped_character_is_itself() {
        check(r"/a\*b", &["/a*b"], &["/axb"]);
        check(r"/\{a\}", &["/{a}"], &["/a"]);
    }

    #[test]
    fn all_covering_patterns_are_found_once_each() {
        let mut set = PatternSet::default();
        let texts = ["/", "/a", "/a/**", "/**/b", "/a/b", "/a/c", "/*/b"];
        let ids: Vec<_> = texts.iter().map(|t| set.insert(&Pattern::parse(t).unwrap())).collect();
        let found = set.covering(&AbsPath::new(b"/a/b/x/b").unwrap());
        assert_eq!(found, [ids[0], ids[1], ids[2], ids[3], ids[4], ids[6]]);
        assert_eq!(set.insert(&Pattern::parse("/a").unwrap()), ids[1]);
        assert_eq!(set.insert(&Pattern::parse("/**/b").unwrap()), ids[3]);
        assert_eq!(set.len(), texts.len());
    }

    #[test]
    fn names_are_matched_whole_and_a_star_takes_every_byte() {
        let matches = |pattern: &str, name: &[u8]| {
            let mut set = NameSet::default();
            set.insert(&NamePattern::parse(pattern).unwrap());
            !set.matching(name).is_empty()
        };
        assert!(matches("app-*", b"app-1"));
        assert!(matches("app-*", b"app-/\0x"));
        assert!(!matches("app-*", b"app"));
        assert!(!matches("app", b"app/x"));
        assert!(!matches("app", b"app\0"));
        assert!(matches(r"app\x00", b"app\0"));
        assert!(matches("a?b", b"a/b"));
        assert!(matches("", b""));
        assert!(!matches("", b"a"));
    }

    #[test]
    fn hostile_patterns_take_linear_space_and_time() {
        let mut set = PatternSet::default();
        let braces = format!("/{}", "{a,b}".repeat(1000));
        let empty = format!("/x{}", "{,a}".repeat(1500));
        let stars = format!("/{}", "*a".repeat(500));
        let deep = format!("/{}x", "**/*a".repeat(200));
        for text in [&braces, &empty, &stars, &deep] {
            set.insert(&Pattern::parse(text).unwrap());
        }
        assert!(set.states() < 30_000, "{}", set.states());
        let path = format!("/x{}", "a".repeat(1000));
        assert_eq!(set.covering(&AbsPath::new(path.as_bytes()).unwrap()).len(), 2);
        let path = format!("/{}", "ab".repeat(500));
        assert_eq!(set.covering(&AbsPath::new(path.as_bytes()).unwrap()).len(), 1);
    }
}
