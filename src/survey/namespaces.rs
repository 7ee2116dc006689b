// SPDX-License-Identifier: Apache-2.0
//! Namespaces: which kinds there are, and whether the caller can make a user namespace.

use std::fs;
use std::path::Path;

use brig_policy::survey::UserNamespaces;

use super::child::{Failed, Naming as _, attempt};
use crate::sys::namespace::unshare;

/// The names in /proc/PID/ns with those of the specification.
const KINDS: [(&str, &str); 8] = [
    ("cgroup", "cgroup"),
    ("ipc", "ipc"),
    ("mnt", "mount"),
    ("net", "network"),
    ("pid", "pid"),
    ("time", "time"),
    ("user", "user"),
    ("uts", "uts"),
];

/// The kinds that the kernel has.
pub fn kinds() -> Vec<String> {
    let has = |file: &str| Path::new("/proc/self/ns").join(file).symlink_metadata().is_ok();
    KINDS.iter().filter(|(file, _)| has(file)).map(|(_, name)| (*name).to_owned()).collect()
}

/// Making one.
pub fn user() -> UserNamespaces {
    UserNamespaces {
        attempt: attempt(|| {
            enter_user_namespace()?;
            unshare(libc::CLONE_NEWNS).call("unshare(CLONE_NEWNS) in a user namespace")?;
            unshare(libc::CLONE_NEWNET).call("unshare(CLONE_NEWNET) in a user namespace")
        }),
        most: number("/proc/sys/user/max_user_namespaces"),
        unprivileged_clone: switch("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts: switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    }
}

/// Makes a user namespace with the caller's own ids, as containers have it, and enters it.
///
/// # Errors
///
/// The step that the kernel refuses.
pub fn enter_user_namespace() -> Result<(), Failed> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    unshare(libc::CLONE_NEWUSER).call("unshare(CLONE_NEWUSER)")?;
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).call(format!("write {path}"))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn switch(path: &str) -> Option<bool> {
    number(path).map(|value| value != 0)
}
