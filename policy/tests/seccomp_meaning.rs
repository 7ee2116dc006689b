// SPDX-License-Identifier: Apache-2.0
//! What specifications mean, call by call: written down here, computed by the reference meaning,
//! and by the interpreter on the compiled program. The three must agree.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

use brig_policy::seccomp::{
    Action, Answer, Arch, Condition, Error, FilterFlags, Input, Match, Mediated, Operator,
    Restriction, Rules, SeccompData, Selects, Syscall, X32_BIT, compile, parse, run, verdict,
};
use serde_json::{Value, json};

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

/// A specification with what a policy adds.
struct Case {
    spec: Option<Value>,
    restrictions: Vec<Restriction>,
    mediated: Vec<Mediated>,
    native: Arch,
}

fn spec(default: &str, entries: &[Value]) -> Case {
    let spec = json!({"defaultAction": default, "syscalls": entries,
                      "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_ARM", "SCMP_ARCH_S390"],
                      "listenerPath": "/run/agent"});
    Case { spec: Some(spec), restrictions: vec![], mediated: vec![], native: Arch::X86_64 }
}

fn entry(names: &[&str], action: &str, args: &[(u8, &str, u64, u64)]) -> Value {
    let args: Vec<Value> = args
        .iter()
        .map(|(index, op, value, two)| {
            json!({"index": index, "value": value, "valueTwo": two, "op": format!("SCMP_CMP_{op}")})
        })
        .collect();
    json!({"names": names, "action": format!("SCMP_ACT_{action}"), "args": args})
}

fn call(name: &str) -> Syscall {
    Syscall::from_name(name).unwrap()
}

fn equal(index: u8, value: u64) -> Condition {
    Condition { index, operator: Operator::Equal(value) }
}

fn these(name: &str, conditions: Vec<Condition>, answer: Answer) -> Restriction {
    let selects = Selects::These(vec![Match { syscall: call(name), conditions }]);
    Restriction { selects, answer, label: format!("deny {name}") }
}

fn only(names: &[&str]) -> Restriction {
    let list = names.iter().map(|n| Match { syscall: call(n), conditions: vec![] }).collect();
    let selects = Selects::AllBut(list);
    Restriction { selects, answer: Answer::Errno(1), label: "allow".to_owned() }
}

fn mediated(name: &str) -> Mediated {
    Mediated { syscall: call(name), conditions: vec![], label: format!("mediate {name}") }
}

impl Case {
    fn on(mut self, native: Arch) -> Self {
        self.native = native;
        self
    }

    fn restricted(mut self, restriction: Restriction) -> Self {
        self.restrictions.push(restriction);
        self
    }

    fn mediating(mut self, mediated: Mediated) -> Self {
        self.mediated.push(mediated);
        self
    }

    /// Checks calls given by name.
    fn check(&self, expected: &[(Arch, &str, &[u64], Action)]) {
        let calls: Vec<_> = expected
            .iter()
            .map(|(arch, name, args, action)| {
                let number = call(name).number(*arch).unwrap_or_else(|| panic!("{name}"));
                (arch.token(), number, *args, *action)
            })
            .collect();
        self.check_numbers(&calls);
    }

    fn check_numbers(&self, expected: &[(u32, u32, &[u64], Action)]) {
        let spec = self.spec.as_ref().map(|spec| parse(spec).unwrap());
        let input = Input {
            spec: spec.as_ref(),
            restrictions: &self.restrictions,
            mediated: &self.mediated,
            native: self.native,
        };
        let compiled = compile(&input).unwrap();
        let rules = Rules::new(input).unwrap();
        for (arch, nr, args, action) in expected {
            let mut data = SeccompData { nr: *nr, arch: *arch, ..Default::default() };
            data.args[..args.len()].copy_from_slice(args);
            assert_eq!(verdict(&rules, &data).action, *action, "reference: {data:x?}");
            let outcome = run(&compiled.program, &data, self.native).unwrap();
            assert_eq!(outcome.action, *action, "program: {data:x?}");
        }
    }
}

use Arch::X86_64 as X64;

#[test]
fn the_strictest_matching_entry_holds_in_any_order() {
    let allow = entry(&["ioctl"], "ALLOW", &[]);
    let deny = entry(&["ioctl"], "ERRNO", &[(1, "EQ", 0x5412, 0)]);
    let kill = entry(&["ioctl"], "KILL", &[(1, "EQ", 0x5412, 0), (0, "EQ", 9, 0)]);
    for entries in [
        [allow.clone(), deny.clone(), kill.clone()],
        [kill.clone(), deny.clone(), allow.clone()],
        [deny, allow, kill],
    ] {
        spec("SCMP_ACT_ERRNO", &entries).check(&[
            (X64, "ioctl", &[0, 0x5401], Action::Allow),
            (X64, "ioctl", &[0, 0x5412], EPERM),
            (X64, "ioctl", &[9, 0x5412], Action::KillThread),
        ]);
    }
}

#[test]
fn of_two_equally_strict_entries_the_first_holds() {
    let mut first = entry(&["mount"], "ERRNO", &[]);
    first["errnoRet"] = 13.into();
    let mut second = first.clone();
    second["errnoRet"] = 22.into();
    let case = spec("SCMP_ACT_ALLOW", &[first, second]);
    case.check(&[(X64, "mount", &[], Action::Errno(13))]);
}

#[test]
fn a_rule_equal_to_the_default_still_shadows_a_looser_one() {
    let case = spec(
        "SCMP_ACT_ERRNO",
        &[entry(&["socket"], "ERRNO", &[(0, "EQ", 40, 0)]), entry(&["socket"], "ALLOW", &[])],
    );
    case.check(&[(X64, "socket", &[40], EPERM), (X64, "socket", &[2], Action::Allow)]);
}

#[test]
fn a_conditional_entry_that_does_not_match_leaves_the_default() {
    let case = spec("SCMP_ACT_ERRNO", &[entry(&["socket"], "ALLOW", &[(0, "EQ", 2, 0)])]);
    case.check(&[(X64, "socket", &[2], Action::Allow), (X64, "socket", &[3], EPERM)]);
}

#[test]
fn every_operator_is_unsigned_and_exact_at_64_bits() {
    let at = 1u64 << 32;
    for (op, holds) in [
        ("LT", [true, true, false, false, false]),
        ("LE", [true, true, true, false, false]),
        ("EQ", [false, false, true, false, false]),
        ("GE", [false, false, true, true, true]),
        ("GT", [false, false, false, true, true]),
        ("NE", [true, true, false, true, true]),
    ] {
        let case = spec("SCMP_ACT_ERRNO", &[entry(&["pread64"], "ALLOW", &[(3, op, at, 0)])]);
        for (value, holds) in [0, at - 1, at, at + 1, u64::MAX].into_iter().zip(holds) {
            let expected = if holds { Action::Allow } else { EPERM };
            case.check(&[(X64, "pread64", &[0, 0, 0, value], expected)]);
        }
    }
}

#[test]
fn a_masked_comparison_has_the_mask_first() {
    let case = spec(
        "SCMP_ACT_ERRNO",
        &[entry(
            &["mmap"],
            "ALLOW",
            &[(5, "MASKED_EQ", 0xFF00_0000_0000_00FF, 0x1200_0000_0000_3434)],
        )],
    );
    // Bits of the value outside the mask do not count.
    case.check(&[
        (X64, "mmap", &[0, 0, 0, 0, 0, 0x12FF_0000_0000_FF34], Action::Allow),
        (X64, "mmap", &[0, 0, 0, 0, 0, 0x1300_0000_0000_0034], EPERM),
        (X64, "mmap", &[0, 0, 0, 0, 0, 0x1200_0000_0000_0035], EPERM),
    ]);
}

#[test]
fn an_int_is_compared_at_32_bits_and_a_mode_at_16() {
    let case = spec(
        "SCMP_ACT_ALLOW",
        &[
            entry(&["ioctl"], "ERRNO", &[(1, "EQ", 0x5412, 0)]),
            entry(&["clone"], "ERRNO", &[(0, "MASKED_EQ", 0x1000_0000, 0x1000_0000)]),
            entry(&["chmod"], "ERRNO", &[(1, "EQ", 0o4755, 0)]),
            entry(&["lseek"], "ERRNO", &[(1, "EQ", 7, 0)]),
        ],
    );
    case.check(&[
        (X64, "ioctl", &[0, 1 << 32 | 0x5412], EPERM),
        (X64, "clone", &[0xFFFF_FFFF_1000_0000], EPERM),
        (X64, "chmod", &[0, 0xABCD_0000 | 0o4755], EPERM),
        (X64, "lseek", &[0, 1 << 32 | 7], Action::Allow),
        (Arch::X86, "lseek", &[0, 7], EPERM),
    ]);
}

#[test]
fn two_conditions_on_one_argument_permit_what_both_readings_permit() {
    // Allowing: both must hold, so this is a range. Denying: either suffices, as in runc.
    let range = [(0, "GE", 2, 0), (0, "LE", 4, 0)];
    let case = spec("SCMP_ACT_ERRNO", &[entry(&["personality"], "ALLOW", &range)]);
    case.check(&[
        (X64, "personality", &[1], EPERM),
        (X64, "personality", &[3], Action::Allow),
        (X64, "personality", &[5], EPERM),
    ]);
    let flags = [(2, "MASKED_EQ", 2, 2), (2, "MASKED_EQ", 4, 4)];
    let case = spec("SCMP_ACT_ALLOW", &[entry(&["mprotect"], "ERRNO", &flags)]);
    case.check(&[
        (X64, "mprotect", &[0, 0, 1], Action::Allow),
        (X64, "mprotect", &[0, 0, 2], EPERM),
        (X64, "mprotect", &[0, 0, 4], EPERM),
    ]);
}

#[test]
fn actions_carry_their_data_and_kill_is_kill_thread() {
    let mut trace = entry(&["getpid"], "TRACE", &[]);
    trace["errnoRet"] = 7.into();
    let case = spec(
        "SCMP_ACT_ERRNO",
        &[
            trace,
            entry(&["getppid"], "TRACE", &[]),
            entry(&["gettid"], "KILL", &[]),
            entry(&["getuid"], "KILL_PROCESS", &[]),
            entry(&["getgid"], "TRAP", &[]),
            entry(&["geteuid"], "LOG", &[]),
            entry(&["getegid"], "NOTIFY", &[]),
        ],
    );
    case.check(&[
        (X64, "getpid", &[], Action::Trace(7)),
        (X64, "getppid", &[], Action::Trace(1)),
        (X64, "gettid", &[], Action::KillThread),
        (X64, "getuid", &[], Action::KillProcess),
        (X64, "getgid", &[], Action::Trap),
        (X64, "geteuid", &[], Action::Log),
        (X64, "getegid", &[], Action::Notify),
        (X64, "read", &[], EPERM),
    ]);
}

#[test]
fn newer_calls_get_enosys_unless_the_default_kills_or_lets_through() {
    for (default, expected) in [
        ("SCMP_ACT_ERRNO", ENOSYS),
        ("SCMP_ACT_TRAP", ENOSYS),
        ("SCMP_ACT_KILL", Action::KillThread),
        ("SCMP_ACT_KILL_PROCESS", Action::KillProcess),
        ("SCMP_ACT_ALLOW", Action::Allow),
        ("SCMP_ACT_LOG", Action::Log),
        ("SCMP_ACT_TRACE", Action::Trace(1)),
    ] {
        let case = spec(default, &[entry(&["openat2"], "LOG", &[])]);
        case.check(&[(X64, "openat2", &[], Action::Log), (X64, "mseal", &[], expected)]);
        case.check_numbers(&[
            (X64.token(), 999, &[], expected),
            (X64.token(), 0x3FFF_FFFF, &[], expected),
            (Arch::X86.token(), 0x7FFF_FFFF, &[], expected),
        ]);
    }
}

#[test]
fn private_calls_of_arm_are_neither_new_nor_the_newest() {
    let named = entry(&["read", "set_tls"], "ALLOW", &[]);
    spec("SCMP_ACT_ERRNO", &[named]).on(Arch::Aarch64).check(&[
        (Arch::Arm, "set_tls", &[], Action::Allow),
        (Arch::Arm, "cacheflush", &[], EPERM),
        (Arch::Arm, "openat2", &[], ENOSYS),
    ]);
}

#[test]
fn an_architecture_that_is_not_listed_is_denied() {
    let foreign = Arch::Riscv64.token();
    for (default, expected, x32) in [
        ("SCMP_ACT_ERRNO", EPERM, ENOSYS),
        ("SCMP_ACT_KILL", Action::KillThread, Action::KillThread),
        ("SCMP_ACT_ALLOW", Action::KillProcess, Action::KillProcess),
        ("SCMP_ACT_TRACE", Action::KillProcess, Action::KillProcess),
    ] {
        let mut case = spec(default, &[entry(&["read"], "ALLOW", &[])]);
        case.spec.as_mut().unwrap()["architectures"] = json!([]);
        case.check_numbers(&[
            (foreign, 0, &[], expected),
            (Arch::X86.token(), 3, &[], expected),
            (X64.token(), X32_BIT, &[], x32),
            (X64.token(), 0, &[], Action::Allow),
        ]);
    }
}

#[test]
fn minus_one_is_no_call_and_gets_the_default() {
    for (default, expected) in [("SCMP_ACT_ALLOW", Action::Allow), ("SCMP_ACT_ERRNO", ENOSYS)] {
        let case = spec(default, &[entry(&["read"], "LOG", &[])]);
        case.check_numbers(&[(X64.token(), u32::MAX, &[], expected)]);
    }
}

#[test]
fn the_rules_of_a_call_hold_for_it_behind_a_multiplexer() {
    let case = spec(
        "SCMP_ACT_ERRNO",
        &[
            entry(&["socketcall", "ipc", "connect", "bind"], "ALLOW", &[]),
            entry(&["socket"], "ALLOW", &[(0, "EQ", 1, 0)]),
            entry(&["shmget"], "KILL", &[(0, "EQ", 1, 0)]),
        ],
    );
    case.check(&[
        (Arch::X86, "socketcall", &[3], Action::Allow),
        // Its arguments are in memory: the strictest that the rules can say.
        (Arch::X86, "socketcall", &[1], EPERM),
        (Arch::X86, "ipc", &[1], Action::Allow),
        (Arch::X86, "ipc", &[23], Action::KillThread),
        (Arch::X86, "ipc", &[0x1_0017], Action::KillThread),
        (Arch::X86, "socketcall", &[99], Action::Allow),
    ]);
    let case = spec("SCMP_ACT_ERRNO", &[entry(&["connect"], "ALLOW", &[])]);
    case.check(&[
        (Arch::X86, "socketcall", &[3], Action::Allow),
        (Arch::X86, "socketcall", &[2], EPERM),
    ]);
}

#[test]
fn clone3_gets_enosys_where_clone_is_restricted() {
    let clone = entry(&["clone"], "ALLOW", &[(0, "MASKED_EQ", 0x7E02_0000, 0)]);
    let clone3 = |action| entry(&["clone3"], action, &[]);
    for (action, expected) in
        [("ALLOW", ENOSYS), ("LOG", ENOSYS), ("KILL", Action::KillThread), ("ERRNO", EPERM)]
    {
        let case = spec("SCMP_ACT_ERRNO", &[clone.clone(), clone3(action)]);
        case.check(&[(X64, "clone3", &[], expected)]);
    }
    let free = spec("SCMP_ACT_ERRNO", &[entry(&["clone", "clone3"], "ALLOW", &[])]);
    free.check(&[(X64, "clone3", &[], Action::Allow)]);
    // An unconditional entry of the same action makes the condition moot.
    let moot = spec("SCMP_ACT_ERRNO", &[clone, entry(&["clone", "clone3"], "ALLOW", &[])]);
    moot.check(&[(X64, "clone3", &[], Action::Allow)]);
    let flags = Condition { index: 0, operator: Operator::MaskedEqual { mask: 1, value: 1 } };
    free.restricted(these("clone", vec![flags], Answer::Errno(1)))
        .check(&[(X64, "clone3", &[], ENOSYS), (X64, "clone", &[1], EPERM)]);
}

#[test]
fn restrictions_tighten_and_the_errno_of_the_specification_holds() {
    let mut mount = entry(&["mount"], "ERRNO", &[]);
    mount["errnoRet"] = 22.into();
    let case = spec("SCMP_ACT_ALLOW", &[mount, entry(&["ptrace"], "KILL", &[])])
        .restricted(these("mount", vec![], Answer::Errno(13)))
        .restricted(these("ptrace", vec![], Answer::Errno(13)))
        .restricted(these("reboot", vec![], Answer::Kill))
        .restricted(these("fchroot", vec![equal(1, 3)], Answer::Errno(13)));
    case.check(&[
        (X64, "mount", &[], Action::Errno(22)),
        (X64, "ptrace", &[], Action::KillThread),
        (X64, "reboot", &[], Action::KillProcess),
        (X64, "fchroot", &[0, 3], Action::Errno(13)),
        (X64, "fchroot", &[0, 4], Action::Allow),
        (Arch::X86, "fchroot", &[0, 3], Action::Errno(13)),
    ]);
}

#[test]
fn an_allow_list_is_intersected_with_the_specification() {
    let case = spec("SCMP_ACT_ERRNO", &[entry(&["read", "write", "fchroot"], "ALLOW", &[])])
        .restricted(only(&["read", "mount", "openat2"]));
    case.check(&[
        (X64, "read", &[], Action::Allow),
        (X64, "write", &[], EPERM),
        (X64, "mount", &[], EPERM),
        // Newer than the list: libraries fall back.
        (X64, "fchroot", &[], ENOSYS),
    ]);
}

#[test]
fn without_a_specification_the_policy_holds_on_every_architecture() {
    let case = Case { spec: None, restrictions: vec![], mediated: vec![], native: X64 }
        .restricted(these("mount", vec![], Answer::Errno(1)))
        .mediating(mediated("openat"));
    case.check(&[
        (X64, "mount", &[], EPERM),
        (Arch::X86, "mount", &[], EPERM),
        (Arch::X32, "mount", &[], EPERM),
        (Arch::X32, "openat", &[], Action::Notify),
        (X64, "read", &[], Action::Allow),
    ]);
    case.check_numbers(&[(Arch::Arm.token(), 0, &[], Action::KillProcess)]);
}

#[test]
fn what_is_denied_stays_denied_when_it_is_mediated() {
    let case = spec(
        "SCMP_ACT_ALLOW",
        &[
            entry(&["openat"], "ERRNO", &[(2, "MASKED_EQ", 3, 1)]),
            entry(&["openat2"], "TRACE", &[]),
            entry(&["open"], "LOG", &[]),
        ],
    )
    .mediating(mediated("openat"))
    .mediating(mediated("openat2"))
    .mediating(mediated("open"))
    .mediating(mediated("connect"));
    case.check(&[
        (X64, "openat", &[0, 0, 0], Action::Notify),
        (X64, "openat", &[0, 0, 1], EPERM),
        // A tracer could let it pass unseen, the supervisor might where nobody traces: neither.
        (X64, "openat2", &[], ENOSYS),
        (X64, "open", &[], Action::Notify),
        (Arch::X86, "connect", &[], Action::Notify),
        (Arch::X86, "socketcall", &[3], ENOSYS),
    ]);
}

#[test]
fn a_mediated_workload_has_no_listener_of_its_own_and_stalls_no_read() {
    let mut case = spec("SCMP_ACT_ALLOW", &[]).mediating(mediated("openat"));
    case.restrictions = Restriction::while_mediated();
    assert_eq!(case.restrictions.len(), 4);
    case.check(&[
        (X64, "seccomp", &[1, 0], Action::Allow),
        (X64, "seccomp", &[1, 8], Action::Errno(16)),
        (X64, "seccomp", &[1 << 32 | 1, 1 << 40 | 0x28], Action::Errno(16)),
        (X64, "seccomp", &[2, 8], Action::Allow),
        (Arch::X86, "seccomp", &[1, 9], Action::Errno(16)),
        (X64, "userfaultfd", &[], EPERM),
        (X64, "ioctl", &[3, 0xAA00], EPERM),
        (X64, "io_uring_setup", &[8], ENOSYS),
    ]);
}

#[test]
fn audit_mode_logs_what_would_be_denied() {
    let case = spec("SCMP_ACT_ALLOW", &[])
        .restricted(these("mount", vec![], Answer::Log))
        .mediating(mediated("mount"))
        .restricted(these("ptrace", vec![], Answer::Log));
    case.check(&[(X64, "mount", &[], Action::Notify), (X64, "ptrace", &[], Action::Log)]);
}

#[test]
fn s390_finds_the_flags_of_clone_in_its_second_argument() {
    let clone = entry(&["clone"], "ERRNO", &[(1, "EQ", 0x1000_0000, 0)]);
    spec("SCMP_ACT_ALLOW", &[clone]).on(Arch::S390x).check(&[
        (Arch::S390x, "clone", &[0, 0xF_1000_0000], EPERM),
        (Arch::S390, "clone", &[0, 0x1000_0000], EPERM),
        (Arch::S390x, "clone3", &[], ENOSYS),
    ]);
}

#[test]
fn an_agent_of_the_specification_and_a_supervisor_exclude_each_other() {
    let value = spec("SCMP_ACT_ALLOW", &[entry(&["mkdir"], "NOTIFY", &[])]).spec.unwrap();
    let spec = parse(&value).unwrap();
    let alone = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native: X64 };
    let compiled = compile(&alone).unwrap();
    assert!(compiled.notifies);
    assert_eq!(compiled.flags, FilterFlags::NEW_LISTENER);
    let mediated = [mediated("openat"), mediated("connect")];
    let errors = compile(&Input { mediated: &mediated, ..alone }).unwrap_err();
    assert!(matches!(&errors[..], [Error::TwoListeners { .. }]));
    let text = errors[0].to_string();
    assert!(
        text.contains("linux.seccomp.syscalls[0]") && text.contains("mediate connect"),
        "{text}"
    );
}

#[test]
fn flags_are_those_that_the_kernel_takes_together() {
    let flags = |names: &[&str], mediated: &[Mediated]| {
        let names: Vec<String> =
            names.iter().map(|name| format!("SECCOMP_FILTER_FLAG_{name}")).collect();
        let spec = parse(&json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": names})).unwrap();
        let input = Input { spec: Some(&spec), restrictions: &[], mediated, native: X64 };
        let compiled = compile(&input).unwrap();
        (compiled.flags.bits(), compiled.warnings.len())
    };
    assert_eq!(flags(&["TSYNC", "LOG", "SPEC_ALLOW"], &[]), (0b111, 0));
    assert_eq!(flags(&["WAIT_KILLABLE_RECV"], &[]), (0, 1));
    let mediated = [mediated("openat")];
    assert_eq!(flags(&["LOG"], &mediated), (0b10_1010, 0));
    assert_eq!(flags(&["TSYNC"], &mediated), (0b10_1000, 1));
}

#[test]
fn a_denial_that_no_argument_can_meet_is_an_error() {
    let deny = |action| {
        spec("SCMP_ACT_ERRNO", &[entry(&["ioctl"], action, &[(1, "EQ", 0x1_0000_5412, 0)])])
    };
    let value = deny("KILL").spec.unwrap();
    let spec = parse(&value).unwrap();
    let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native: X64 };
    let text = compile(&input).unwrap_err()[0].to_string();
    assert!(text.starts_with("linux.seccomp.syscalls[0].args[0].value: "), "{text}");
    let value = deny("ALLOW").spec.unwrap();
    let spec = parse(&value).unwrap();
    let warnings = compile(&Input { spec: Some(&spec), ..input }).unwrap().warnings;
    assert!(warnings.iter().any(|w| w.place == "linux.seccomp.syscalls[0].args[0].value"));
}

#[test]
fn rules_that_need_too_long_a_program_are_an_error() {
    let entries: Vec<Value> =
        (0..4096).map(|n| entry(&["pread64"], "ALLOW", &[(3, "EQ", n << 33 | 1, 0)])).collect();
    let value = spec("SCMP_ACT_ERRNO", &entries).spec.unwrap();
    let spec = parse(&value).unwrap();
    let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native: X64 };
    assert!(matches!(compile(&input).unwrap_err()[..], [Error::TooLong { .. }]));
}

#[test]
fn a_program_near_the_limit_is_exact_over_long_jumps() {
    let entries: Vec<Value> = (0..700)
        .map(|n| {
            let action = ["ALLOW", "LOG", "TRAP", "KILL"][n % 4];
            entry(&["pread64"], action, &[(3, "EQ", (n as u64) << 32 | 5, 0)])
        })
        .chain([entry(&["read", "fchroot"], "ALLOW", &[])])
        .collect();
    let case = spec("SCMP_ACT_ERRNO", &entries);
    case.check(&[
        (X64, "pread64", &[0, 0, 0, 699 << 32 | 5], Action::KillThread),
        (X64, "pread64", &[0, 0, 0, 697 << 32 | 5], Action::Log),
        (X64, "pread64", &[0, 0, 0, 697 << 32 | 6], EPERM),
        (X64, "fchroot", &[], Action::Allow),
        (Arch::X86, "fchroot", &[], Action::Allow),
    ]);
}
