// SPDX-License-Identifier: Apache-2.0
//! What is loaded before the workload runs, and who answers what it does not decide by itself.
//!
//! Made once, at create, and stored: a process that is added later gets the very same program.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use brig_policy::seccomp::{
    self, Arch, FilterFlags, Host, Input, Mediated, Program, Restriction, Rules, Seccomp,
    SeccompData, Syscall,
};
use brig_policy::spec::{CapabilitySets, capability_names};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::supervisor::Nesting;

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
    /// brig's supervisor.
    Supervisor {
        /// Calls that it continues without a look: for tests of its seat.
        continued: Vec<String>,
    },
}

/// What holds where a specification has no seccomp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Baseline {
    /// brig's default seccomp profile.
    Default,
    /// Nothing: the specification is taken at its word.
    None,
}

impl Baseline {
    /// What holds where both have something to say.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Baseline::None { other } else { self }
    }
}

/// Makes the plan from `linux.seccomp`, the policy's restrictions and the calls to mediate. A
/// specification without seccomp gets brig's default profile, for the capabilities that the
/// container has, unless the policy leaves everything to it.
///
/// # Errors
///
/// Every fault of `linux.seccomp`, and a listener that two want.
pub fn make(
    written: Option<&Value>,
    mediated: &[Mediated],
    continued: &[String],
    capabilities: CapabilitySets,
    policy: &[Restriction],
    baseline: Baseline,
) -> anyhow::Result<Plan> {
    let native = native()?;
    let spec = match (written, baseline) {
        (Some(written), _) => Some(seccomp::parse(written).map_err(|errors| join(&errors))?),
        (None, Baseline::Default) => Some(default_profile(native, capabilities)?),
        (None, Baseline::None) => None,
    };
    if spec.is_none() && policy.is_empty() && mediated.is_empty() && continued.is_empty() {
        return Ok(Plan { program: None, flags: FilterFlags::default(), listener: Listener::None });
    }
    let mut mediated = mediated.to_vec();
    for name in continued {
        mediated.push(resolve(name)?);
    }
    let mut restrictions = policy.to_vec();
    if !mediated.is_empty() {
        restrictions.extend(Restriction::while_mediated());
    }
    let input =
        Input { spec: spec.as_ref(), restrictions: &restrictions, mediated: &mediated, native };
    let compiled = seccomp::compile(&input).map_err(|errors| join(&errors))?;
    // brig's own profile has nothing to tell the caller
    if written.is_some() {
        warn(&input);
    }
    let listener = listener(compiled.notifies, spec.as_ref(), &mediated, continued)?;
    // TSYNC says that all threads take the program: the one that loads it is the only one that is
    // left after execve, and the thread that hands the listener over must not be under it
    let flags = compiled.flags.without(FilterFlags::TSYNC);
    Ok(Plan { program: Some(compiled.program), flags, listener })
}

/// Says what the specification says and does not mean. What the policy does to it is no fault of
/// the specification's.
fn warn(input: &Input<'_>) {
    let alone = Input { restrictions: &[], mediated: &[], ..*input };
    for warning in Rules::new(alone).map(|rules| rules.warnings()).unwrap_or_default() {
        tracing::warn!("{warning}");
    }
}

fn native() -> anyhow::Result<Arch> {
    Arch::of_build().ok_or_else(|| anyhow!("no table of system calls for this architecture"))
}

fn default_profile(native: Arch, capabilities: CapabilitySets) -> anyhow::Result<Seccomp> {
    let host = Host {
        native,
        kernel: super::target::kernel_version(),
        capabilities: capability_names(capabilities.union()).into_iter().collect(),
    };
    seccomp::default_profile(&host).map_err(|errors| join(&errors))
}

fn resolve(name: &str) -> anyhow::Result<Mediated> {
    let syscall =
        Syscall::from_name(name).ok_or_else(|| anyhow!("{name:?} is no system call's name"))?;
    Ok(Mediated { syscall, conditions: Vec::new(), label: format!("mediate {name}") })
}

fn listener(
    notifies: bool,
    spec: Option<&Seccomp>,
    mediated: &[Mediated],
    continued: &[String],
) -> anyhow::Result<Listener> {
    if !mediated.is_empty() {
        return Ok(Listener::Supervisor { continued: continued.to_vec() });
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

fn join(errors: &[seccomp::Error]) -> anyhow::Error {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!("{}", texts.join("; "))
}

impl Plan {
    /// Whether the program allows a call whatever its arguments are; true where there is none.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let Some(program) = &self.program else { return true };
        let Some(native) = Arch::of_build() else { return false };
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

impl Plan {
    /// Whether the program lets a process make a user namespace, on whatever architecture.
    #[must_use]
    pub fn nesting(&self) -> Nesting {
        let (Some(program), Some(native)) = (&self.program, Arch::of_build()) else {
            return Nesting::Possible;
        };
        let mut all = native.reachable().iter().chain([&native]);
        match all.all(|arch| refuses_user_namespaces(program, native, *arch)) {
            true => Nesting::Refused,
            false => Nesting::Possible,
        }
    }
}

fn refuses_user_namespaces(program: &Program, native: Arch, arch: Arch) -> bool {
    use seccomp::Action::{Errno, KillProcess, KillThread};
    const CLONE_NEWUSER: u64 = 0x1000_0000;
    let mut flags = [0; 6];
    flags[usize::from(arch.clone_flags_index()).min(5)] = CLONE_NEWUSER;
    let ways = [("unshare", [CLONE_NEWUSER, 0, 0, 0, 0, 0]), ("clone", flags), ("clone3", [0; 6])];
    ways.iter().all(|(name, args)| {
        let Some(nr) = Syscall::from_name(name).and_then(|call| call.number(arch)) else {
            return true;
        };
        let data = SeccompData { nr, arch: arch.token(), instruction_pointer: 0, args: *args };
        seccomp::run(program, &data, native)
            .is_ok_and(|outcome| matches!(outcome.action, Errno(_) | KillProcess | KillThread))
    })
}

#[cfg(test)]
mod tests {
    use brig_policy::seccomp::Action;

    use super::*;

    fn check(plan: &Plan, name: &str, args: [u64; 6], expected: Action) {
        let native = native().unwrap();
        let nr = Syscall::from_name(name).unwrap().number(native).unwrap();
        let data = SeccompData { nr, arch: native.token(), instruction_pointer: 0, args };
        let outcome = seccomp::run(plan.program.as_ref().unwrap(), &data, native).unwrap();
        assert_eq!(outcome.action, expected, "{name} {args:x?}");
    }

    #[test]
    fn a_specification_without_seccomp_gets_the_default_profile() {
        let plan = make(None, &[], &[], CapabilitySets::default(), &[], Baseline::Default).unwrap();
        check(&plan, "openat", [0; 6], Action::Allow);
        assert!(!plan.allows("mount") && !plan.allows("io_uring_setup"));
        assert_eq!(plan.listener, Listener::None);
    }

    #[test]
    fn a_specification_that_allows_everything_is_taken_at_its_word() {
        let spec = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        let plan =
            make(Some(&spec), &[], &[], CapabilitySets::default(), &[], Baseline::Default).unwrap();
        assert!(plan.allows("seccomp") && plan.allows("mount"));
    }

    #[test]
    fn a_policy_that_leaves_everything_to_the_specification_adds_no_program() {
        let plan = make(None, &[], &[], CapabilitySets::default(), &[], Baseline::None).unwrap();
        assert!(plan.program.is_none());
        let deny = Restriction::while_mediated();
        let plan = make(None, &[], &[], CapabilitySets::default(), &deny, Baseline::None).unwrap();
        check(&plan, "userfaultfd", [0; 6], Action::Errno(1));
        assert!(plan.allows("mount"));
        assert_eq!(Baseline::None.or(Baseline::Default), Baseline::Default);
    }

    #[test]
    fn beside_a_supervisor_no_listener_and_no_userfaultfd_is_had() {
        let busy = Action::Errno(16);
        let spec = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        let mediated = ["getppid".to_owned()];
        let plan =
            make(Some(&spec), &[], &mediated, CapabilitySets::default(), &[], Baseline::None)
                .unwrap();
        check(&plan, "seccomp", [1, 8, 0, 0, 0, 0], busy);
        check(&plan, "seccomp", [1, 0x3f, 0, 0, 0, 0], busy);
        check(&plan, "seccomp", [1, 0xffff_ffff_0000_0008, 0, 0, 0, 0], busy);
        check(&plan, "seccomp", [1, 0x37, 0, 0, 0, 0], Action::Allow);
        check(&plan, "seccomp", [1, 0, 0, 0, 0, 0], Action::Allow);
        check(&plan, "userfaultfd", [0; 6], Action::Errno(1));
        check(&plan, "getppid", [0; 6], Action::Notify);
        assert!(!plan.allows("getppid") && plan.allows("mkdir"));
    }
}
