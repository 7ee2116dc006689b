// SPDX-License-Identifier: Apache-2.0
//! Walking down a tree of files beside a set of patterns.
//!
//! A [`Cursor`] stands at one path and knows which patterns cover it and which can still cover
//! something beneath it: what a walk has to know to stop where nothing differs any more.

use std::collections::BTreeSet;

use super::nfa::{StateId, StateSet};
use super::set::{NodeId, PatternId, PatternSet};

/// A place in a tree, as a set of patterns sees it.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    node: Option<NodeId>,
    /// The automaton's states behind the path and a slash.
    states: Vec<StateId>,
    /// The patterns that cover the path: ascending, each once.
    covering: Vec<PatternId>,
}

impl Cursor {
    /// The patterns that cover the path, in ascending order.
    pub(crate) fn covering(&self) -> &[PatternId] {
        &self.covering
    }

    /// Whether a pattern with wildcards may cover something beneath, by any name.
    pub(crate) fn in_region(&self) -> bool {
        !self.states.is_empty()
    }
}

impl PatternSet {
    /// At `/`.
    pub(crate) fn at_root(&self) -> Cursor {
        let mut active = StateSet::default();
        let root = self.node(Self::ROOT);
        if let Some(start) = root.and_then(|node| node.tails) {
            self.nfa.enter(start, &mut active);
        }
        let covering = root.and_then(|node| node.literal).into_iter().collect();
        Cursor { node: Some(Self::ROOT), states: active.sorted(), covering }
    }

    /// At the child of this name.
    pub(crate) fn child_of(&self, cursor: &Cursor, name: &[u8]) -> Cursor {
        let (mut active, mut next) = (StateSet::default(), StateSet::default());
        let mut states = cursor.states.clone();
        for &byte in name {
            next.clear();
            self.nfa.step(&states, byte, &mut next);
            states = next.sorted();
        }
        let mut covering = cursor.covering.clone();
        covering.extend(self.nfa.accepted(&states));
        self.nfa.step(&states, b'/', &mut active);
        let children = cursor.node.and_then(|id| self.node(id)).map(|node| &node.children);
        let node = children.and_then(|children| children.get(name)).copied();
        if let Some(here) = node.and_then(|id| self.node(id)) {
            covering.extend(here.literal);
            if let Some(start) = here.tails {
                self.nfa.enter(start, &mut active);
            }
        }
        covering.sort_unstable();
        covering.dedup();
        Cursor { node, states: active.sorted(), covering }
    }

    /// At a child whose name no literal names, where no wildcard is in the way either.
    pub(crate) fn other_child_of(&self, cursor: &Cursor) -> Cursor {
        Cursor { node: None, states: Vec::new(), covering: cursor.covering.clone() }
    }

    /// The children that literals, or the literal beginnings of patterns, name or lie beneath.
    pub(crate) fn named_children<'a>(
        &'a self,
        cursor: &Cursor,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let node = cursor.node.and_then(|id| self.node(id));
        node.into_iter().flat_map(|node| node.children.keys().map(|name| &**name))
    }

    /// The patterns that may cover something strictly beneath the path, whether or not they cover
    /// the path already.
    pub(crate) fn live_beneath(&self, cursor: &Cursor) -> BTreeSet<PatternId> {
        let mut live = BTreeSet::new();
        self.nfa.acceptable(&cursor.states, &mut live);
        let mut waiting: Vec<NodeId> = cursor
            .node
            .and_then(|id| self.node(id))
            .into_iter()
            .flat_map(|node| node.children.values().copied())
            .collect();
        while let Some(node) = waiting.pop().and_then(|id| self.node(id)) {
            live.extend(node.literal);
            if let Some(start) = node.tails {
                self.nfa.acceptable(&[start], &mut live);
            }
            waiting.extend(node.children.values().copied());
        }
        live
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AbsPath, Pattern};
    use super::*;

    fn set(texts: &[&str]) -> PatternSet {
        let mut set = PatternSet::default();
        for text in texts {
            set.insert(&Pattern::parse(text).unwrap());
        }
        set
    }

    fn at(set: &PatternSet, path: &str) -> Cursor {
        let path = AbsPath::new(path.as_bytes()).unwrap();
        path.components().fold(set.at_root(), |cursor, name| set.child_of(&cursor, name))
    }

    #[test]
    fn a_cursor_covers_what_a_lookup_covers() {
        let texts = ["/", "/a", "/a/**", "/**/b", "/a/b", "/a/c*", "/*/b", "/{x,y}/z"];
        let set = set(&texts);
        for path in ["/", "/a", "/a/b", "/a/cd/e", "/x/z", "/x/b/q", "/q"] {
            let found = set.covering(&AbsPath::new(path.as_bytes()).unwrap());
            assert_eq!(at(&set, path).covering(), found, "{path}");
        }
    }

    #[test]
    fn what_is_live_beneath_can_still_match() {
        let set = set(&["/a/b/c", "/a/*.key", "/d/**/e"]);
        let live = |path: &str| -> Vec<usize> {
            set.live_beneath(&at(&set, path)).into_iter().map(PatternId::index).collect()
        };
        assert_eq!(live("/"), [0, 1, 2]);
        assert_eq!(live("/a"), [0, 1]);
        assert_eq!(live("/a/b"), [0]);
        assert_eq!(live("/a/b/c"), [0_usize; 0]);
        assert_eq!(live("/d/x/y"), [2]);
        assert_eq!(live("/q"), [0_usize; 0]);
        assert!(at(&set, "/a").in_region() && !at(&set, "/").in_region());
        assert!(!at(&set, "/a/x").in_region());
    }
}
