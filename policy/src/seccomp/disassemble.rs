// SPDX-License-Identifier: Apache-2.0
//! A program as text, one line an instruction, with names where numbers have them.
//!
//! It follows what the accumulator holds and which architecture was found, so it reads programs
//! of any generator; where it cannot know, it prints the bare instruction.

use super::action::Action;
use super::arch::{Arch, Endian, X32_BIT};
use super::program::{Instruction, Program, code};
use super::syscall::Syscall;
use std::fmt::Write;

/// What is known when an instruction is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// What the accumulator holds.
    holds: String,
    /// The architecture whose numbers are looked at.
    arch: Option<Arch>,
}

/// The program as text.
pub fn disassemble(program: &Program, native: Arch) -> String {
    let instructions = program.instructions();
    let mut known: Vec<Option<Known>> = vec![None; instructions.len()];
    known[0] = Some(Known::default());
    let mut text = String::new();
    for (at, instruction) in instructions.iter().enumerate() {
        let here = known[at].clone().unwrap_or_default();
        let (line, after, branch) = describe(at, instruction, &here, native);
        let _ = writeln!(text, "{at:5}  {line}");
        for (target, to) in after {
            meet(
                &mut known,
                target,
                if to { branch.clone() } else { forget(&here, instruction, native) },
            );
        }
    }
    text
}

/// Two ways lead here: what both know.
fn meet(known: &mut [Option<Known>], target: usize, new: Known) {
    let Some(slot) = known.get_mut(target) else { return };
    *slot = Some(match slot.take() {
        None => new,
        Some(old) => Known {
            holds: if old.holds == new.holds { old.holds } else { String::new() },
            arch: old.arch.filter(|arch| new.arch == Some(*arch)),
        },
    });
}

/// What is known after `instruction`, apart from what its comparison found.
fn forget(here: &Known, instruction: &Instruction, native: Arch) -> Known {
    let holds = match instruction.code {
        code::LOAD => word(instruction.k, native.endian()),
        code::AND => format!("({} & {:#x})", here.holds, instruction.k),
        _ => here.holds.clone(),
    };
    Known { holds, arch: here.arch }
}

/// The line, the instructions that may follow (true: the comparison held), and what is known then.
fn describe(
    at: usize,
    instruction: &Instruction,
    here: &Known,
    native: Arch,
) -> (String, Vec<(usize, bool)>, Known) {
    let k = instruction.k;
    let mut held = forget(here, instruction, native);
    let operator = match instruction.code {
        code::LOAD => {
            return (format!("load {}", word(k, native.endian())), vec![(at + 1, false)], held);
        }
        code::AND => return (format!("and {k:#x}"), vec![(at + 1, false)], held),
        code::JUMP => {
            let target = at + 1 + k as usize;
            return (format!("goto {target}"), vec![(target, false)], held);
        }
        code::RETURN => return (format!("return {}", Action::decode(k)), vec![], held),
        code::IF_EQUAL => "==",
        code::IF_GREATER => ">",
        code::IF_GREATER_OR_EQUAL => ">=",
        code::IF_ANY_BIT => "&",
        other => {
            let line = format!("{other:#04x} {} {} {k:#x}", instruction.jt, instruction.jf);
            return (line, vec![(at + 1, false)], held);
        }
    };
    let (yes, no) = (at + 1 + usize::from(instruction.jt), at + 1 + usize::from(instruction.jf));
    let name = match here.holds.as_str() {
        "arch" => {
            held.arch = native.reachable().iter().copied().find(|arch| arch.token() == k);
            held.arch.map(Arch::name)
        }
        "number" => here.arch.and_then(|arch| name(arch, k)),
        _ => None,
    };
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let holds = if here.holds.is_empty() { "a" } else { &here.holds };
    (
        format!("if {holds} {operator} {k:#x}{name} goto {yes} else {no}"),
        vec![(yes, true), (no, false)],
        held,
    )
}

fn name(arch: Arch, nr: u32) -> Option<&'static str> {
    let arch = if arch == Arch::X86_64 && nr >= X32_BIT { Arch::X32 } else { arch };
    Syscall::by_number(arch, nr).next().map(Syscall::name)
}

fn word(offset: u32, endian: Endian) -> String {
    let high = (offset & 4 != 0) == (endian == Endian::Little);
    let half = if high { "high" } else { "low" };
    match offset {
        0 => "number".to_owned(),
        4 => "arch".to_owned(),
        8..16 => format!("ip.{half}"),
        _ => format!("arg{}.{half}", (offset - 16) / 8),
    }
}
