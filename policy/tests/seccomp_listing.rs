// SPDX-License-Identifier: Apache-2.0
//! Snapshots: a change of what programs look like shows in review.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use brig_policy::seccomp::{
    Action, Arch, Host, Input, Seccomp, Syscall, compile, default_profile, disassemble, explain,
    parse, report,
};
use serde_json::json;

fn small() -> Seccomp {
    parse(&json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["read", "write", "exit_group"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
            {"names": ["lseek"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 1, "value": 4096, "op": "SCMP_CMP_LE"},
                      {"index": 2, "value": 0, "op": "SCMP_CMP_EQ"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2_114_060_288, "op": "SCMP_CMP_MASKED_EQ"}]},
        ]
    }))
    .unwrap()
}

fn input(spec: &Seccomp) -> Input<'_> {
    Input { spec: Some(spec), restrictions: &[], mediated: &[], native: Arch::X86_64 }
}

#[test]
fn a_small_program_disassembled() {
    let spec = small();
    let compiled = compile(&input(&spec)).unwrap();
    insta::assert_snapshot!(disassemble(&compiled.program, Arch::X86_64));
}

#[test]
fn a_small_program_listed() {
    insta::assert_snapshot!(report(&input(&small())).unwrap());
}

#[test]
fn the_default_profile_listed() {
    let capabilities = ["CAP_CHOWN", "CAP_NET_RAW", "CAP_SYS_CHROOT"].map(str::to_owned).into();
    let host = Host { native: Arch::X86_64, kernel: (6, 18), capabilities };
    let spec = default_profile(&host).unwrap();
    insta::assert_snapshot!(report(&input(&spec)).unwrap());
}

#[test]
fn a_call_is_explained_with_the_rule_that_decided_it() {
    let spec = small();
    let lines: Vec<String> = [
        ("read", Arch::X86_64, 0, Action::Allow),
        ("mount", Arch::X86_64, 0, Action::Errno(1)),
        ("listns", Arch::X86_64, 0, Action::Errno(38)),
        ("socket", Arch::X86, 1, Action::Allow),
        ("socketcall", Arch::X86, 1, Action::Errno(1)),
        ("clone3", Arch::X86_64, 0, Action::Errno(38)),
    ]
    .map(|(name, arch, first, expected)| {
        let call = Syscall::from_name(name).unwrap();
        let (action, text) = explain(&input(&spec), arch, call, [first, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(action, expected, "{text}");
        text
    })
    .into();
    insta::assert_snapshot!(lines.concat());
    let mips = explain(&input(&spec), Arch::Mips, Syscall::from_name("read").unwrap(), [0; 6]);
    assert!(mips.unwrap_err()[0].to_string().contains("does not run it"));
}
