// SPDX-License-Identifier: Apache-2.0
//! The features document of the OCI runtime specification.
//!
//! It lists what this brig recognises and this host has: of namespaces, capabilities and seccomp's
//! actions and flags those that are both. What the specification defines as brig's alone
//! (`linux.cgroup`, whether a part is implemented) does not depend on the host.

use serde_json::{Map, Value, json};

use super::Survey;
use super::isolation::NAMESPACES;
use crate::config::{PROFILE_ANNOTATION, SET_PREFIX};
use crate::seccomp::Arch;
use crate::spec::capability_names;

/// The hooks of the specification; all of them are run.
pub const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The mount options that mean something beyond a filesystem's own.
pub const MOUNT_OPTIONS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "slave",
    "strictatime",
    "suid",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// The actions of the specification, with their names in the kernel: [`super::Seccomp::actions`].
pub const ACTIONS: [(&str, &str); 9] = [
    ("SCMP_ACT_ALLOW", "ALLOW"),
    ("SCMP_ACT_ERRNO", "ERRNO"),
    ("SCMP_ACT_KILL", "KILL_THREAD"),
    ("SCMP_ACT_KILL_PROCESS", "KILL_PROCESS"),
    ("SCMP_ACT_KILL_THREAD", "KILL_THREAD"),
    ("SCMP_ACT_LOG", "LOG"),
    ("SCMP_ACT_NOTIFY", "USER_NOTIF"),
    ("SCMP_ACT_TRACE", "TRACE"),
    ("SCMP_ACT_TRAP", "TRAP"),
];

/// Its operators.
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// The beginning of a filter flag's name.
const FLAG: &str = "SECCOMP_FILTER_FLAG_";

/// Its flags.
pub const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// The document, of this brig (its version, and the newest version of the specification that it
/// reads) on this host.
#[must_use]
pub fn features(survey: &Survey, brig: &str, oci_version: &str) -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": oci_version,
        "hooks": HOOKS,
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": namespaces(survey),
            "capabilities": capability_names(survey.kernel.capabilities()),
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": false },
            "seccomp": seccomp(survey),
            "apparmor": { "enabled": true },
            "selinux": { "enabled": false },
            "intelRdt": { "enabled": true },
            "mountExtensions": { "idmap": { "enabled": false } },
        },
        "annotations": facts(survey, brig),
        "potentiallyUnsafeConfigAnnotations": [PROFILE_ANNOTATION, SET_PREFIX],
    })
}

fn namespaces(survey: &Survey) -> Vec<&'static str> {
    NAMESPACES.into_iter().filter(|name| survey.namespaces.iter().any(|one| one == name)).collect()
}

fn seccomp(survey: &Survey) -> Value {
    let facts = &survey.seccomp;
    let actions: Vec<&str> = ACTIONS
        .iter()
        .filter(|(_, kernel)| facts.has_action(kernel))
        .map(|(name, _)| *name)
        .collect();
    let is_supported =
        |name: &&str| name.strip_prefix(FLAG).is_some_and(|flag| facts.has_flag(flag));
    let supported: Vec<&str> = FLAGS.into_iter().filter(is_supported).collect();
    json!({
        "enabled": !actions.is_empty(),
        "actions": actions,
        "operators": OPERATORS,
        "archs": Arch::all().map(Arch::oci_name).collect::<Vec<_>>(),
        "knownFlags": FLAGS,
        "supportedFlags": supported,
    })
}

/// What an engine may want to know beside: `io.brig.landlock.abi` is absent where there is none.
fn facts(survey: &Survey, brig: &str) -> Value {
    let mut facts = Map::new();
    let mut put = |name: &str, text: String| facts.insert(format!("io.brig.{name}"), text.into());
    put("version", brig.to_owned());
    put("mode", super::report(survey).mode.to_string());
    if let Some(landlock) = survey.landlock.value() {
        put("landlock.abi", landlock.abi.to_string());
        put("landlock.errata", landlock.errata.to_string());
    }
    Value::Object(facts)
}
