// SPDX-License-Identifier: Apache-2.0
//! A deterministic automaton for the tails of patterns behind one directory.
//!
//! Made from a nondeterministic one, in advance: whoever chooses the paths that are matched cannot
//! make it larger. Reading a byte costs one step, with at most eight comparisons, whatever the
//! patterns are; where every byte but a slash leads nowhere else, a whole component costs one.
//!
//! A few patterns can need exponentially many states (`/**/*a???…?b`). So making it is work that a
//! [`Budget`] bounds, linearly in the patterns, and those that need more stay nondeterministic.

use std::collections::BTreeMap;

use super::nfa::{Nfa, StateId, StateSet};
use super::pattern::ByteSet;
use super::set::PatternId;
use super::slash::first_len;

/// How much work may be spent on making automata, in states of the nondeterministic one looked at.
#[derive(Clone, Copy, Debug)]
struct Budget(u64);

/// A state, as an index.
type State = u32;

/// Nothing can be matched any more.
const DEAD: State = 0;
const START: State = 1;

/// Where a state leads.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// By a slash.
    slash: State,
    /// By a byte that no edge names.
    other: State,
    /// Where its edges begin; they end where the next state's begin. So with what it accepts.
    edges: u32,
    accepts: u32,
}

/// The automaton.
#[derive(Debug)]
pub(super) struct Dfa {
    /// By state, and one more.
    rows: Vec<Row>,
    /// Of each state's edges the bytes, ascending.
    bytes: Vec<u8>,
    /// Where each leads.
    targets: Vec<State>,
    accepts: Vec<PatternId>,
}

impl Budget {
    /// For an automaton of so many states: enough for patterns that people write.
    fn of(states: usize) -> Self {
        const EACH: u64 = 64;
        let states = u64::try_from(states).unwrap_or(u64::MAX);
        Self(states.saturating_add(EACH).saturating_mul(EACH))
    }

    fn spend(&mut self, work: usize) -> Option<()> {
        self.0 = self.0.checked_sub(u64::try_from(work).ok()?)?;
        Some(())
    }
}

impl Dfa {
    /// Makes what `nfa` is from its first state on; `None` if that costs too much.
    pub(super) fn new(nfa: &Nfa) -> Option<Self> {
        let budget = &mut Budget::of(nfa.len());
        let mut maker = Maker::new(nfa);
        let mut set = StateSet::default();
        nfa.enter(Nfa::FIRST, &mut set);
        maker.state(&StateSet::default());
        maker.state(&set);
        let mut dfa = Self { rows: Vec::new(), bytes: vec![], targets: vec![], accepts: vec![] };
        while let Some(states) = maker.sets.get(dfa.rows.len()).cloned() {
            dfa.add(&mut maker, &states, budget)?;
        }
        dfa.rows.push(dfa.row(DEAD, DEAD));
        Some(dfa)
    }

    /// A row whose edges and what it accepts are still to come.
    fn row(&self, slash: State, other: State) -> Row {
        Row { slash, other, edges: count(self.bytes.len()), accepts: count(self.accepts.len()) }
    }

    fn add(
        &mut self,
        maker: &mut Maker<'_>,
        states: &[StateId],
        budget: &mut Budget,
    ) -> Option<()> {
        let slash = maker.read(states, b'/', budget)?;
        let kinds = maker.kinds(states, budget)?;
        let other = kinds.iter().max_by_key(|(bytes, _)| bytes.len()).map_or(DEAD, |kind| kind.1);
        self.rows.push(self.row(slash, other));
        let leading_elsewhere = kinds.iter().filter(|(_, to)| *to != other);
        let mut edges: Vec<(u8, State)> = leading_elsewhere
            .flat_map(|(bytes, to)| bytes.iter().map(|byte| (byte, *to)))
            .collect();
        edges.sort_unstable();
        budget.spend(edges.len())?;
        self.bytes.extend(edges.iter().map(|(byte, _)| *byte));
        self.targets.extend(edges.iter().map(|(_, to)| *to));
        self.accepts.extend(maker.nfa.accepted(states));
        Some(())
    }

    /// Reads the rest of a path, and says which patterns match up to the end of a component.
    #[inline]
    pub(super) fn run(
        &self,
        rest: &[u8],
        mut found: impl FnMut(PatternId),
        mut step: impl FnMut(),
    ) {
        let (mut at, mut rest) = (START, rest);
        while let Some((&byte, behind)) = rest.split_first() {
            let Some([row, end]) = self.rows.get(at as usize..).and_then(|rows| rows.first_chunk())
            else {
                return;
            };
            step();
            if byte == b'/' {
                self.accepted(row, end, &mut found);
                at = row.slash;
            } else if row.edges != end.edges {
                at = self.edge(row, end, byte);
            } else if row.other == at {
                rest = rest.get(first_len(rest)..).unwrap_or_default();
                continue;
            } else {
                at = row.other;
            }
            if at == DEAD {
                return;
            }
            rest = behind;
        }
        if let Some([row, end]) = self.rows.get(at as usize..).and_then(|rows| rows.first_chunk()) {
            self.accepted(row, end, &mut found);
        }
    }

    fn edge(&self, row: &Row, end: &Row, byte: u8) -> State {
        let (from, to) = (row.edges as usize, end.edges as usize);
        let found = self.bytes.get(from..to).and_then(|bytes| bytes.binary_search(&byte).ok());
        found.and_then(|at| self.targets.get(from + at).copied()).unwrap_or(row.other)
    }

    fn accepted(&self, row: &Row, end: &Row, found: &mut impl FnMut(PatternId)) {
        let accepts = self.accepts.get(row.accepts as usize..end.accepts as usize);
        accepts.unwrap_or_default().iter().for_each(|&pattern| found(pattern));
    }
}

/// The sets of states that are known, each of which is one.
struct Maker<'a> {
    nfa: &'a Nfa,
    known: BTreeMap<Box<[StateId]>, State>,
    sets: Vec<Box<[StateId]>>,
    scratch: StateSet,
}

impl<'a> Maker<'a> {
    fn new(nfa: &'a Nfa) -> Self {
        Self { nfa, known: BTreeMap::new(), sets: Vec::new(), scratch: StateSet::default() }
    }

    fn state(&mut self, set: &StateSet) -> State {
        let states = set.sorted();
        if let Some(&state) = self.known.get(&*states) {
            return state;
        }
        let (state, states) = (count(self.sets.len()), states.into_boxed_slice());
        self.known.insert(states.clone(), state);
        self.sets.push(states);
        state
    }

    fn read(&mut self, states: &[StateId], byte: u8, budget: &mut Budget) -> Option<State> {
        budget.spend(1 + states.len())?;
        let mut set = std::mem::take(&mut self.scratch);
        set.clear();
        self.nfa.step(states, byte, &mut set);
        let state = self.state(&set);
        self.scratch = set;
        Some(state)
    }

    /// The bytes but the slash, by where they lead.
    fn kinds(&mut self, states: &[StateId], budget: &mut Budget) -> Option<Vec<(ByteSet, State)>> {
        let (mut named, mut classes) = (ByteSet::default(), Vec::new());
        self.nfa.told_apart(states, &mut named, &mut classes);
        named.remove(b'/');
        budget.spend(classes.len())?;
        let mut others = named.complement();
        others.remove(b'/');
        let alone = named.iter().map(|byte| {
            let mut alone = ByteSet::default();
            alone.insert(byte);
            alone
        });
        let parts = alone.chain(others.cut_by(classes));
        parts.map(|bytes| Some((bytes, self.read(states, bytes.iter().next()?, budget)?))).collect()
    }
}

/// INVARIANT: numbers of states are bounded by the budget, far below 2³².
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
