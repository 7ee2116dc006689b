// SPDX-License-Identifier: Apache-2.0
//! An interpreter of classic BPF with the meaning that seccomp(2) gives it.
//!
//! It runs every program that the kernel would load, brig's own and those of other generators.

use super::action::Action;
use super::arch::{Arch, Endian, X32_BIT};
use super::error::Error;
use super::program::{DATA_SIZE, Program, code};
use super::reference::SeccompData;

/// What a program answered, and at which cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub action: Action,
    /// The value that the program returned.
    pub value: u32,
    /// Instructions executed.
    pub executed: usize,
}

impl SeccompData {
    /// The 32-bit word at `offset` of `struct seccomp_data`.
    fn word(&self, offset: u32, endian: Endian) -> u32 {
        let half = |value: u64| {
            let bytes = match endian {
                Endian::Little => value.to_le_bytes(),
                Endian::Big => value.to_be_bytes(),
            };
            let at = (offset & 4) as usize;
            let word = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
            match endian {
                Endian::Little => u32::from_le_bytes(word),
                Endian::Big => u32::from_be_bytes(word),
            }
        };
        match offset {
            0 => self.nr,
            4 => self.arch,
            8..16 => half(self.instruction_pointer),
            _ => self.args.get((offset as usize - 16) / 8).map_or(0, |argument| half(*argument)),
        }
    }
}

/// Runs `program` on a machine of the byte order of `native`.
///
/// # Errors
///
/// An instruction that a checked program cannot have; nothing else.
pub fn run(program: &Program, data: &SeccompData, native: Arch) -> Result<Outcome, Error> {
    let mut machine = Machine { a: 0, x: 0, cells: [0; 16], data, endian: native.endian() };
    let instructions = program.instructions();
    let mut at = 0usize;
    let mut executed = 0;
    // Jumps only go forward, so this ends.
    while let Some(instruction) = instructions.get(at) {
        executed += 1;
        match machine.step(instruction.code, instruction.k) {
            Some(Next::Continue) => at += 1,
            Some(Next::Skip) => at += 1 + instruction.k as usize,
            Some(Next::Branch(true)) => at += 1 + usize::from(instruction.jt),
            Some(Next::Branch(false)) => at += 1 + usize::from(instruction.jf),
            Some(Next::Return(value)) => {
                return Ok(Outcome { action: Action::decode(value), value, executed });
            }
            None => break,
        }
    }
    Err(Error::Program(format!("instruction {at} cannot be run")))
}

enum Next {
    Continue,
    Skip,
    Branch(bool),
    Return(u32),
}

struct Machine<'d> {
    a: u32,
    x: u32,
    cells: [u32; 16],
    data: &'d SeccompData,
    endian: Endian,
}

impl Machine<'_> {
    fn step(&mut self, code: u16, k: u32) -> Option<Next> {
        // Bit 3 selects the index register in place of the constant.
        let operand = if code & 8 == 0 { k } else { self.x };
        let cell = (k & 15) as usize;
        match code {
            0x20 => self.a = self.data.word(k, self.endian),
            0x80 => self.a = DATA_SIZE,
            0x81 => self.x = DATA_SIZE,
            0x00 => self.a = k,
            0x01 => self.x = k,
            0x60 => self.a = self.cells[cell],
            0x61 => self.x = self.cells[cell],
            0x02 => self.cells[cell] = self.a,
            0x03 => self.cells[cell] = self.x,
            0x07 => self.x = self.a,
            0x87 => self.a = self.x,
            0x05 => return Some(Next::Skip),
            0x06 => return Some(Next::Return(k)),
            0x16 => return Some(Next::Return(self.a)),
            0x15 | 0x1d => return Some(Next::Branch(self.a == operand)),
            0x25 | 0x2d => return Some(Next::Branch(self.a > operand)),
            0x35 | 0x3d => return Some(Next::Branch(self.a >= operand)),
            0x45 | 0x4d => return Some(Next::Branch(self.a & operand != 0)),
            _ => return self.arithmetic(code, operand),
        }
        Some(Next::Continue)
    }

    fn arithmetic(&mut self, code: u16, operand: u32) -> Option<Next> {
        self.a = match code & !8 {
            0x04 => self.a.wrapping_add(operand),
            0x14 => self.a.wrapping_sub(operand),
            0x24 => self.a.wrapping_mul(operand),
            // A division by an index register of zero ends the program with 0, a kill.
            0x34 => match self.a.checked_div(operand) {
                Some(quotient) => quotient,
                None => return Some(Next::Return(0)),
            },
            0x44 => self.a | operand,
            0x54 => self.a & operand,
            0x64 => self.a.wrapping_shl(operand),
            0x74 => self.a.wrapping_shr(operand),
            0x84 => self.a.wrapping_neg(),
            0xa4 => self.a ^ operand,
            _ => return None,
        };
        Some(Next::Continue)
    }
}

/// The kernel need not run the program for this number: it sees by itself that the answer is
/// always to allow (seccomp_is_const_allow() of kernel/seccomp.c). KERNEL(5.11).
///
/// It follows loads of the number and of the architecture, masks and comparisons with constants;
/// at anything else it gives up.
pub fn is_constant_allow(program: &Program, token: u32, nr: u32) -> bool {
    // Numbers of x32 are not in its bitmap.
    if nr >= X32_BIT && token == Arch::X86_64.token() {
        return false;
    }
    let (mut at, mut a) = (0usize, 0u32);
    while let Some(instruction) = program.instructions().get(at) {
        let k = instruction.k;
        let holds = match instruction.code {
            code::LOAD if k == 0 || k == 4 => {
                a = if k == 0 { nr } else { token };
                at += 1;
                continue;
            }
            code::AND => {
                a &= k;
                at += 1;
                continue;
            }
            code::JUMP => {
                at += 1 + k as usize;
                continue;
            }
            code::RETURN => return Action::decode(k) == Action::Allow,
            code::IF_EQUAL => a == k,
            code::IF_GREATER => a > k,
            code::IF_GREATER_OR_EQUAL => a >= k,
            code::IF_ANY_BIT => a & k != 0,
            _ => return false,
        };
        at += 1 + usize::from(if holds { instruction.jt } else { instruction.jf });
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::program::Instruction;
    use super::*;

    fn result(instructions: &[(u16, u8, u8, u32)], data: &SeccompData, native: Arch) -> u32 {
        let instructions = instructions.iter().map(|i| Instruction::from(*i)).collect();
        run(&Program::new(instructions).unwrap(), data, native).unwrap().value
    }

    #[test]
    fn words_stand_where_the_kernel_puts_them() {
        let data = SeccompData {
            nr: 1,
            arch: 2,
            instruction_pointer: 0x0000_0003_0000_0004,
            args: [0x0000_0005_0000_0006, 0, 0, 0, 0, 0x0000_0007_0000_0008],
        };
        for (native, expected) in
            [(Arch::X86_64, [1, 2, 4, 3, 6, 5, 8, 7]), (Arch::S390x, [1, 2, 3, 4, 5, 6, 7, 8])]
        {
            for (offset, word) in [0, 4, 8, 12, 16, 20, 56, 60].into_iter().zip(expected) {
                let load = [(0x20, 0, 0, offset), (0x16, 0, 0, 0)];
                assert_eq!(result(&load, &data, native), word, "{native:?} {offset}");
            }
        }
    }

    #[test]
    fn arithmetic_is_that_of_the_kernel() {
        for (code, x, expected) in [
            (0x0c, 5, 12),
            (0x1c, 5, 2),
            (0x2c, 5, 35),
            (0x3c, 5, 1),
            (0x3c, 0, 0),
            (0x4c, 8, 15),
            (0x5c, 5, 5),
            (0x6c, 2, 28),
            (0x7c, 1, 3),
            (0xac, 5, 2),
            (0x84, 0, 7u32.wrapping_neg()),
        ] {
            let program = [(0x01, 0, 0, x), (0x00, 0, 0, 7), (code, 0, 0, 0), (0x16, 0, 0, 0)];
            assert_eq!(
                result(&program, &SeccompData::default(), Arch::X86_64),
                expected,
                "{code:#x}"
            );
        }
    }

    #[test]
    fn memory_cells_and_registers_keep_what_is_stored() {
        let program = [
            (0x00, 0, 0, 9),
            (0x02, 0, 0, 3),
            (0x61, 0, 0, 3),
            (0x00, 0, 0, 1),
            (0x87, 0, 0, 0),
            (0x16, 0, 0, 0),
        ];
        assert_eq!(result(&program, &SeccompData::default(), Arch::X86_64), 9);
    }
}
