// SPDX-License-Identifier: Apache-2.0
//! All that patterns can tell apart, each with an example.
//!
//! Sets of patterns divide paths into classes: two paths are in the same class if the same
//! patterns cover them and can cover what is beneath them. [`explore`] visits one path of every
//! class that there is, the shortest first, for several sets at once: the product of their tries
//! and automata, made deterministic as it is needed.
//!
//! Guarantees: every visited path is one that can exist (no empty, `.` or `..` component, at most
//! `PATH_MAX`); if sets ever differ about a path, they differ about a visited one. Deterministic.
//! There can be exponentially many classes, so the work is bounded by a [`Budget`] and ends in
//! [`TooComplex`] rather than in hours.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::absolute::{AbsPath, MAX_PATH};
use super::nfa::{Nfa, StateId, StateSet};
use super::pattern::ByteSet;
use super::set::{NameSet, Node, NodeId, PatternId, PatternSet};

/// The patterns are too entangled to be compared within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the patterns are too complex to be compared")]
pub struct TooComplex;

/// How much work may be done, in states looked at; a state costs some hundred nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    /// Enough for large policies: a few seconds at most.
    pub(crate) const POLICY: Self = Self(12_000_000);
    /// Enough for most directories; some milliseconds.
    pub(crate) const MOVE: Self = Self(50_000);
    /// Enough for a pair of patterns that people write.
    pub(crate) const PAIR: Self = Self(500_000);

    fn spend(&mut self, work: usize) -> Result<(), TooComplex> {
        let work = u64::try_from(work).unwrap_or(u64::MAX);
        self.0 = self.0.checked_sub(work).ok_or(TooComplex)?;
        Ok(())
    }
}

/// What to do after a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on, beneath this path too.
    Beneath,
    /// What is beneath this path does not matter.
    Skip,
    /// All is known.
    Stop,
}

/// Who is shown the paths.
pub(crate) trait Visitor<const N: usize> {
    /// A path, and the patterns of each set that cover it (ascending). Those that are taken out
    /// are not shown again beneath this path unless they match there anew; the fewer are kept, the
    /// fewer classes there are.
    fn visit(&mut self, path: &[u8], covering: &mut [Vec<PatternId>; N]) -> Next;

    /// Whether it is worth going on where these patterns cover, and from which sets more may.
    fn worthwhile(&self, _covering: &[Vec<PatternId>; N], _live: [bool; N]) -> bool {
        true
    }
}

/// What the component that is being made up is so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Nothing,
    Dot,
    DotDot,
    Proper,
}

impl Name {
    const fn push(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Nothing, b'.') => Self::Dot,
            (Self::Dot, b'.') => Self::DotDot,
            _ => Self::Proper,
        }
    }
}

/// Where one set is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Track {
    /// The directory, as long as it has a child that the component may become.
    node: Option<NodeId>,
    /// The automaton's states, ascending.
    states: Vec<StateId>,
}

/// A path, or the beginning of one.
#[derive(Clone, Debug)]
struct Place<const N: usize> {
    path: Vec<u8>,
    /// Where the last component begins.
    component: usize,
    name: Name,
    tracks: [Track; N],
    /// What covers the directory.
    covering: [Vec<PatternId>; N],
}

impl<const N: usize> PartialEq for Place<N> {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl<const N: usize> Eq for Place<N> {}

impl<const N: usize> PartialOrd for Place<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Place<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.path.len(), &self.path).cmp(&(other.path.len(), &other.path))
    }
}

/// A place where no literal is under way: what follows depends on this alone.
type Class<const N: usize> = (Name, [Vec<StateId>; N], [Vec<PatternId>; N]);

struct Explorer<'a, const N: usize, V> {
    sets: [&'a PatternSet; N],
    visitor: &'a mut V,
    budget: Budget,
    waiting: BinaryHeap<Reverse<Place<N>>>,
    seen: BTreeSet<Class<N>>,
    scratch: StateSet,
}

/// Shows the visitor a path of every class.
pub(crate) fn explore<const N: usize, V: Visitor<N>>(
    sets: [&PatternSet; N],
    visitor: &mut V,
    budget: Budget,
) -> Result<(), TooComplex> {
    let (waiting, seen, scratch) = (BinaryHeap::new(), BTreeSet::new(), StateSet::default());
    let mut explorer = Explorer { sets, visitor, budget, waiting, seen, scratch };
    let root = sets.map(|set| set.node(PatternSet::ROOT));
    let mut covering = root.map(|node| node.and_then(|node| node.literal).into_iter().collect());
    match explorer.visitor.visit(b"/", &mut covering) {
        Next::Stop | Next::Skip => return Ok(()),
        Next::Beneath => {}
    }
    let tracks = std::array::from_fn(|index| {
        explorer.scratch.clear();
        explorer.track(index, Some(PatternSet::ROOT))
    });
    let path = vec![b'/'];
    explorer.wait(Place { path, component: 1, name: Name::Nothing, tracks, covering })?;
    while let Some(Reverse(place)) = explorer.waiting.pop() {
        if explorer.advance(&place)? == Next::Stop {
            break;
        }
    }
    Ok(())
}

/// Shows the visitor what lies beneath two directories alike, a path of every class: the paths
/// are those beneath the first, and what covers the first set's is what covers them, the second's
/// what covers the same names beneath the second directory.
pub(crate) fn explore_beneath<V: Visitor<2>>(
    set: &PatternSet,
    directories: [&AbsPath; 2],
    visitor: &mut V,
    budget: Budget,
) -> Result<(), TooComplex> {
    let (waiting, seen, scratch) = (BinaryHeap::new(), BTreeSet::new(), StateSet::default());
    let sets = [set, set];
    let mut explorer = Explorer { sets, visitor, budget, waiting, seen, scratch };
    let tracks = directories.map(|directory| {
        let (node, states) = set.enter(directory);
        let node = node.filter(|id| set.node(*id).is_some_and(|node| !node.children.is_empty()));
        Track { node, states }
    });
    let covering = directories.map(|directory| set.covering(directory));
    let mut path = directories[0].as_bytes().to_vec();
    if path.len() > 1 {
        path.push(b'/');
    }
    let component = path.len();
    explorer.wait(Place { path, component, name: Name::Nothing, tracks, covering })?;
    while let Some(Reverse(place)) = explorer.waiting.pop() {
        if explorer.advance(&place)? == Next::Stop {
            break;
        }
    }
    Ok(())
}

impl<const N: usize, V: Visitor<N>> Explorer<'_, N, V> {
    /// The track that enters a directory with what is in `scratch`.
    fn track(&mut self, set: usize, node: Option<NodeId>) -> Track {
        let of_set = self.sets[set];
        let entered = node.and_then(|id| of_set.node(id));
        if let Some(start) = entered.and_then(|node| node.tails) {
            of_set.nfa.enter(start, &mut self.scratch);
        }
        let node = node.filter(|_| entered.is_some_and(|node| !node.children.is_empty()));
        Track { node, states: self.scratch.sorted() }
    }

    /// Puts a place in the queue, unless its class was seen or it leads nowhere.
    fn wait(&mut self, place: Place<N>) -> Result<(), TooComplex> {
        let live: [bool; N] = std::array::from_fn(|set| {
            place.tracks[set].node.is_some() || !place.tracks[set].states.is_empty()
        });
        let leads_nowhere = live.iter().all(|live| !live) || place.path.len() > MAX_PATH;
        if leads_nowhere || !self.visitor.worthwhile(&place.covering, live) {
            return Ok(());
        }
        if place.tracks.iter().all(|track| track.node.is_none()) {
            let states = std::array::from_fn(|set| place.tracks[set].states.clone());
            self.budget.spend(place.covering.iter().map(Vec::len).sum())?;
            if !self.seen.insert((place.name, states, place.covering.clone())) {
                return Ok(());
            }
        }
        self.waiting.push(Reverse(place));
        Ok(())
    }

    /// Makes the last component longer in every way that matters.
    fn advance(&mut self, place: &Place<N>) -> Result<Next, TooComplex> {
        if place.tracks.iter().all(|track| track.states.is_empty()) {
            return self.advance_by_names(place);
        }
        for byte in self.bytes(place)? {
            let next = self.push(place, byte)?;
            if next.name == Name::Proper && self.end(&next)? == Next::Stop {
                return Ok(Next::Stop);
            }
            self.wait(next)?;
        }
        Ok(Next::Beneath)
    }

    /// Where only literals are left, whole components.
    fn advance_by_names(&mut self, place: &Place<N>) -> Result<Next, TooComplex> {
        let begun = &place.path[place.component..];
        let mut names = BTreeSet::new();
        for (set, track) in self.sets.iter().zip(&place.tracks) {
            if let Some(node) = track.node.and_then(|id| set.node(id)) {
                names.extend(beginning_with(node, begun).map(|(name, _)| name));
            }
        }
        for name in names {
            self.budget.spend(1)?;
            let mut next = place.clone();
            next.path.extend_from_slice(&name[begun.len()..]);
            next.name = Name::Proper;
            if next.path.len() <= MAX_PATH
                && name.len() > begun.len()
                && self.end(&next)? == Next::Stop
            {
                return Ok(Next::Stop);
            }
        }
        Ok(Next::Beneath)
    }

    /// One byte of every kind that the place tells apart.
    fn bytes(&mut self, place: &Place<N>) -> Result<Vec<u8>, TooComplex> {
        let (mut named, mut classes) = (ByteSet::default(), Vec::new());
        let begun = &place.path[place.component..];
        for (set, track) in self.sets.iter().zip(&place.tracks) {
            set.nfa.told_apart(&track.states, &mut named, &mut classes);
            if let Some(node) = track.node.and_then(|id| set.node(id)) {
                next_bytes(node, begun, &mut named);
            }
        }
        self.budget.spend(classes.len())?;
        Ok(kinds(named, classes, &[0, b'/']))
    }

    fn push(&mut self, place: &Place<N>, byte: u8) -> Result<Place<N>, TooComplex> {
        let mut next = place.clone();
        next.path.push(byte);
        next.name = place.name.push(byte);
        let begun = &next.path[next.component..];
        for (set, track) in self.sets.iter().zip(&mut next.tracks) {
            self.budget.spend(1 + track.states.len())?;
            self.scratch.clear();
            set.nfa.step(&track.states, byte, &mut self.scratch);
            track.states = self.scratch.sorted();
            let node = track.node.and_then(|id| set.node(id));
            if node.is_none_or(|node| beginning_with(node, begun).next().is_none()) {
                track.node = None;
            }
        }
        Ok(next)
    }

    /// The place is a whole path: shows it, and enters it as a directory.
    fn end(&mut self, place: &Place<N>) -> Result<Next, TooComplex> {
        let name = &place.path[place.component..];
        let children: [Option<NodeId>; N] = std::array::from_fn(|set| {
            let node = place.tracks[set].node.and_then(|id| self.sets[set].node(id))?;
            node.children.get(name).copied()
        });
        let mut covering = place.covering.clone();
        for set in 0..N {
            let found = &mut covering[set];
            found.extend(self.sets[set].nfa.accepted(&place.tracks[set].states));
            found.extend(children[set].and_then(|id| self.sets[set].node(id)?.literal));
            found.sort_unstable();
            found.dedup();
            self.budget.spend(1 + place.tracks[set].states.len() + found.len())?;
        }
        match self.visitor.visit(&place.path, &mut covering) {
            Next::Beneath => {}
            done => return Ok(done),
        }
        let tracks = std::array::from_fn(|set| {
            self.scratch.clear();
            self.sets[set].nfa.step(&place.tracks[set].states, b'/', &mut self.scratch);
            self.track(set, children[set])
        });
        let mut path = place.path.clone();
        path.push(b'/');
        let component = path.len();
        self.wait(Place { path, component, name: Name::Nothing, tracks, covering })?;
        Ok(Next::Beneath)
    }
}

/// The children whose names begin so.
fn beginning_with<'n>(node: &'n Node, begun: &'n [u8]) -> impl Iterator<Item = (&'n [u8], NodeId)> {
    use std::ops::Bound;
    let range = (Bound::Included(begun), Bound::Unbounded);
    node.children
        .range::<[u8], _>(range)
        .map(|(name, id)| (&**name, *id))
        .take_while(move |(name, _)| name.starts_with(begun))
}

/// The bytes that may follow so that the name is still the beginning of a child's.
fn next_bytes(node: &Node, begun: &[u8], bytes: &mut ByteSet) {
    // From one byte to the next, not through every child.
    let at = begun.len();
    let mut from = begun.to_vec();
    while let Some(byte) = following(node, &from, at) {
        bytes.insert(byte);
        let Some(next) = byte.checked_add(1) else { break };
        from.truncate(at);
        from.push(next);
    }
}

/// The byte at `at` of the first child from `from` on that agrees with it before `at`.
fn following(node: &Node, from: &[u8], at: usize) -> Option<u8> {
    use std::ops::Bound;
    let range = (Bound::Included(from), Bound::Unbounded);
    let agreeing = node.children.range::<[u8], _>(range).map(|(name, _)| name);
    agreeing.take_while(|name| name.starts_with(&from[..at])).find_map(|name| name.get(at).copied())
}

/// The named bytes, and one of each kind of the others; none of those that are ruled out.
fn kinds(named: ByteSet, classes: Vec<ByteSet>, ruled_out: &[u8]) -> Vec<u8> {
    let mut others = named.complement();
    ruled_out.iter().for_each(|byte| others.remove(*byte));
    let mut bytes: Vec<u8> = others.cut_by(classes).into_iter().filter_map(readable).collect();
    bytes.extend(named.iter().filter(|byte| !ruled_out.contains(byte)));
    bytes
}

/// The byte of the set that looks best in an example.
fn readable(set: ByteSet) -> Option<u8> {
    let letters = (b'x'..=b'z').chain(b'a'..=b'w');
    let digits = (b'0'..=b'9').chain(b'A'..=b'Z');
    let rest = (0x21..=0x7e).filter(|byte| *byte != b'.');
    let all = letters.chain(digits).chain(rest).chain(0..=u8::MAX);
    { all }.find(|byte| set.contains(*byte))
}

/// Shows `visit` a name of every class that sets of patterns of names tell apart, the shortest
/// first, with the patterns of each set that match it; until it says that all is known.
pub(crate) fn explore_names<const N: usize>(
    sets: [&NameSet; N],
    mut budget: Budget,
    mut visit: impl FnMut(&[u8], [Vec<PatternId>; N]) -> Next,
) -> Result<(), TooComplex> {
    let mut scratch = StateSet::default();
    let start: [Vec<StateId>; N] = sets.map(|set| {
        scratch.clear();
        set.nfa.enter(set.start, &mut scratch);
        scratch.sorted()
    });
    let mut seen = BTreeSet::from([start.clone()]);
    let mut waiting = std::collections::VecDeque::from([(Vec::new(), start)]);
    while let Some((name, states)) = waiting.pop_front() {
        let matching = std::array::from_fn(|set| matching(&sets[set].nfa, &states[set]));
        if visit(&name, matching) == Next::Stop {
            break;
        }
        let (mut named, mut classes) = (ByteSet::default(), Vec::new());
        for (set, states) in sets.iter().zip(&states) {
            budget.spend(1 + states.len())?;
            set.nfa.told_apart(states, &mut named, &mut classes);
        }
        for byte in kinds(named, classes, &[]) {
            let mut next: [Vec<StateId>; N] = std::array::from_fn(|_| Vec::new());
            for set in 0..N {
                budget.spend(1 + states[set].len())?;
                scratch.clear();
                sets[set].nfa.step(&states[set], byte, &mut scratch);
                next[set] = scratch.sorted();
            }
            if seen.insert(next.clone()) {
                waiting.push_back(([&name[..], &[byte]].concat(), next));
            }
        }
    }
    Ok(())
}

fn matching(nfa: &Nfa, states: &[StateId]) -> Vec<PatternId> {
    let mut found: Vec<_> = nfa.accepted(states).collect();
    found.sort_unstable();
    found.dedup();
    found
}
