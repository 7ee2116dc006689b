// SPDX-License-Identifier: Apache-2.0
//! From decisions to comparisons of 32-bit words, which is all that classic BPF has.
//!
//! The words of a call are its number, its architecture and the halves of its arguments. Numbers
//! are found by a binary search that is balanced by how often calls are made; a call whose answer
//! does not depend on its arguments reaches it without an argument being loaded, so the kernel can
//! see that it is constant.

use super::arch::Endian;
use super::condition::Operator;
use super::generate::{Decisions, Token};
use super::syscall::{Syscall, Width};
use super::tree::{Node, NodeId, Test};
use std::collections::BTreeMap;

/// A word of `struct seccomp_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Number,
    Arch,
    Low(u8),
    High(u8),
}

impl Word {
    /// Its offset.
    pub(super) fn offset(self, endian: Endian) -> u32 {
        let half = |index: u8, high: bool| {
            16 + 8 * u32::from(index) + 4 * u32::from(high == (endian == Endian::Little))
        };
        match self {
            Self::Number => 0,
            Self::Arch => 4,
            Self::Low(index) => half(index, false),
            Self::High(index) => half(index, true),
        }
    }
}

/// How a word is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Compare {
    Equal(u32),
    Greater(u32),
    GreaterOrEqual(u32),
    AnyBit(u32),
}

/// A number of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StepId(u32);

impl StepId {
    pub(super) fn position(self) -> usize {
        self.0 as usize
    }
}

/// One comparison, or the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Return(u32),
    Branch { word: Word, mask: Option<u32>, compare: Compare, yes: StepId, no: StepId },
}

/// Steps; what a step leads to has a smaller number.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub steps: Vec<Step>,
    known: BTreeMap<Step, StepId>,
}

impl Steps {
    fn intern(&mut self, step: Step) -> StepId {
        if let Some(id) = self.known.get(&step) {
            return *id;
        }
        #[allow(clippy::cast_possible_truncation)] // decisions are limited before
        let id = StepId(self.steps.len() as u32);
        self.steps.push(step);
        self.known.insert(step, id);
        id
    }

    fn branch(&mut self, word: Word, compare: Compare, yes: StepId, no: StepId) -> StepId {
        self.masked(word, None, compare, yes, no)
    }

    fn masked(
        &mut self,
        word: Word,
        mask: Option<u32>,
        compare: Compare,
        yes: StepId,
        no: StepId,
    ) -> StepId {
        if yes == no { yes } else { self.intern(Step::Branch { word, mask, compare, yes, no }) }
    }
}

/// The whole program as steps, and where it begins.
pub(super) fn lower(decisions: &Decisions) -> (Steps, StepId) {
    let mut steps = Steps::default();
    let mut lowered = Vec::with_capacity(decisions.forest.nodes().len());
    for node in decisions.forest.nodes() {
        let id = match node {
            Node::Answer(action) => steps.intern(Step::Return(action.encode())),
            Node::Test(test) => {
                let (yes, no) = (lowered[test.yes.position()], lowered[test.no.position()]);
                steps.test(test, yes, no)
            }
        };
        lowered.push(id);
    }
    let mut root = lowered[decisions.unlisted.position()];
    for token in decisions.tokens.iter().rev() {
        let search = steps.search(&ranges(token, &lowered));
        root = steps.branch(Word::Arch, Compare::Equal(token.token), search, root);
    }
    (steps, root)
}

/// A run of numbers with one decision.
struct Range {
    start: u32,
    /// The last number.
    end: u32,
    step: StepId,
    weight: u64,
}

/// The most used calls of ordinary programs, by which the search is balanced.
pub const HOT: [&str; 20] = [
    "read",
    "write",
    "close",
    "openat",
    "newfstatat",
    "fstat",
    "mmap",
    "munmap",
    "mprotect",
    "brk",
    "lseek",
    "futex",
    "epoll_wait",
    "poll",
    "recvfrom",
    "sendto",
    "rt_sigprocmask",
    "rt_sigaction",
    "pread64",
    "getpid",
];

fn ranges(token: &Token, lowered: &[StepId]) -> Vec<Range> {
    let hot: Vec<u32> = HOT
        .iter()
        .filter_map(|name| Syscall::from_name(name))
        .flat_map(|call| token.archs.iter().take(1).filter_map(move |arch| call.number(*arch)))
        .collect();
    let ends = token.ranges[1..].iter().map(|(start, _)| start - 1).chain([u32::MAX]);
    let range = |((start, node), end): (&(u32, NodeId), u32)| Range {
        start: *start,
        end,
        step: lowered[node.position()],
        // A hot call outweighs a few dozen cold ranges and does not unbalance the rest.
        weight: 1 + 24 * hot.iter().filter(|nr| (*start..=end).contains(nr)).count() as u64,
    };
    token.ranges.iter().zip(ends).map(range).collect()
}

impl Steps {
    /// Finds the range of the number. Recursion is as deep as the tree.
    fn search(&mut self, ranges: &[Range]) -> StepId {
        match ranges {
            [] => self.intern(Step::Return(0)),
            [only] => only.step,
            // One number that differs from its surroundings.
            [before, one, after] if before.step == after.step && one.start == one.end => {
                self.branch(Word::Number, Compare::Equal(one.start), one.step, before.step)
            }
            _ => {
                let (below, above) = ranges.split_at(middle(ranges));
                let start = above[0].start;
                let (yes, no) = (self.search(above), self.search(below));
                self.branch(Word::Number, Compare::GreaterOrEqual(start), yes, no)
            }
        }
    }

    fn test(&mut self, test: &Test, yes: StepId, no: StepId) -> StepId {
        match test.width {
            Width::Bits64 => self.wide(test.index, test.operator, yes, no),
            Width::Bits32 => self.narrow(test.index, None, test.operator, yes, no),
            Width::Bits16 => self.narrow(test.index, Some(0xFFFF), test.operator, yes, no),
        }
    }

    /// Constants fit: a comparison that they do not fit is constant and was folded.
    #[allow(clippy::cast_possible_truncation)]
    fn narrow(
        &mut self,
        index: u8,
        cut: Option<u32>,
        operator: Operator,
        yes: StepId,
        no: StepId,
    ) -> StepId {
        let word = Word::Low(index);
        let (compare, yes, no) = match operator {
            Operator::Equal(v) => (Compare::Equal(v as u32), yes, no),
            Operator::NotEqual(v) => (Compare::Equal(v as u32), no, yes),
            Operator::Greater(v) => (Compare::Greater(v as u32), yes, no),
            Operator::LessOrEqual(v) => (Compare::Greater(v as u32), no, yes),
            Operator::GreaterOrEqual(v) => (Compare::GreaterOrEqual(v as u32), yes, no),
            Operator::Less(v) => (Compare::GreaterOrEqual(v as u32), no, yes),
            Operator::MaskedEqual { mask, value } => {
                let mask = mask as u32 & cut.unwrap_or(u32::MAX);
                return self.bits(word, mask, (value as u32) & mask, yes, no);
            }
        };
        self.masked(word, cut, compare, yes, no)
    }

    /// `word & mask == value`.
    fn bits(&mut self, word: Word, mask: u32, value: u32, yes: StepId, no: StepId) -> StepId {
        match (mask, value) {
            (0, _) => yes,
            (u32::MAX, _) => self.branch(word, Compare::Equal(value), yes, no),
            (_, 0) => self.branch(word, Compare::AnyBit(mask), no, yes),
            _ if mask.is_power_of_two() => self.branch(word, Compare::AnyBit(mask), yes, no),
            _ => self.masked(word, Some(mask), Compare::Equal(value), yes, no),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // halves
    fn wide(&mut self, index: u8, operator: Operator, yes: StepId, no: StepId) -> StepId {
        let halves = |v: u64| ((v >> 32) as u32, v as u32);
        let (low, high) = (Word::Low(index), Word::High(index));
        let mut order = |v: u64, low_compare: fn(u32) -> Compare, yes, no| {
            let (vh, vl) = halves(v);
            let low_half = self.branch(low, low_compare(vl), yes, no);
            if vh == 0 {
                return self.branch(high, Compare::Equal(0), low_half, yes);
            }
            let same = self.branch(high, Compare::Equal(vh), low_half, no);
            self.branch(high, Compare::Greater(vh), yes, same)
        };
        match operator {
            Operator::Greater(v) => order(v, Compare::Greater, yes, no),
            Operator::LessOrEqual(v) => order(v, Compare::Greater, no, yes),
            Operator::GreaterOrEqual(v) => order(v, Compare::GreaterOrEqual, yes, no),
            Operator::Less(v) => order(v, Compare::GreaterOrEqual, no, yes),
            Operator::Equal(v) => self.wide_bits(index, u64::MAX, v, yes, no),
            Operator::NotEqual(v) => self.wide_bits(index, u64::MAX, v, no, yes),
            Operator::MaskedEqual { mask, value } => {
                self.wide_bits(index, mask, value & mask, yes, no)
            }
        }
    }

    #[allow(clippy::cast_possible_truncation)] // halves
    fn wide_bits(&mut self, index: u8, mask: u64, value: u64, yes: StepId, no: StepId) -> StepId {
        let low = self.bits(Word::Low(index), mask as u32, value as u32, yes, no);
        self.bits(Word::High(index), (mask >> 32) as u32, (value >> 32) as u32, low, no)
    }
}

/// Where to split so that both sides weigh about the same.
fn middle(ranges: &[Range]) -> usize {
    let total: u64 = ranges.iter().map(|range| range.weight).sum();
    let mut below = 0;
    let mut best = (u64::MAX, 1);
    for (position, range) in ranges.iter().enumerate().take(ranges.len() - 1) {
        below += range.weight;
        best = best.min((below.abs_diff(total - below), position + 1));
    }
    best.1
}
