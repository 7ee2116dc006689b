// SPDX-License-Identifier: Apache-2.0
//! From steps to instructions.
//!
//! Instructions are emitted backwards, the targets of a branch before the branch, so distances are
//! known when they are needed. A comparison reaches 255 instructions; beyond that it gets a return
//! of its own, or an unconditional jump next to it.

use super::arch::Endian;
use super::error::Error;
use super::lower::{Compare, Step, StepId, Steps, Word};
use super::program::{Instruction, MAX_INSTRUCTIONS, Program, code};
use std::collections::BTreeMap;

/// What the accumulator holds.
type Accumulator = Option<(Word, Option<u32>)>;

/// Makes the program that begins at `root`.
pub(super) fn assemble(steps: &Steps, root: StepId, endian: Endian) -> Result<Program, Error> {
    let needed = reachable(steps, root);
    if needed > MAX_INSTRUCTIONS {
        return Err(Error::TooLong { needed });
    }
    let mut assembler = Assembler { steps, endian, backwards: Vec::new(), placed: BTreeMap::new() };
    assembler.place(root, None);
    let mut instructions = assembler.backwards;
    if instructions.len() > MAX_INSTRUCTIONS {
        return Err(Error::TooLong { needed: instructions.len() });
    }
    instructions.reverse();
    Program::new(instructions)
}

fn reachable(steps: &Steps, root: StepId) -> usize {
    let mut seen = vec![false; steps.steps.len()];
    let mut todo = vec![root];
    let mut count = 0;
    while let Some(id) = todo.pop() {
        if std::mem::replace(&mut seen[id.position()], true) {
            continue;
        }
        count += 1;
        if let Step::Branch { yes, no, .. } = steps.steps[id.position()] {
            todo.extend([yes, no]);
        }
    }
    count
}

struct Assembler<'s> {
    steps: &'s Steps,
    endian: Endian,
    /// The last instruction first.
    backwards: Vec<Instruction>,
    /// Index in `backwards` of the first instruction of a step, by what the accumulator holds.
    placed: BTreeMap<(StepId, Accumulator), usize>,
}

impl Assembler<'_> {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> usize {
        self.backwards.push(Instruction { code, jt, jf, k });
        self.backwards.len() - 1
    }

    /// Places a step, unless it is there already. Recursion is as deep as the longest path, which
    /// [`reachable`] has bounded.
    fn place(&mut self, id: StepId, holds: Accumulator) -> usize {
        let step = self.steps.steps[id.position()];
        // A return does not care, nor does a branch on a word that must be loaded anyway.
        let holds = match step {
            Step::Branch { word, mask, .. } => {
                holds.filter(|(held, cut)| *held == word && (*cut == mask || cut.is_none()))
            }
            Step::Return(_) => None,
        };
        if let Some(at) = self.placed.get(&(id, holds)) {
            return *at;
        }
        let at = match step {
            Step::Return(value) => self.push(code::RETURN, 0, 0, value),
            Step::Branch { word, mask, compare, yes, no } => {
                let after = Some((word, mask));
                self.place(yes, after);
                self.place(no, after);
                self.branch(compare, (yes, after), (no, after));
                self.load(word, mask, holds)
            }
        };
        self.placed.insert((id, holds), at);
        at
    }

    fn branch(&mut self, compare: Compare, yes: (StepId, Accumulator), no: (StepId, Accumulator)) {
        let no = self.reach(no.0, no.1, 1);
        let yes = self.reach(yes.0, yes.1, 0);
        let from = self.backwards.len();
        let offset = |target: usize| u8::try_from(from - 1 - target).unwrap_or(u8::MAX);
        let (operation, k) = match compare {
            Compare::Equal(k) => (code::IF_EQUAL, k),
            Compare::Greater(k) => (code::IF_GREATER, k),
            Compare::GreaterOrEqual(k) => (code::IF_GREATER_OR_EQUAL, k),
            Compare::AnyBit(k) => (code::IF_ANY_BIT, k),
        };
        self.push(operation, offset(yes), offset(no), k);
    }

    /// A place of the step that a branch can reach when at most `more` instructions come between.
    fn reach(&mut self, id: StepId, holds: Accumulator, more: usize) -> usize {
        let target = self.place(id, holds);
        let distance = self.backwards.len() - 1 - target + more;
        if distance < usize::from(u8::MAX) {
            return target;
        }
        if let Step::Return(value) = self.steps.steps[id.position()] {
            let at = self.push(code::RETURN, 0, 0, value);
            self.placed.insert((id, None), at);
            return at;
        }
        #[allow(clippy::cast_possible_truncation)] // a program has 4096 instructions
        let skip = (self.backwards.len() - 1 - target) as u32;
        self.push(code::JUMP, 0, 0, skip)
    }

    /// Loads what is not there yet; returns where the step begins.
    fn load(&mut self, word: Word, mask: Option<u32>, holds: Accumulator) -> usize {
        let mut at = self.backwards.len() - 1;
        if holds == Some((word, mask)) {
            return at;
        }
        if let Some(mask) = mask {
            at = self.push(code::AND, 0, 0, mask);
        }
        if holds.is_none() {
            at = self.push(code::LOAD, 0, 0, word.offset(self.endian));
        }
        at
    }
}
