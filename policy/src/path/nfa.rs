// SPDX-License-Identifier: Apache-2.0
//! A nondeterministic automaton for many tails of patterns at once.
//!
//! Patterns that begin alike share states, so that the states which are active while a path is
//! read depend on how many patterns its bytes can still match, not on how many there are. There is
//! at most a constant number of states for each byte of a pattern, braces included: `{a,b}{c,d}…`
//! is linear. Reading a byte costs at most the active states with their edges.

use std::collections::{BTreeMap, BTreeSet};

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
#[derive(Clone, Copy, Debug)]
struct Edge {
    /// A byte; `CLASS` and the index of a class; or, from `EPSILON` on, nothing: why an edge that
    /// reads nothing is there, so that patterns with the same token share it.
    on: u32,
    to: StateId,
    next: u32,
}

/// What a state stays in when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    No,
    WithinComponent,
    Always,
}

#[derive(Clone, Copy, Debug)]
struct State {
    edges: u32,
    accepts: u32,
    stays: Stays,
    waits: Waits,
    reaches: Reaches,
}

/// What a state's edges wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// A slash and nothing else.
    Slash,
    /// Anything.
    More,
}

/// Whether another state is reached from a state without reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Debug, Default)]
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
    /// A bit for each state of the list, once the list is too long to be searched.
    bits: Vec<u64>,
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
            (0..SHORT).for_each(|index| {
                self.mark(self.list[index]);
            });
        }
        let fresh = self.mark(state);
        if fresh {
            self.list.push(state);
        }
        fresh
    }

    /// Sets the state's bit and says whether it was clear.
    fn mark(&mut self, state: StateId) -> bool {
        let (word, bit) = (state as usize / 64, 1 << (state % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let fresh = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        fresh
    }

    pub(super) fn clear(&mut self) {
        if self.list.len() >= SHORT {
            for state in &self.list {
                if let Some(word) = self.bits.get_mut(*state as usize / 64) {
                    *word = 0;
                }
            }
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

impl Nfa {
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
    pub(super) fn accepted(&self, states: &[StateId], found: &mut Vec<PatternId>) {
        let accepts = states.iter().map(|&id| self.state(id).accepts);
        found.extend(accepts.filter(|&accepts| accepts != NONE).map(PatternId));
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
