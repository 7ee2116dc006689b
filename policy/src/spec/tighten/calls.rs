// SPDX-License-Identifier: Apache-2.0
//! What system calls enforce, and the kernel parameter that saves one of them.
//!
//! `user_namespaces = false` is a matter of registers: no parameter says it for one container.
//! Memory files are made non-executable by `vm.memfd_noexec` of the container's pid namespace,
//! which turns a plain memfd_create(2) into one that is not executable. Where the parameter
//! cannot be set, the call must ask for that itself, or is refused.

use std::collections::BTreeSet;

use oci_spec::runtime::{Linux, LinuxNamespaceType, Spec};

use super::{Host, Notes, UserNamespace, label, value};
use crate::policy::Policy;
use crate::seccomp::{Answer, Arch, Condition, ENOSYS, EPERM, Match, Operator, Restriction};
use crate::seccomp::{Selects, Syscall};

/// `CLONE_NEWUSER` of linux/sched.h.
const CLONE_NEWUSER: u64 = 0x1000_0000;
/// `MFD_NOEXEC_SEAL` of linux/memfd.h.
const MFD_NOEXEC_SEAL: u64 = 0x8;
/// Permission denied: what the kernel answers where the parameter forbids the call.
const EACCES: u16 = 13;
/// The first kernel with the parameter and the flag.
const KERNEL_OF_NOEXEC: (u32, u32) = (6, 3);

/// The parameter, and its strictest value.
pub(super) const MEMFD_NOEXEC: (&str, &str) = ("vm.memfd_noexec", "2");
const MEMFD_NOEXEC_FILE: &str = "/proc/sys/vm/memfd_noexec";

/// Applies one layer.
pub(super) fn apply(spec: &mut Spec, layer: &Policy, host: Host<'_>, notes: &mut Notes) {
    let setting = layer.process.user_namespaces.as_ref();
    if let Some((false, rule)) = value("user_namespaces", setting) {
        no_user_namespaces(host.target.arch, &rule, notes);
    }
    if let Some(rule) = no_memory_files(layer) {
        let settable = notes.effect == super::Effect::Enforced && parameter_is_ours(spec, host);
        if settable && host.target.kernel >= KERNEL_OF_NOEXEC {
            set_parameter(spec, &rule, notes);
        } else {
            refuse_memory_files(host.target.kernel, &rule, notes);
        }
    }
}

fn no_user_namespaces(arch: Arch, rule: &str, notes: &mut Notes) {
    let newuser = Operator::MaskedEqual { mask: CLONE_NEWUSER, value: CLONE_NEWUSER };
    // a type of 0 is any type
    let any = Operator::Equal(0);
    let denied = [
        ("clone", arch.clone_flags_index(), newuser),
        ("unshare", 0, newuser),
        ("setns", 1, newuser),
        ("setns", 1, any),
    ];
    let matches = denied.into_iter().filter_map(|(name, index, operator)| {
        let conditions = vec![Condition { index, operator }];
        Some(Match { syscall: Syscall::from_name(name)?, conditions })
    });
    restrict(matches.collect(), EPERM, rule, notes);
    // its flags are in memory; the C library falls back to clone
    restrict(always("clone3"), ENOSYS, rule, notes);
}

fn always(name: &str) -> Vec<Match> {
    let found = Syscall::from_name(name);
    found.map(|syscall| Match { syscall, conditions: Vec::new() }).into_iter().collect()
}

fn restrict(matches: Vec<Match>, errno: u16, rule: &str, notes: &mut Notes) {
    notes.restrictions.push(Restriction {
        selects: Selects::These(matches),
        answer: notes.answer(Answer::Errno(errno)),
        label: rule.to_owned(),
    });
}

/// The rule that forbids executing memory files, if one does.
fn no_memory_files(layer: &Policy) -> Option<String> {
    let granted = layer.files.execute.as_ref()?;
    match value("memfd_exec", layer.process.memfd_exec.as_ref()) {
        Some((true, _)) => None,
        Some((false, rule)) => Some(rule),
        None => Some(match granted.iter().map(|grant| &grant.rule.origin).min() {
            Some(first) => label("execute", first),
            None => "files.execute = []".to_owned(),
        }),
    }
}

/// Whether the parameter is this container's alone, and can be written.
fn parameter_is_ours(spec: &Spec, host: Host<'_>) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let find = |kind| namespaces.into_iter().flatten().find(move |one| one.typ() == kind);
    host.user_namespace == UserNamespace::Initial
        && find(LinuxNamespaceType::User).is_none()
        && find(LinuxNamespaceType::Pid).is_some_and(|pid| pid.path().is_none())
}

fn set_parameter(spec: &mut Spec, rule: &str, notes: &mut Notes) {
    let (name, strictest) = MEMFD_NOEXEC;
    let mut linux = spec.linux().clone().unwrap_or_default();
    let mut parameters = linux.sysctl().clone().unwrap_or_default();
    let spellings: BTreeSet<String> =
        parameters.keys().filter(|key| key.replace('/', ".") == name).cloned().collect();
    let is_set = spellings.len() == 1 && parameters.get(name).is_some_and(|it| it == strictest);
    if !is_set {
        parameters.retain(|key, _| !spellings.contains(key));
        parameters.insert(name.to_owned(), strictest.to_owned());
        linux.set_sysctl(Some(parameters));
        notes.changed(&format!("linux.sysctl[{name:?}]"), strictest, rule);
    }
    close_parameter(&mut linux, rule, notes);
    spec.set_linux(Some(linux));
}

/// A workload with CAP_SYS_ADMIN could write the parameter back.
fn close_parameter(linux: &mut Linux, rule: &str, notes: &mut Notes) {
    let mut paths = linux.readonly_paths().clone().unwrap_or_default();
    let covers = |path: &String| {
        let rest = MEMFD_NOEXEC_FILE.strip_prefix(path.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if paths.iter().chain(linux.masked_paths().iter().flatten()).any(covers) {
        return;
    }
    paths.push(MEMFD_NOEXEC_FILE.to_owned());
    linux.set_readonly_paths(Some(paths));
    notes.changed("linux.readonlyPaths", MEMFD_NOEXEC_FILE, rule);
}

fn refuse_memory_files(kernel: (u32, u32), rule: &str, notes: &mut Notes) {
    let mut matches = always("memfd_create");
    // KERNEL(6.3): MFD_NOEXEC_SEAL; before, every memory file can be executed
    if kernel >= KERNEL_OF_NOEXEC {
        let operator = Operator::MaskedEqual { mask: MFD_NOEXEC_SEAL, value: 0 };
        for found in &mut matches {
            found.conditions.push(Condition { index: 1, operator });
        }
    }
    restrict(matches, EACCES, rule, notes);
}
