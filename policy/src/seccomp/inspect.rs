// SPDX-License-Identifier: Apache-2.0
//! What `brig policy seccomp` answers: a file's listing, its program, or the fate of one call.

use super::action::Action;
use super::arch::Arch;
use super::compile::compile;
use super::disassemble::disassemble;
use super::docker::{Host, parse_profile};
use super::error::Error;
use super::parse::{field, parse};
use super::render::{explain, report};
use super::rules::Input;
use super::spec::Seccomp;
use super::syscall::Syscall;
use serde_json::Value;
use std::collections::BTreeSet;

/// What to say about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Architecture, call, conditions, answer; and the cost.
    Listing,
    /// The instructions.
    Instructions,
    /// What happens to this call.
    Call {
        /// Its name.
        name: String,
        /// Its arguments.
        args: [u64; 6],
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// For people.
    pub text: String,
    /// What the call gets, if one was asked for.
    pub action: Option<Action>,
}

/// Docker's capabilities, for profiles of which nobody says which the container has.
pub const USUAL_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Answers a question about a `config.json`, a `linux.seccomp`, or a profile of Docker or Podman.
///
/// `machine` is where brig runs; `arch` is whose calls are asked about. If that machine cannot run
/// them, the file is read as on a machine of `arch`.
///
/// # Errors
///
/// What is wrong with the file or with the question.
pub fn inspect(
    document: &Value,
    question: &Question,
    machine: &Host,
    arch: Option<Arch>,
) -> Result<Inspection, Vec<Error>> {
    let arch = arch.unwrap_or(machine.native);
    let reached = machine.native.reachable().contains(&arch);
    let native = if reached { machine.native } else { arch };
    let spec = read(document, &Host { native, ..machine.clone() })?;
    let input = Input { spec: spec.as_ref(), restrictions: &[], mediated: &[], native };
    match question {
        Question::Listing => Ok(Inspection { text: report(&input)?, action: None }),
        Question::Instructions => {
            let program = compile(&input)?.program;
            Ok(Inspection { text: disassemble(&program, native), action: None })
        }
        Question::Call { name, args } => {
            let (action, text) = explain(&input, arch, resolve(name)?, *args)?;
            Ok(Inspection { text, action: Some(action) })
        }
    }
}

fn resolve(name: &str) -> Result<Syscall, Vec<Error>> {
    Syscall::from_name(name).ok_or_else(|| {
        let hint = Syscall::similar(name).map(|call| format!("; did you mean \"{call}\"?"));
        let problem = format!("no kernel has such a system call{}", hint.unwrap_or_default());
        vec![Error::spec(name, problem)]
    })
}

/// The rules of a file; `None`: a configuration without seccomp.
fn read(document: &Value, host: &Host) -> Result<Option<Seccomp>, Vec<Error>> {
    let configuration = document
        .as_object()
        .is_some_and(|object| object.contains_key("ociVersion") || object.contains_key("linux"));
    if !configuration {
        return parse_profile(document, host).map(Some);
    }
    let linux = document.get("linux").and_then(Value::as_object);
    linux.and_then(|linux| field(linux, "seccomp")).map(parse).transpose()
}

/// The capabilities of a question, or the usual ones.
pub fn capabilities(named: &[String]) -> BTreeSet<String> {
    if named.is_empty() {
        return USUAL_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    }
    let full = |name: &String| {
        let name = name.to_ascii_uppercase();
        if name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
    };
    named.iter().filter(|name| *name != "none").map(full).collect()
}

/// An argument as people write it: decimal, `0x`, `0o`, or negative.
pub fn parse_argument(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix('-') {
        let magnitude = parse_argument(digits).filter(|value| *value <= 1 << 63)?;
        return Some(magnitude.wrapping_neg());
    }
    if text.starts_with('+') {
        return None;
    }
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => u64::from_str_radix(digits, 16).ok(),
        (_, Some(digits)) => u64::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn machine() -> Host {
        Host { native: Arch::X86_64, kernel: (6, 1), capabilities: capabilities(&[]) }
    }

    fn ask(document: &Value, name: &str, args: [u64; 6], arch: Option<Arch>) -> String {
        let question = Question::Call { name: name.to_owned(), args };
        match inspect(document, &question, &machine(), arch) {
            Ok(inspection) => inspection.text,
            Err(errors) => errors[0].to_string(),
        }
    }

    #[test]
    fn a_configuration_and_a_profile_are_told_apart() {
        let seccomp = json!({"defaultAction": "SCMP_ACT_KILL", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}}]});
        assert!(ask(&seccomp, "read", [0; 6], None).contains("kill thread (the default action)"));
        // A runtime ignores Docker's conditions in a configuration.
        let config = json!({"ociVersion": "1.0.2", "linux": {"seccomp": seccomp}});
        assert!(ask(&config, "read", [0; 6], None).contains("allow (linux.seccomp.syscalls[0])"));
        let open = json!({"ociVersion": "1.0.2"});
        assert!(ask(&open, "mount", [0; 6], None).contains("allow (nothing restricts it)"));
    }

    #[test]
    fn another_architecture_is_simulated_where_this_machine_cannot_run_it() {
        let profile = serde_json::from_str(super::super::DEFAULT_PROFILE).unwrap();
        let clone = |arch| ask(&profile, "clone", [0, 0x1000_0000, 0, 0, 0, 0], arch);
        assert!(clone(Some(Arch::S390x)).contains("on s390x: errno EPERM"));
        assert!(clone(Some(Arch::X86)).contains("on x86: allow"));
        assert!(ask(&profile, "socketcall", [0; 6], None).contains("has no system call"));
        assert!(ask(&profile, "opeant", [0; 6], None).contains("did you mean \"openat\"?"));
    }

    #[test]
    fn arguments_are_numbers_as_people_write_them() {
        for (text, value) in [
            ("7", Some(7)),
            ("0x7e020000", Some(0x7E02_0000)),
            ("0o4755", Some(0o4755)),
            ("-100", Some(100u64.wrapping_neg())),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-0x8000000000000001", None),
            ("", None),
            ("x", None),
            ("+1", None),
        ] {
            assert_eq!(parse_argument(text), value, "{text}");
        }
    }
}
