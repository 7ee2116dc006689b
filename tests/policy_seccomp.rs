// SPDX-License-Identifier: Apache-2.0
//! `brig policy seccomp`: its arguments and its exit status.
#![allow(clippy::unwrap_used)] // tests

#[path = "../src/commands/policy/seccomp.rs"]
mod seccomp;

use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    seccomp: seccomp::Seccomp,
}

const PROFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/seccomp/default.json");

fn status(args: &[&str]) -> String {
    let cli = Cli::try_parse_from(["seccomp"].iter().chain(args)).unwrap();
    format!("{:?}", seccomp::run(&cli.seccomp).unwrap())
}

#[test]
fn the_exit_status_says_whether_the_call_is_allowed() {
    let code = |code: u8| format!("{:?}", std::process::ExitCode::from(code));
    for (args, expected) in [
        (&[PROFILE][..], 0),
        (&[PROFILE, "--disassemble"], 0),
        (&[PROFILE, "--syscall", "read"], 0),
        (&[PROFILE, "--syscall", "sethostname"], 1),
        (&[PROFILE, "--syscall", "sethostname", "--capability", "sys_admin,chown"], 0),
        (&[PROFILE, "--syscall", "ioctl", "--args", "0", "0x5412"], 1),
        (&[PROFILE, "--syscall", "ioctl", "--args", "-1", "0x5413"], 0),
        (&[PROFILE, "--syscall", "ptrace", "--kernel", "4.7"], 1),
        (&[PROFILE, "--syscall", "open", "--arch", "aarch64"], 2),
        (&[PROFILE, "--syscall", "openat", "--arch", "SCMP_ARCH_AARCH64"], 0),
        (&[PROFILE, "--syscall", "opeant"], 2),
    ] {
        assert_eq!(status(args), code(expected), "{args:?}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for args in [
        &["--syscall", "read"][..],
        &[PROFILE, "--args", "1"],
        &[PROFILE, "--syscall", "read", "--args", "x"],
        &[PROFILE, "--arch", "vax"],
        &[PROFILE, "--kernel", "six"],
        &[PROFILE, "--syscall", "read", "--disassemble"],
    ] {
        assert!(Cli::try_parse_from(["seccomp"].iter().chain(args)).is_err(), "{args:?}");
    }
}

#[test]
fn the_program_of_a_profile_is_listed_with_the_rules_that_decide() {
    let plan = |args: &[&str]| {
        let mut brig = std::process::Command::new(env!("CARGO_BIN_EXE_brig"));
        brig.args(["policy", "plan", "--seccomp"]).args(args).output().unwrap()
    };
    let listed = plan(&["default"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success() && text.contains("x86_64") && text.contains("io_uring_setup"));
    let instructions = plan(&["default", "--disassemble"]);
    assert!(String::from_utf8(instructions.stdout).unwrap().starts_with("    0  load arch"));
    let missing = plan(&["/nonexistent.toml"]);
    assert_eq!(missing.status.code(), Some(2));
}
