// SPDX-License-Identifier: Apache-2.0
//! Classic BPF programs as seccomp(2) takes them.
//!
//! A [`Program`] is structurally what the kernel would load: instructions that seccomp permits,
//! jumps that stay inside, an end that returns. It says nothing about what the program means; a
//! program that was stored and read back has been checked for this and no more.

use super::error::Error;
use serde::{Deserialize, Serialize};

/// `BPF_MAXINSNS`.
pub const MAX_INSTRUCTIONS: usize = 4096;
/// `sizeof(struct seccomp_data)`.
pub const DATA_SIZE: u32 = 64;

/// `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u16, u8, u8, u32)", from = "(u16, u8, u8, u32)")]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// Instructions to skip if a comparison holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

impl From<(u16, u8, u8, u32)> for Instruction {
    fn from((code, jt, jf, k): (u16, u8, u8, u32)) -> Self {
        Self { code, jt, jf, k }
    }
}

impl From<Instruction> for (u16, u8, u8, u32) {
    fn from(i: Instruction) -> Self {
        (i.code, i.jt, i.jf, i.k)
    }
}

/// The operations of linux/bpf_common.h that brig's programs use.
#[allow(missing_docs)]
pub mod code {
    pub const LOAD: u16 = 0x20; // LD | W | ABS
    pub const AND: u16 = 0x54; // ALU | AND | K
    pub const JUMP: u16 = 0x05; // JMP | JA
    pub const IF_EQUAL: u16 = 0x15; // JMP | JEQ | K
    pub const IF_GREATER: u16 = 0x25; // JMP | JGT | K
    pub const IF_GREATER_OR_EQUAL: u16 = 0x35; // JMP | JGE | K
    pub const IF_ANY_BIT: u16 = 0x45; // JMP | JSET | K
    pub const RETURN: u16 = 0x06; // RET | K
}

/// A program that the kernel would load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Instruction>", try_from = "Vec<Instruction>")]
pub struct Program(Vec<Instruction>);

impl Program {
    /// Takes instructions that pass the kernel's checks for a seccomp filter.
    ///
    /// # Errors
    ///
    /// The first instruction that the kernel would refuse.
    pub fn new(instructions: Vec<Instruction>) -> Result<Self, Error> {
        check(&instructions)?;
        Ok(Self(instructions))
    }

    /// The instructions, for `struct sock_fprog`.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// How many instructions there are; at least one.
    #[allow(clippy::len_without_is_empty)] // an empty program does not exist
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Program> for Vec<Instruction> {
    fn from(program: Program) -> Self {
        program.0
    }
}

impl TryFrom<Vec<Instruction>> for Program {
    type Error = Error;

    fn try_from(instructions: Vec<Instruction>) -> Result<Self, Error> {
        Self::new(instructions)
    }
}

/// bpf_check_classic() and seccomp_check_filter() of the kernel.
fn check(instructions: &[Instruction]) -> Result<(), Error> {
    let len = instructions.len();
    if len == 0 || len > MAX_INSTRUCTIONS {
        return Err(Error::Program(format!("it has {len} instructions")));
    }
    for (position, instruction) in instructions.iter().enumerate() {
        let refuse = |why: &str| {
            let code = instruction.code;
            Err(Error::Program(format!("instruction {position} ({code:#04x}): {why}")))
        };
        let inside = |offset: u64| (position as u64) + 1 + offset < len as u64;
        match instruction.code {
            0x20 if instruction.k >= DATA_SIZE || instruction.k & 3 != 0 => {
                return refuse("reads outside struct seccomp_data");
            }
            // ALU | DIV | K
            0x34 if instruction.k == 0 => return refuse("divides by zero"),
            // ALU | LSH, RSH | K
            0x64 | 0x74 if instruction.k >= 32 => return refuse("shifts too far"),
            // LD, LDX | MEM, ST, STX
            0x60 | 0x61 | 0x02 | 0x03 if instruction.k >= 16 => return refuse("no such cell"),
            0x05 if !inside(instruction.k.into()) => return refuse("jumps outside"),
            0x15 | 0x25 | 0x35 | 0x45 | 0x1d | 0x2d | 0x3d | 0x4d
                if !inside(instruction.jt.into()) || !inside(instruction.jf.into()) =>
            {
                return refuse("jumps outside");
            }
            code if !PERMITTED.contains(&code) => return refuse("not permitted in a filter"),
            _ => {}
        }
    }
    match instructions[len - 1].code {
        0x06 | 0x16 => Ok(()),
        _ => Err(Error::Program("its last instruction does not return".to_owned())),
    }
}

#[rustfmt::skip]
static PERMITTED: [u16; 41] = [
    0x20, 0x80, 0x00, 0x60, 0x81, 0x01, 0x61, // LD W ABS, W LEN, IMM, MEM; LDX W LEN, IMM, MEM
    0x02, 0x03,                               // ST, STX
    0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, // ADD, SUB, MUL, DIV by K and X
    0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0xa4, 0xac, // OR, AND, LSH, RSH, NEG, XOR
    0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, // JA, JEQ, JGT, JGE, JSET by K and X
    0x06, 0x16,                               // RET K, A
    0x07, 0x87,                               // TAX, TXA
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: Instruction = Instruction { code: code::RETURN, jt: 0, jf: 0, k: 0x7fff_0000 };

    fn refused(instructions: Vec<Instruction>) -> String {
        Program::new(instructions).unwrap_err().to_string()
    }

    #[test]
    fn a_program_that_the_kernel_would_refuse_is_refused() {
        let jump = |jt, jf| Instruction { code: code::IF_EQUAL, jt, jf, k: 0 };
        assert!(refused(vec![]).contains("0 instructions"));
        assert!(refused(vec![ALLOW; 4097]).contains("4097 instructions"));
        assert!(refused(vec![jump(0, 1), ALLOW]).contains("jumps outside"));
        assert!(refused(vec![jump(0, 0)]).contains("jumps outside"));
        let load = |k| Instruction { code: code::LOAD, jt: 0, jf: 0, k };
        assert!(refused(vec![load(64), ALLOW]).contains("outside struct seccomp_data"));
        assert!(refused(vec![load(2), ALLOW]).contains("outside struct seccomp_data"));
        assert!(refused(vec![load(0)]).contains("does not return"));
        let byte = Instruction { code: 0x30, jt: 0, jf: 0, k: 0 };
        assert!(refused(vec![byte, ALLOW]).contains("not permitted"));
        let far = Instruction { code: code::JUMP, jt: 0, jf: 0, k: u32::MAX };
        assert!(refused(vec![far, ALLOW]).contains("jumps outside"));
        assert!(Program::new(vec![load(60), jump(0, 0), ALLOW]).is_ok());
    }

    #[test]
    fn a_stored_program_is_checked_again_when_it_is_read() {
        let program = Program::new(vec![ALLOW]).unwrap();
        let stored = serde_json::to_string(&program).unwrap();
        assert_eq!(stored, "[[6,0,0,2147418112]]");
        assert_eq!(serde_json::from_str::<Program>(&stored).unwrap(), program);
        assert!(serde_json::from_str::<Program>("[[5,0,0,9]]").is_err());
    }
}
