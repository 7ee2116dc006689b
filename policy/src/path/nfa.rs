// SPDX-License-Identifier: Apache-2.0
//! A nondeterministic automaton for many tails of patterns at once.
//!
//! Patterns that begin alike share states, so that the states which are active while a path is
//! read depend on how many patterns its bytes can still match, not on how many there are. There is
//! at most a constant number of states for each byte of a pattern, braces included: `{a,b}{c,d}…`
//! is linear. Reading a byte costs at most the active states with their edges.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bits::Bits;
use super::pattern::{ByteSet, Token};
use super::set::PatternId;

/// The index of a state.
pub(super) type StateId = u32;

const NONE: u32 = u32::MAX;

/// What an edge waits for; see [`Edge::on`].
const CLASS: u32 = 1 << 8;
const EPSILON: u32 = 1 << 31;
const STAR: u32 = EPSILON + 1;
const DEEP_STAR: u32 = EPSILON + 2;
const COMPONENTS: u32 = EPSILON + 3;

/// One edge, in a list that begins at its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    /// A byte; `CLASS` and the index of a class; or, from `EPSILON` on, nothing: why an edge that
    /// reads nothing is there, so that patterns with the same token share it.
    on: u32,
    to: StateId,
    next: u32,
}

/// What a state stays in when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stays {
    No,
    WithinComponent,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    edges: u32,
    accepts: u32,
    stays: Stays,
    waits: Waits,
    reaches: Reaches,
}

/// What a state's edges wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waits {
    /// A slash and nothing else.
    Slash,
    /// Anything.
    More,
}

/// Whether another state is reached from a state without reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reaches {
    Itself,
    Others,
}

impl State {
    const fn new(stays: Stays) -> Self {
        let (waits, reaches) = (Waits::Slash, Reaches::Itself);
        Self { edges: NONE, accepts: NONE, stays, waits, reaches }
    }
}

/// The automaton.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nfa {
    states: Vec<State>,
    edges: Vec<Edge>,
    classes: Vec<ByteSet>,
    class_index: BTreeMap<ByteSet, u32>,
}

/// A set of states, in the order in which they were reached.
#[derive(Clone, Debug, Default)]
pub(super) struct StateSet {
    list: Vec<StateId>,
    /// The states of the list, once the list is too long to be searched.
    bits: Bits,
}

/// How long a list is searched from end to end.
const SHORT: usize = 24;

impl StateSet {
    fn insert(&mut self, state: StateId) -> bool {
        if self.list.len() < SHORT {
            if self.list.contains(&state) {
                return false;
            }
            self.list.push(state);
            return true;
        }
        if self.list.len() == SHORT {
            self.bits.extend(self.list.iter().copied());
        }
        let fresh = self.bits.insert(state);
        if fresh {
            self.list.push(state);
        }
        fresh
    }

    pub(super) fn clear(&mut self) {
        if self.list.len() >= SHORT {
            self.bits.clear(&self.list);
        }
        self.list.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn states(&self) -> &[StateId] {
        &self.list
    }

    /// The states in ascending order: equal sets give equal lists.
    pub(super) fn sorted(&self) -> Vec<StateId> {
        let mut list = self.list.clone();
        list.sort_unstable();
        list
    }
}

/// What is reused from byte to byte.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    active: StateSet,
    next: StateSet,
}

impl Nfa {
    /// The first state that is made.
    pub(super) const FIRST: StateId = 0;

    pub(super) fn new_state(&mut self) -> StateId {
        self.push_state(Stays::No)
    }

    fn push_state(&mut self, stays: Stays) -> StateId {
        let id = u32::try_from(self.states.len()).unwrap_or(NONE);
        self.states.push(State::new(stays));
        id
    }

    fn state(&self, id: StateId) -> State {
        self.states.get(id as usize).copied().unwrap_or(State::new(Stays::No))
    }

    fn edges(&self, id: StateId) -> impl Iterator<Item = Edge> {
        let at = move |index: u32| self.edges.get(index as usize).copied();
        std::iter::successors(at(self.state(id).edges), move |edge| at(edge.next))
    }

    fn add_edge(&mut self, from: StateId, on: u32, to: StateId) {
        let index = u32::try_from(self.edges.len()).unwrap_or(NONE);
        let Some(state) = self.states.get_mut(from as usize) else { return };
        self.edges.push(Edge { on, to, next: state.edges });
        state.edges = index;
        if on != u32::from(b'/') {
            state.waits = Waits::More;
        }
        if on >= EPSILON {
            state.reaches = Reaches::Others;
        }
    }

    /// Where the edge leads, which is made if it is not there.
    fn follow(&mut self, from: StateId, on: u32, stays: Stays) -> StateId {
        if let Some(edge) = self.edges(from).find(|edge| edge.on == on) {
            return edge.to;
        }
        let to = self.push_state(stays);
        self.add_edge(from, on, to);
        to
    }

    fn class(&mut self, set: ByteSet) -> u32 {
        let fresh = CLASS + u32::try_from(self.classes.len()).unwrap_or(NONE - CLASS);
        let on = *self.class_index.entry(set).or_insert(fresh);
        if on == fresh {
            self.classes.push(set);
        }
        on
    }

    /// The state that the tokens lead to from `from`.
    pub(super) fn add(&mut self, from: StateId, tokens: &[Token]) -> StateId {
        tokens.iter().fold(from, |state, token| self.add_token(state, token))
    }

    fn add_token(&mut self, from: StateId, token: &Token) -> StateId {
        match token {
            Token::Byte(byte) => self.follow(from, u32::from(*byte), Stays::No),
            Token::Class(set) => {
                let on = self.class(*set);
                self.follow(from, on, Stays::No)
            }
            Token::Star => self.follow(from, STAR, Stays::WithinComponent),
            Token::DeepStar => self.follow(from, DEEP_STAR, Stays::Always),
            Token::Components => self.add_components(from),
            Token::Alternatives(alternatives) => {
                let join = self.new_state();
                for alternative in alternatives {
                    let end = self.add(from, alternative);
                    self.add_edge(end, EPSILON, join);
                }
                join
            }
        }
    }

    /// `**/`: back where it began after each whole component.
    fn add_components(&mut self, from: StateId) -> StateId {
        let known = self.edges(from).any(|edge| edge.on == COMPONENTS);
        let start = self.follow(from, COMPONENTS, Stays::No);
        if !known {
            let mut name = ByteSet::default().complement();
            name.remove(b'/');
            let on = self.class(name);
            let within = self.push_state(Stays::WithinComponent);
            self.add_edge(start, on, within);
            self.add_edge(within, u32::from(b'/'), start);
        }
        start
    }

    /// Makes the state accept `pattern`, or says which it accepts already.
    pub(super) fn accept(&mut self, state: StateId, pattern: PatternId) -> PatternId {
        let Some(state) = self.states.get_mut(state as usize) else { return pattern };
        if state.accepts == NONE {
            state.accepts = pattern.0;
        }
        PatternId(state.accepts)
    }

    /// Adds the state and what it reaches without reading.
    pub(super) fn enter(&self, state: StateId, set: &mut StateSet) {
        if !set.insert(state) || self.state(state).reaches == Reaches::Itself {
            return;
        }
        let mut next = set.list.len() - 1;
        while let Some(&state) = set.list.get(next) {
            for edge in self.edges(state).filter(|edge| edge.on >= EPSILON) {
                set.insert(edge.to);
            }
            next += 1;
        }
    }

    /// Whether nothing but a slash leads from these states anywhere else. For more than one that is
    /// not worth finding out at every byte.
    pub(super) fn waits_for_slash(&self, states: &[StateId]) -> bool {
        let [state] = states else { return false };
        let State { stays, waits, .. } = self.state(*state);
        stays == Stays::WithinComponent && waits == Waits::Slash
    }

    /// What reading `byte` leads to, from each of the states.
    pub(super) fn step(&self, from: &[StateId], byte: u8, to: &mut StateSet) {
        for &id in from {
            let stays = match self.state(id).stays {
                Stays::No => false,
                Stays::WithinComponent => byte != b'/',
                Stays::Always => true,
            };
            if stays {
                self.enter(id, to);
            }
            for edge in self.edges(id) {
                if self.reads(edge.on, byte) {
                    self.enter(edge.to, to);
                }
            }
        }
    }

    fn reads(&self, on: u32, byte: u8) -> bool {
        if on < CLASS {
            return on == u32::from(byte);
        }
        on < EPSILON
            && self.classes.get((on - CLASS) as usize).is_some_and(|set| set.contains(byte))
    }

    /// The patterns that are matched where one of these states is reached.
    pub(super) fn accepted(&self, states: &[StateId]) -> impl Iterator<Item = PatternId> {
        let accepts = states.iter().map(|&id| self.state(id).accepts);
        accepts.filter(|&accepts| accepts != NONE).map(PatternId)
    }

    /// Reads the rest of a path, and says which patterns match up to the end of a component: those
    /// cover the whole path.
    pub(super) fn run(
        &self,
        start: StateId,
        rest: &[u8],
        scratch: &mut Scratch,
        mut found: impl FnMut(PatternId),
    ) {
        let Scratch { active, next } = scratch;
        active.clear();
        self.enter(start, active);
        let mut rest = rest;
        while let Some((&byte, behind)) = rest.split_first() {
            if byte == b'/' {
                self.accepted(active.states()).for_each(&mut found);
            } else if self.waits_for_slash(active.states()) {
                let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
                rest = &rest[end..];
                continue;
            }
            next.clear();
            self.step(active.states(), byte, next);
            std::mem::swap(active, next);
            if active.is_empty() {
                return;
            }
            rest = behind;
        }
        self.accepted(active.states()).for_each(found);
    }

    /// The part that is reached from `start`, which becomes [`Nfa::FIRST`], with patterns numbered
    /// anew, and what each was: parts that match alike beneath two directories are mostly equal.
    pub(super) fn part(&self, start: StateId) -> (Self, Vec<PatternId>) {
        let (mut part, mut patterns) = (Self::default(), Vec::new());
        let mut known = BTreeMap::from([(start, Self::FIRST)]);
        let mut waiting = VecDeque::from([start]);
        part.push_state(self.state(start).stays);
        while let Some(old) = waiting.pop_front() {
            let from = known.get(&old).copied().unwrap_or(Self::FIRST);
            if self.state(old).accepts != NONE {
                let number = PatternId(u32::try_from(patterns.len()).unwrap_or(NONE));
                patterns.push(PatternId(self.state(old).accepts));
                part.accept(from, number);
            }
            for edge in self.edges(old) {
                let to = *known.entry(edge.to).or_insert_with(|| {
                    waiting.push_back(edge.to);
                    part.push_state(self.state(edge.to).stays)
                });
                let class = edge.on.checked_sub(CLASS).filter(|_| edge.on < EPSILON);
                let class = class.and_then(|class| self.classes.get(class as usize).copied());
                let on = class.map_or(edge.on, |set| part.class(set));
                part.add_edge(from, on, to);
            }
        }
        (part, patterns)
    }

    /// The patterns that can still be matched from these states by reading something.
    pub(super) fn acceptable(&self, states: &[StateId], found: &mut BTreeSet<PatternId>) {
        let mut seen: BTreeSet<StateId> = states.iter().copied().collect();
        let mut waiting: Vec<StateId> = states.to_vec();
        while let Some(id) = waiting.pop() {
            for edge in self.edges(id) {
                if seen.insert(edge.to) {
                    waiting.push(edge.to);
                }
            }
            let accepts = self.state(id).accepts;
            if accepts != NONE {
                found.insert(PatternId(accepts));
            }
        }
    }

    /// The bytes that edges of these states name, and the classes of bytes that they tell apart:
    /// two bytes that are not named and are in the same classes lead to the same.
    pub(super) fn told_apart(
        &self,
        states: &[StateId],
        named: &mut ByteSet,
        classes: &mut Vec<ByteSet>,
    ) {
        for &id in states {
            for edge in self.edges(id).filter(|edge| edge.on < EPSILON) {
                match u8::try_from(edge.on) {
                    Ok(byte) => named.insert(byte),
                    Err(_) => {
                        classes.extend(self.classes.get((edge.on - CLASS) as usize).copied());
                    }
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }
}
