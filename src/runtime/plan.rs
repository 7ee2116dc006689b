// SPDX-License-Identifier: Apache-2.0
//! What is loaded before the workload runs, and who answers what it does not decide by itself.
//!
//! Made once, at create, and stored: a process that is added later gets the very same program.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use brig_policy::seccomp::{
    self, Answer, Arch, Condition, FilterFlags, Input, Match, Mediated, Operator, Program,
    Restriction, Seccomp, SeccompData, Selects, Syscall,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The plan of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The seccomp program, if there is one.
    pub program: Option<Program>,
    /// The flags of seccomp(2) that it is loaded with.
    pub flags: FilterFlags,
    /// Who gets the listener.
    pub listener: Listener,
}

/// Who gets the listener of a program that notifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listener {
    /// Nothing is notified.
    None,
    /// The specification's own agent.
    Agent {
        /// `linux.seccomp.listenerPath`.
        path: PathBuf,
        /// `linux.seccomp.listenerMetadata`.
        metadata: String,
    },
    /// brig's supervisor, which continues these calls.
    Supervisor {
        /// The calls' names.
        continued: Vec<String>,
    },
}

/// Makes the plan from `linux.seccomp` and the calls to mediate.
///
/// # Errors
///
/// Every fault of `linux.seccomp`, and a listener that two want.
pub fn make(written: Option<&Value>, mediated: &[String]) -> anyhow::Result<Plan> {
    let spec = written.map(seccomp::parse).transpose().map_err(join)?;
    let mediated = mediated.iter().map(|name| resolve(name)).collect::<Result<Vec<_>, _>>()?;
    if spec.is_none() && mediated.is_empty() {
        return Ok(Plan { program: None, flags: FilterFlags::NONE, listener: Listener::None });
    }
    let native = Arch::from_name(std::env::consts::ARCH)
        .ok_or_else(|| anyhow!("no table of system calls for {}", std::env::consts::ARCH))?;
    let restrictions = if mediated.is_empty() { Vec::new() } else { for_the_supervisor()? };
    let input =
        Input { spec: spec.as_ref(), restrictions: &restrictions, mediated: &mediated, native };
    let compiled = seccomp::compile(&input).map_err(join)?;
    for warning in &compiled.warnings {
        tracing::warn!("linux.seccomp: {warning}");
    }
    let listener = listener(compiled.notifies, spec.as_ref(), &mediated)?;
    // TSYNC says that all threads take the program: the one that loads it is the only one that is
    // left after execve, and the thread that hands the listener over must not be under it
    let flags = compiled.flags.without(FilterFlags::TSYNC);
    Ok(Plan { program: Some(compiled.program), flags, listener })
}

fn resolve(name: &str) -> anyhow::Result<Mediated> {
    let syscall =
        Syscall::from_name(name).ok_or_else(|| anyhow!("{name:?} is no system call's name"))?;
    Ok(Mediated { syscall, conditions: Vec::new(), label: format!("mediate {name}") })
}

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` of linux/seccomp.h, in the second argument of seccomp(2).
const NEW_LISTENER: u64 = 1 << 3;

/// What a workload may not do while a supervisor answers for it: have a listener of its own, with
/// which it could answer in the supervisor's place once that is gone, and userfaultfd(2), with which
/// it could stall the supervisor's reads of its memory.
fn for_the_supervisor() -> anyhow::Result<Vec<Restriction>> {
    let operator = Operator::MaskedEqual { mask: NEW_LISTENER, value: NEW_LISTENER };
    let listens = Condition { index: 1, operator };
    let refuse = |name: &str, conditions: Vec<Condition>, errno: i32| {
        let syscall = Syscall::from_name(name).ok_or_else(|| anyhow!("{name}: no such call"))?;
        anyhow::Ok(Restriction {
            selects: Selects::These(vec![Match { syscall, conditions }]),
            answer: Answer::Errno(u16::try_from(errno)?),
            label: "what a supervisor needs".to_owned(),
        })
    };
    // the errno of the kernel where there is a listener already, and where there is no userfaultfd
    Ok(vec![
        refuse("seccomp", vec![listens], libc::EBUSY)?,
        refuse("userfaultfd", Vec::new(), libc::ENOSYS)?,
    ])
}

fn listener(
    notifies: bool,
    spec: Option<&Seccomp>,
    mediated: &[Mediated],
) -> anyhow::Result<Listener> {
    if !mediated.is_empty() {
        let continued = mediated.iter().map(|one| one.syscall.name().to_owned()).collect();
        return Ok(Listener::Supervisor { continued });
    }
    if !notifies {
        return Ok(Listener::None);
    }
    let path = spec.and_then(|spec| spec.listener_path.clone()).filter(|path| !path.is_empty());
    let Some(path) = path else {
        bail!("linux.seccomp.listenerPath: is missing, and a rule's action is SCMP_ACT_NOTIFY");
    };
    let metadata = spec.and_then(|spec| spec.listener_metadata.clone()).unwrap_or_default();
    Ok(Listener::Agent { path: path.into(), metadata })
}

#[allow(clippy::needless_pass_by_value)] // as map_err gives it
fn join(errors: Vec<seccomp::Error>) -> anyhow::Error {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!("{}", texts.join("; "))
}

impl Plan {
    /// Whether the program allows a call whatever its arguments are; true where there is none.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let Some(program) = &self.program else { return true };
        let Some(native) = Arch::from_name(std::env::consts::ARCH) else { return false };
        let Some(nr) = Syscall::from_name(name).and_then(|call| call.number(native)) else {
            return false;
        };
        let zero = SeccompData { nr, arch: native.token(), instruction_pointer: 0, args: [0; 6] };
        let ones = SeccompData { args: [u64::MAX; 6], ..zero };
        [zero, ones].iter().all(|data| {
            seccomp::run(program, data, native)
                .is_ok_and(|outcome| outcome.action == seccomp::Action::Allow)
        })
    }
}

#[cfg(test)]
mod tests {
    use brig_policy::seccomp::Action;

    use super::*;

    fn check(plan: &Plan, name: &str, args: [u64; 6], expected: Action) {
        let native = Arch::from_name(std::env::consts::ARCH).unwrap();
        let nr = Syscall::from_name(name).unwrap().number(native).unwrap();
        let data = SeccompData { nr, arch: native.token(), instruction_pointer: 0, args };
        let outcome = seccomp::run(plan.program.as_ref().unwrap(), &data, native).unwrap();
        assert_eq!(outcome.action, expected, "{name} {args:x?}");
    }

    #[test]
    fn nothing_to_enforce_makes_no_program() {
        let plan = make(None, &[]).unwrap();
        assert!(plan.program.is_none());
        assert_eq!(plan.listener, Listener::None);
        assert!(plan.allows("seccomp"));
    }

    #[test]
    fn beside_a_supervisor_no_listener_and_no_userfaultfd_is_had() {
        let busy = Action::Errno(16);
        let plan = make(None, &["getppid".to_owned()]).unwrap();
        check(&plan, "seccomp", [1, 8, 0, 0, 0, 0], busy);
        check(&plan, "seccomp", [1, 0x3f, 0, 0, 0, 0], busy);
        check(&plan, "seccomp", [1, 0xffff_ffff_0000_0008, 0, 0, 0, 0], busy);
        check(&plan, "seccomp", [1, 0x37, 0, 0, 0, 0], Action::Allow);
        check(&plan, "seccomp", [1, 0, 0, 0, 0, 0], Action::Allow);
        check(&plan, "userfaultfd", [0; 6], Action::Errno(38));
        check(&plan, "getppid", [0; 6], Action::Notify);
        assert!(!plan.allows("getppid") && plan.allows("mkdir"));
    }
}
