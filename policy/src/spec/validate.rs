// SPDX-License-Identifier: Apache-2.0
//! What can be said against a specification without looking at a host.
//!
//! All faults are returned at once. What the kernel decides by itself (an argument that it
//! refuses) is not repeated here, unless its errno would not tell the field.

use std::collections::BTreeSet;
use std::path::Path;

use oci_spec::runtime::{
    Linux, LinuxNamespace, LinuxNamespaceType, LinuxSchedulerPolicy, Mount, Process, Spec, User,
};

use super::{FieldError, SpecErrors};

/// The longest accepted container identifier, in bytes: runc's limit.
const MAX_ID: usize = 1024;

/// Checks a container identifier: what runc accepts, `[A-Za-z0-9_+.-]`, and never `.` or `..`.
///
/// # Errors
///
/// A sentence that says what is wrong with it.
pub fn validate_id(id: &str) -> Result<(), FieldError> {
    let fault = if id.is_empty() {
        "is empty"
    } else if id.len() > MAX_ID {
        "is longer than 1024 bytes"
    } else if id == "." || id == ".." {
        "is not a name"
    } else if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte)) {
        "has a character other than letters, digits and any of \"_+.-\""
    } else {
        return Ok(());
    };
    let shown: String = id.chars().take(64).collect();
    Err(FieldError::new("container id", format!("{shown:?} {fault}")))
}

/// Checks a specification.
///
/// # Errors
///
/// Every fault that was found.
pub fn validate(spec: &Spec) -> Result<(), SpecErrors> {
    let mut errors = Vec::new();
    check_version(spec.version(), &mut errors);
    check_root(spec, &mut errors);
    match spec.process() {
        None => errors.push(FieldError::new("process", "is missing")),
        Some(process) => check_process(process, &mut errors),
    }
    for (index, mount) in spec.mounts().iter().flatten().enumerate() {
        check_mount(index, mount, &mut errors);
    }
    check_namespaces(spec, &mut errors);
    check_hostname(spec, &mut errors);
    check_paths(spec, &mut errors);
    check_sysctls(spec, &mut errors);
    check_devices(spec, &mut errors);
    check_hooks(spec, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors(errors)) }
}

/// Checks the process of a specification, or one that is added to a container.
///
/// # Errors
///
/// Every fault that was found.
pub fn validate_process(process: &Process) -> Result<(), SpecErrors> {
    let mut errors = Vec::new();
    check_process(process, &mut errors);
    if errors.is_empty() { Ok(()) } else { Err(SpecErrors(errors)) }
}

fn check_version(version: &str, errors: &mut Vec<FieldError>) {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = release.split('.').collect();
    let sound = numbers.len() == 3
        && numbers.iter().all(|part| {
            !part.is_empty() && part.len() < 6 && part.bytes().all(|byte| byte.is_ascii_digit())
        });
    if !sound {
        let message = format!("{version:?} is not a semantic version");
        errors.push(FieldError::new("ociVersion", message));
    } else if numbers[0] != "1" {
        let message = format!("{version:?} is not supported: only 1.x.y is");
        errors.push(FieldError::new("ociVersion", message));
    }
}

fn check_root(spec: &Spec, errors: &mut Vec<FieldError>) {
    match spec.root() {
        None => errors.push(FieldError::new("root", "is missing")),
        Some(root) if root.path().as_os_str().is_empty() => {
            errors.push(FieldError::new("root.path", "is empty"));
        }
        Some(root) => check_nul("root.path", &root.path().to_string_lossy(), errors),
    }
}

fn check_nul(field: &str, text: &str, errors: &mut Vec<FieldError>) {
    if text.contains('\0') {
        errors.push(FieldError::new(field, "contains a NUL byte"));
    }
}

fn check_process(process: &Process, errors: &mut Vec<FieldError>) {
    check_arguments(process, errors);
    check_cwd(process.cwd(), errors);
    for (index, variable) in process.env().iter().flatten().enumerate() {
        let field = format!("process.env[{index}]");
        check_nul(&field, variable, errors);
        if !variable.contains('=') {
            errors.push(FieldError::new(field, format!("{variable:?} has no \"=\"")));
        }
    }
    check_user(process.user(), errors);
    check_rlimits(process, errors);
    check_capabilities(process, errors);
    check_io_priority(process, errors);
    check_scheduler(process, errors);
    if let Some(score) = process.oom_score_adj()
        && !(-1000..=1000).contains(&score)
    {
        let message = format!("{score} is not between -1000 and 1000");
        errors.push(FieldError::new("process.oomScoreAdj", message));
    }
}

fn check_arguments(process: &Process, errors: &mut Vec<FieldError>) {
    let args = process.args().as_deref().unwrap_or_default();
    if args.is_empty() {
        errors.push(FieldError::new("process.args", "is empty: there is nothing to execute"));
    } else if args[0].is_empty() {
        errors.push(FieldError::new("process.args[0]", "is empty: there is nothing to execute"));
    }
    for (index, argument) in args.iter().enumerate() {
        check_nul(&format!("process.args[{index}]"), argument, errors);
    }
}

/// A working directory given as one of the runtime's own descriptors would lead out of the
/// container; no workload has a use for it.
fn check_cwd(cwd: &Path, errors: &mut Vec<FieldError>) {
    let text = cwd.to_string_lossy();
    check_nul("process.cwd", &text, errors);
    if !cwd.is_absolute() {
        let message = format!("{text:?} is not an absolute path");
        errors.push(FieldError::new("process.cwd", message));
    }
    let parts: Vec<&str> =
        text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let descriptor = matches!(
        parts.as_slice(),
        ["proc", _, "fd" | "cwd" | "root" | "task" | "map_files", ..] | ["dev", "fd", ..]
    );
    if descriptor {
        let message = format!("{text:?} leads through a process's descriptors");
        errors.push(FieldError::new("process.cwd", message));
    }
}

fn check_user(user: &User, errors: &mut Vec<FieldError>) {
    if let Some(umask) = user.umask()
        && umask > 0o777
    {
        let message = format!("{umask:#o} is not a file mode creation mask");
        errors.push(FieldError::new("process.user.umask", message));
    }
    for (name, id) in [("uid", user.uid()), ("gid", user.gid())] {
        if id == u32::MAX {
            let message = format!("{id} is no identifier: it is the kernel's \"no change\"");
            errors.push(FieldError::new(format!("process.user.{name}"), message));
        }
    }
}

fn check_rlimits(process: &Process, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for (index, limit) in process.rlimits().iter().flatten().enumerate() {
        let name = limit.typ().to_string();
        if limit.soft() > limit.hard() {
            errors.push(FieldError::new(
                format!("process.rlimits[{index}].soft"),
                format!("{name}: {} is above the hard limit {}", limit.soft(), limit.hard()),
            ));
        }
        if !seen.insert(name.clone()) {
            let message = format!("{name} is given twice");
            errors.push(FieldError::new(format!("process.rlimits[{index}].type"), message));
        }
    }
}

/// The kernel wants effective within permitted, and ambient within permitted and inheritable.
fn check_capabilities(process: &Process, errors: &mut Vec<FieldError>) {
    let Some(sets) = process.capabilities() else { return };
    let permitted = sets.permitted().clone().unwrap_or_default();
    let mut check = |name: &str, set: &Option<oci_spec::runtime::Capabilities>| {
        for capability in set.iter().flatten().filter(|one| !permitted.contains(one)) {
            errors.push(FieldError::new(
                format!("process.capabilities.{name}"),
                format!("{capability} is not in process.capabilities.permitted"),
            ));
        }
    };
    check("effective", sets.effective());
}

fn check_io_priority(process: &Process, errors: &mut Vec<FieldError>) {
    if let Some(priority) = process.io_priority()
        && !(0..=7).contains(&priority.priority())
    {
        let message = format!("{} is not between 0 and 7", priority.priority());
        errors.push(FieldError::new("process.ioPriority.priority", message));
    }
}

fn check_scheduler(process: &Process, errors: &mut Vec<FieldError>) {
    use LinuxSchedulerPolicy::{SchedBatch, SchedDeadline, SchedFifo, SchedOther, SchedRr};
    let Some(scheduler) = process.scheduler() else { return };
    let policy = *scheduler.policy();
    let mut fault = |name: &str, message: &str| {
        errors.push(FieldError::new(format!("process.scheduler.{name}"), message));
    };
    if let Some(nice) = scheduler.nice()
        && (policy == SchedBatch || policy == SchedOther)
        && !(-20..=19).contains(nice)
    {
        fault("nice", &format!("{nice} is not between -20 and 19"));
    }
    if scheduler.priority().unwrap_or_default() != 0 && policy != SchedFifo && policy != SchedRr {
        fault("priority", "is only for SCHED_FIFO and SCHED_RR");
    }
    if policy != SchedDeadline {
        let times = [
            ("runtime", scheduler.runtime()),
            ("deadline", scheduler.deadline()),
            ("period", scheduler.period()),
        ];
        for (name, _) in times.iter().filter(|(_, time)| time.unwrap_or_default() != 0) {
            fault(name, "is only for SCHED_DEADLINE");
        }
    }
}

fn check_mount(index: usize, mount: &Mount, errors: &mut Vec<FieldError>) {
    let field = format!("mounts[{index}]");
    let destination = mount.destination();
    let text = destination.to_string_lossy();
    check_nul(&format!("{field}.destination"), &text, errors);
    if text.is_empty() {
        errors.push(FieldError::new(format!("{field}.destination"), "is empty"));
    } else if destination.components().any(|part| part.as_os_str() == "..") {
        let message = format!("{text:?} has a \"..\" component");
        errors.push(FieldError::new(format!("{field}.destination"), message));
    }
    let source = mount.source().as_ref().map(|path| path.to_string_lossy().into_owned());
    check_nul(&format!("{field}.source"), source.as_deref().unwrap_or_default(), errors);
    if mount.typ().as_deref() == Some("bind") && source.unwrap_or_default().is_empty() {
        errors.push(FieldError::new(format!("{field}.source"), "is missing for a bind mount"));
    }
    for (number, option) in mount.options().iter().flatten().enumerate() {
        let field = format!("{field}.options[{number}]");
        check_nul(&field, option, errors);
        if matches!(option.as_str(), "idmap" | "ridmap") {
            errors.push(FieldError::new(field, format!("{option:?} is not supported")));
        }
    }
}

fn check_namespaces(spec: &Spec, errors: &mut Vec<FieldError>) {
    let Some(linux) = spec.linux() else {
        errors.push(FieldError::new("linux", "is missing"));
        return;
    };
    let mut seen = BTreeSet::new();
    let mut new_user = false;
    for (index, namespace) in linux.namespaces().iter().flatten().enumerate() {
        let field = format!("linux.namespaces[{index}]");
        let kind = namespace.typ();
        if !seen.insert(kind.to_string()) {
            errors.push(FieldError::new(field.clone(), format!("{kind} is given twice")));
        }
        if kind == LinuxNamespaceType::Time {
            errors.push(FieldError::new(field.clone(), "time namespaces are not supported"));
        }
        if let Some(path) = namespace.path() {
            check_nul(&format!("{field}.path"), &path.to_string_lossy(), errors);
            if !path.is_absolute() {
                let message = format!("{:?} is not an absolute path", path.display().to_string());
                errors.push(FieldError::new(format!("{field}.path"), message));
            }
        } else if kind == LinuxNamespaceType::User {
            new_user = true;
        }
    }
    check_mount_namespace(linux, errors);
    check_mappings(spec, new_user, errors);
    if linux.time_offsets().as_ref().is_some_and(|offsets| !offsets.is_empty()) {
        errors.push(FieldError::new("linux.timeOffsets", "time namespaces are not supported"));
    }
}

/// The mounts of a container are made in a mount namespace of its own, or they would be the host's.
fn check_mount_namespace(linux: &Linux, errors: &mut Vec<FieldError>) {
    let mut namespaces = linux.namespaces().iter().flatten();
    match namespaces.find(|one| one.typ() == LinuxNamespaceType::Mount) {
        None => errors.push(FieldError::new("linux.namespaces", "has no mount namespace")),
        Some(namespace) if namespace.path().is_some() => errors.push(FieldError::new(
            "linux.namespaces",
            "joining a mount namespace by path is not supported: the container needs its own",
        )),
        Some(_) => {}
    }
}

fn check_mappings(spec: &Spec, new_user: bool, errors: &mut Vec<FieldError>) {
    let Some(linux) = spec.linux() else { return };
    let mappings = [("uidMappings", linux.uid_mappings()), ("gidMappings", linux.gid_mappings())];
    for (name, mapping) in mappings {
        let field = format!("linux.{name}");
        let entries = mapping.as_deref().unwrap_or_default();
        if new_user && entries.is_empty() {
            errors.push(FieldError::new(field, "is empty, and a new user namespace is asked for"));
            continue;
        }
        for (index, entry) in entries.iter().enumerate() {
            let field = format!("{field}[{index}]");
            if entry.size() == 0 {
                errors.push(FieldError::new(format!("{field}.size"), "is 0"));
            }
            let last = |first: u32| u64::from(first) + u64::from(entry.size());
            if last(entry.container_id()).max(last(entry.host_id())) > u64::from(u32::MAX) {
                errors.push(FieldError::new(field, "the range ends above 4294967294"));
            }
        }
    }
}

fn check_hostname(spec: &Spec, errors: &mut Vec<FieldError>) {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().clone());
    let has_uts = namespaces.iter().flatten().any(|one| one.typ() == LinuxNamespaceType::Uts);
    for (name, value) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        check_nul(name, value, errors);
        if !has_uts {
            errors.push(FieldError::new(name, "is set without a UTS namespace"));
        }
        if value.len() > 64 {
            errors.push(FieldError::new(name, "is longer than 64 bytes"));
        }
    }
}

fn check_paths(spec: &Spec, errors: &mut Vec<FieldError>) {
    let Some(linux) = spec.linux() else { return };
    let lists = [("maskedPaths", linux.masked_paths()), ("readonlyPaths", linux.readonly_paths())];
    for (name, list) in lists {
        for (index, path) in list.iter().flatten().enumerate() {
            let field = format!("linux.{name}[{index}]");
            check_nul(&field, path, errors);
            if !path.starts_with('/') {
                let message = format!("{path:?} is not an absolute path");
                errors.push(FieldError::new(field, message));
            }
        }
    }
    if let Some(value) = linux.rootfs_propagation().as_deref()
        && !["private", "slave", "shared", "unbindable"].contains(&value)
    {
        let message = format!("{value:?} is none of private, slave, shared and unbindable");
        errors.push(FieldError::new("linux.rootfsPropagation", message));
    }
    if let Some(path) = linux.cgroups_path() {
        check_cgroups_path(path, errors);
    }
}

fn check_cgroups_path(path: &Path, errors: &mut Vec<FieldError>) {
    check_nul("linux.cgroupsPath", &path.to_string_lossy(), errors);
    if path.components().any(|part| part.as_os_str() == "..") {
        let message = format!("{:?} has a \"..\" component", path.display().to_string());
        errors.push(FieldError::new("linux.cgroupsPath", message));
    }
}

/// System V message queues, semaphores and shared memory: ipc_namespaces(7).
const IPC_SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// A parameter that no namespace of the container's own has is the host's: never changed.
fn check_sysctls(spec: &Spec, errors: &mut Vec<FieldError>) {
    let Some(linux) = spec.linux() else { return };
    let has = |kind: LinuxNamespaceType| {
        linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == kind)
    };
    // KERNEL(6.3): of the pid namespace; one that is joined is another container's
    let is_new_pid =
        |one: &LinuxNamespace| one.typ() == LinuxNamespaceType::Pid && one.path().is_none();
    let has_new_pid = linux.namespaces().iter().flatten().any(is_new_pid);
    let mut names: Vec<&String> = linux.sysctl().iter().flatten().map(|(name, _)| name).collect();
    names.sort();
    for name in names {
        let dotted = name.replace('/', ".");
        let (kind, needed) =
            if IPC_SYSCTLS.contains(&dotted.as_str()) || dotted.starts_with("fs.mqueue.") {
                ("IPC", has(LinuxNamespaceType::Ipc))
            } else if dotted.starts_with("net.") {
                ("network", has(LinuxNamespaceType::Network))
            } else if dotted == "kernel.domainname" {
                ("UTS", has(LinuxNamespaceType::Uts))
            } else if dotted == "vm.memfd_noexec" {
                ("pid", has_new_pid)
            } else {
                let message = "is not a parameter of a namespace: it would change the host";
                errors.push(FieldError::new(format!("linux.sysctl[{name:?}]"), message));
                continue;
            };
        if dotted.contains("..") || dotted.contains('\0') {
            errors.push(FieldError::new(format!("linux.sysctl[{name:?}]"), "is no parameter"));
        } else if !needed {
            let message = format!("needs a {kind} namespace: it would change the host");
            errors.push(FieldError::new(format!("linux.sysctl[{name:?}]"), message));
        }
    }
}

fn check_devices(spec: &Spec, errors: &mut Vec<FieldError>) {
    let devices = spec.linux().as_ref().and_then(|linux| linux.devices().as_ref());
    for (index, device) in devices.into_iter().flatten().enumerate() {
        let field = format!("linux.devices[{index}].path");
        let path = device.path();
        let text = path.to_string_lossy();
        check_nul(&field, &text, errors);
        if !path.is_absolute() || path.components().any(|part| part.as_os_str() == "..") {
            let message = format!("{text:?} is not an absolute path without \"..\"");
            errors.push(FieldError::new(field, message));
        }
    }
}

fn check_hooks(spec: &Spec, errors: &mut Vec<FieldError>) {
    let Some(hooks) = spec.hooks() else { return };
    let points = [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ];
    for (point, list) in points {
        for (index, hook) in list.iter().flatten().enumerate() {
            let field = format!("hooks.{point}[{index}]");
            if !hook.path().is_absolute() {
                let message =
                    format!("{:?} is not an absolute path", hook.path().display().to_string());
                errors.push(FieldError::new(format!("{field}.path"), message));
            }
            if hook.timeout().is_some_and(|timeout| timeout <= 0) {
                errors.push(FieldError::new(format!("{field}.timeout"), "is not positive"));
            }
        }
    }
}
