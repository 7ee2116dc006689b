// SPDX-License-Identifier: Apache-2.0
//! Any bytes, read as a specification with restrictions and mediated calls: the compiled program
//! means what the rules mean, and is no looser than the program of the specification alone.
//!
//! Bytes that begin with `{` are read as the JSON of a `linux.seccomp`; all others choose among
//! the vocabulary below, so that most inputs get past the parser.
#![allow(dead_code, clippy::expect_used, clippy::panic)] // panics are its findings

use brig_policy::seccomp::{
    Action, Answer, Arch, Condition, Error, Input, Match, Mediated, Operator, Restriction, Rules,
    SeccompData, Selects, Syscall, compile, for_each_probe, is_constant_allow, parse, run, verdict,
};
use serde_json::{Value, json};

const CALLS: [&str; 24] = [
    "read",
    "clone",
    "clone3",
    "socket",
    "connect",
    "socketcall",
    "ipc",
    "shmat",
    "semop",
    "ioctl",
    "personality",
    "prctl",
    "mmap",
    "mprotect",
    "chmod",
    "openat",
    "openat2",
    "keyctl",
    "fchroot",
    "listns",
    "cacheflush",
    "getsid",
    "execve",
    "futex",
];
const NATIVES: [Arch; 7] = [
    Arch::X86_64,
    Arch::Aarch64,
    Arch::S390x,
    Arch::Ppc64le,
    Arch::Riscv64,
    Arch::X86,
    Arch::Mips64,
];
const ARCHES: [&str; 8] = [
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_SHEB",
];
const ACTIONS: [&str; 8] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
];
const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_GT",
    "SCMP_CMP_GE",
    "SCMP_CMP_MASKED_EQ",
];
const VALUES: [u64; 12] = [
    0,
    1,
    2,
    0x5412,
    0x7E02_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 32,
    0x1_0000_5412,
    1 << 63,
    u64::MAX,
];

/// Bytes as choices; when they run out, zero.
struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }

    fn value(&mut self) -> u64 {
        match self.below(4) {
            0 => u64::from(self.byte()),
            1 => (0..8).fold(0, |value, _| value << 8 | u64::from(self.byte())),
            _ => self.of(&VALUES),
        }
    }

    fn call(&mut self) -> Syscall {
        Syscall::from_name(self.of(&CALLS)).expect("the vocabulary is known")
    }

    fn spec(&mut self) -> Value {
        let architectures: Vec<&str> = (0..self.below(4)).map(|_| self.of(&ARCHES)).collect();
        let syscalls: Vec<Value> = (0..self.below(8)).map(|_| self.entry()).collect();
        let mut spec = json!({
            "defaultAction": self.of(&ACTIONS[..7]),
            "architectures": architectures,
            "syscalls": syscalls,
            "listenerPath": "/run/agent.sock",
        });
        if self.below(2) == 1 {
            spec["defaultErrnoRet"] = self.of(&[0u16, 1, 13, 38, 4095]).into();
        }
        spec
    }

    fn entry(&mut self) -> Value {
        let names: Vec<&str> = (0..=self.below(3)).map(|_| self.of(&CALLS)).collect();
        let args: Vec<Value> = (0..self.below(4))
            .map(|_| {
                json!({"index": self.below(6), "op": self.of(&OPERATORS),
                       "value": self.value(), "valueTwo": self.value()})
            })
            .collect();
        json!({"names": names, "action": self.of(&ACTIONS), "args": args,
               "errnoRet": self.of(&[1u16, 13, 38])})
    }

    fn conditions(&mut self) -> Vec<Condition> {
        (0..self.below(3))
            .map(|_| {
                let (one, two) = (self.value(), self.value());
                let operator = match self.below(7) {
                    0 => Operator::Equal(one),
                    1 => Operator::NotEqual(one),
                    2 => Operator::Less(one),
                    3 => Operator::LessOrEqual(one),
                    4 => Operator::Greater(one),
                    5 => Operator::GreaterOrEqual(one),
                    _ => Operator::MaskedEqual { mask: one, value: two },
                };
                Condition { index: self.below(6), operator }
            })
            .collect()
    }

    fn matches(&mut self) -> Vec<Match> {
        (0..self.below(5))
            .map(|_| Match { syscall: self.call(), conditions: self.conditions() })
            .collect()
    }

    fn restriction(&mut self) -> Restriction {
        let answer = self.of(&[Answer::Errno(13), Answer::Kill, Answer::Log, Answer::Errno(1)]);
        let matches = self.matches();
        let selects =
            if self.below(4) == 0 { Selects::AllBut(matches) } else { Selects::These(matches) };
        Restriction { selects, answer, label: "restriction".to_owned() }
    }

    fn mediated(&mut self) -> Mediated {
        Mediated {
            syscall: self.call(),
            conditions: self.conditions(),
            label: "mediated".to_owned(),
        }
    }
}

/// Panics where the translation is wrong.
pub fn check(data: &[u8]) {
    examine(data);
}

/// The same; whether there was anything to compile.
pub fn examine(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let spec = match data.first() {
        Some(b'{') => match serde_json::from_slice(data) {
            Ok(value) => value,
            Err(_) => return false,
        },
        _ => choices.spec(),
    };
    let Ok(spec) = parse(&spec) else { return false };
    if data.first() == Some(&b'{') {
        choices = Choices(&data[data.len() / 2..]);
    }
    let restrictions: Vec<Restriction> =
        (0..choices.below(4)).map(|_| choices.restriction()).collect();
    let mediated: Vec<Mediated> = (0..choices.below(3)).map(|_| choices.mediated()).collect();
    let native = choices.of(&NATIVES);
    let alone = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native };
    let merged = Input { restrictions: &restrictions, mediated: &mediated, ..alone };
    let (Some(alone), Some((program, rules))) = (compiled(&alone), compiled(&merged)) else {
        return false;
    };
    let agreed: Result<(), String> = for_each_probe(&rules, |call| {
        let answer = same(&program, &rules, call)?;
        let before = run(&alone.0, call, native).map_err(|error| error.to_string())?.action;
        if !answer.at_least_as_tight_as(before) {
            return Err(format!("{call:x?}: {answer} is looser than {before}"));
        }
        if answer != Action::Allow && is_constant_allow(&program, call.arch, call.nr) {
            return Err(format!("{call:x?}: the kernel would cache it as allowed"));
        }
        Ok(())
    });
    if let Err(why) = agreed {
        panic!("{why}\n{spec:#?}\n{restrictions:#?}\n{mediated:#?}");
    }
    true
}

type Program = brig_policy::seccomp::Program;

/// A program that fails its own verification is a bug; any other refusal is none.
fn compiled<'i>(input: &Input<'i>) -> Option<(Program, Rules<'i>)> {
    match compile(input) {
        Ok(compiled) => Some((compiled.program, Rules::new(*input).ok()?)),
        Err(errors) => {
            assert!(
                !errors.iter().any(|e| matches!(e, Error::Unverified(_))),
                "{errors:?} {input:#?}"
            );
            None
        }
    }
}

fn same(program: &Program, rules: &Rules<'_>, call: &SeccompData) -> Result<Action, String> {
    let native = rules.native();
    let got = run(program, call, native).map_err(|error| error.to_string())?.action;
    let expected = verdict(rules, call).action;
    if got == expected { Ok(got) } else { Err(format!("{call:x?}: {got}, expected {expected}")) }
}
