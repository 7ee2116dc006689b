// SPDX-License-Identifier: Apache-2.0
//! A profile's `[syscalls]`: the program answers what the policy decides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod reading;

use std::sync::Arc;

use brig_policy::decide::{Decider, Operation, Verdict};
use brig_policy::policy::Policy;
use brig_policy::seccomp::{
    self, Action, Arch, Input, Restriction, SeccompData, Syscall, restrictions,
};

const NATIVE: Arch = Arch::X86_64;

fn policy(text: &str) -> Policy {
    reading::read(text, &[], &[]).resolved.expect("a right profile").policy
}

fn program(restrictions: &[Restriction]) -> seccomp::Program {
    let input = Input { spec: None, restrictions, mediated: &[], native: NATIVE };
    seccomp::compile(&input).unwrap().program
}

/// The values that conditions of the profiles below look at, and others.
const VALUES: [u64; 9] = [0, 1, 2, 3, 5, 16, 40, 0x5412, u64::MAX];

fn check(text: &str) {
    let policy = policy(text);
    let program = program(&restrictions(&policy));
    let decider = Decider::new(Arc::new(policy));
    for call in Syscall::all() {
        let Some(nr) = call.number(NATIVE) else { continue };
        for value in VALUES {
            let args = [value, value, value, 0, 0, 0];
            let data = SeccompData { nr, arch: NATIVE.token(), instruction_pointer: 0, args };
            let action = seccomp::run(&program, &data, NATIVE).unwrap().action;
            let written: Vec<String> = args.iter().map(ToString::to_string).collect();
            let operation = format!("syscall {} {}", call.name(), written.join(" "));
            let operation = Operation::parse(&operation).expect("an operation");
            let expected = match decider.decide(&operation).verdict {
                Verdict::Allow => vec![Action::Allow],
                Verdict::Deny { errno } => {
                    // what is newer than an allow list gets ENOSYS
                    vec![Action::Errno(u16::try_from(errno.0).unwrap()), Action::Errno(38)]
                }
                Verdict::Kill => vec![Action::KillProcess],
            };
            assert!(
                expected.contains(&action) || hides_clone(call, action),
                "{} {args:x?}: {action:?}, decided {expected:?}",
                call.name()
            );
        }
    }
}

/// clone3 has its flags in memory: where clone's are restricted it is answered ENOSYS.
fn hides_clone(call: Syscall, action: Action) -> bool {
    call.name() == "clone3" && action == Action::Errno(38)
}

#[test]
fn the_shipped_profiles_decide_as_their_programs_answer() {
    for name in ["base", "default", "untrusted", "none"] {
        check(&format!("extends = [\"{name}\"]\n"));
    }
}

#[test]
fn conditions_kills_and_allow_lists_are_answered_as_decided() {
    check(
        r#"
        [syscalls]
        deny = [{ name = "ioctl", arg = 1, equals = "TIOCSTI" }, { name = "socket", arg = 0, equals = 40, errno = "ENOSYS" }]
        kill = ["kexec_load"]
        "#,
    );
    check(
        "[syscalls]\nallow = [\"read\", \"write\", \"exit_group\", { name = \"socket\", arg = 0, equals = 2 }]\n",
    );
}

#[test]
fn audit_mode_denies_nothing_and_logs() {
    let policy = policy("[syscalls]\ndeny = [\"mount\"]\n[audit]\nmode = \"audit\"\n");
    let program = program(&restrictions(&policy));
    let nr = Syscall::from_name("mount").unwrap().number(NATIVE).unwrap();
    let data = SeccompData { nr, arch: NATIVE.token(), instruction_pointer: 0, args: [0; 6] };
    assert_eq!(seccomp::run(&program, &data, NATIVE).unwrap().action, Action::Log);
}
