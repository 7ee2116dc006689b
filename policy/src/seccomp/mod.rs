// SPDX-License-Identifier: Apache-2.0
//! Seccomp: from the OCI specification's `linux.seccomp`, the policy's rules and the mediated set
//! to one classic BPF program for all architectures of a machine.
//!
//! [`parse`] reads the specification, [`compile`] makes the program, [`run`] interprets programs,
//! [`verdict`] says what rules mean for one call, [`inspect`] answers people. `README.md` beside
//! this file has the map, the measured reason why the generator is brig's own, the numbers, and
//! every difference from runc.
//!
//! Guaranteed: a program that [`compile`] returns answers as [`verdict`] does on the edges of every
//! comparison of every rule; it is no looser than the program of the specification alone; it
//! decides all numbers of all architectures; nothing that denies is ever skipped. The same input
//! gives the same program.
//!
//! Not guaranteed: anything about memory that a register points to, and that the kernel has what a
//! program asks for ([`FilterFlags`] and notifications are the loader's business).

mod action;
mod arch;
mod assemble;
mod compile;
mod condition;
mod disassemble;
mod docker;
mod error;
mod generate;
mod inspect;
mod interpret;
mod lower;
mod multiplexer;
mod parse;
mod profile;
mod program;
mod reference;
mod render;
mod rules;
mod spec;
mod syscall;
mod table;
mod tree;
mod verify;

pub use action::{Action, ENOSYS, EPERM, MAX_ERRNO};
pub use arch::{Arch, Endian, X32_BIT};
pub use compile::{Compiled, compile};
pub use condition::{Condition, Operator};
pub use disassemble::disassemble;
pub use docker::{DEFAULT_PROFILE, Host, default_profile, parse_profile};
pub use error::{Error, Warning};
pub use inspect::{
    Inspection, Question, USUAL_CAPABILITIES, capabilities, inspect, parse_argument,
};
pub use interpret::{Outcome, is_constant_allow, run};
pub use lower::HOT;
pub use parse::parse;
pub use profile::restrictions;
pub use program::{Instruction, MAX_INSTRUCTIONS, Program, code};
pub use reference::{Reason, SeccompData, Verdict, verdict};
pub use render::{explain, report};
pub use rules::{Answer, Input, Match, Mediated, Restriction, Rules, Selects};
pub use spec::{Entry, FilterFlags, Seccomp};
pub use syscall::{Syscall, Width};
pub use verify::for_each_probe;
