// SPDX-License-Identifier: Apache-2.0
//! `[process]`: privileges and limits.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Origin, Setting};

/// The section `[process]`. What is not set restricts nothing, save `no_new_privileges`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// `no_new_privileges`; true if it is not set.
    pub no_new_privileges: Option<Setting<bool>>,
    /// `user_namespaces`: whether new ones may be made.
    pub user_namespaces: Option<Setting<bool>>,
    /// `core_dumps`: whether a crash may leave one.
    pub core_dumps: Option<Setting<bool>>,
    /// `memfd_exec`: whether memory files may be executed although `files.execute` is present.
    pub memfd_exec: Option<Setting<bool>>,
    /// `max_processes`: tasks (threads count) at a time.
    pub max_processes: Option<Setting<u64>>,
    /// `max_memory`, in bytes.
    pub max_memory: Option<Setting<u64>>,
    /// `capabilities`: when present, only these of the spec's are kept.
    pub capabilities: Option<Vec<CapabilityRule>>,
}

/// A capability that may be kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CapabilityRule {
    /// Which.
    pub capability: Capability,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// Where it is written.
    pub origin: Origin,
}

/// A capability of capabilities(7), by its number in `linux/capability.h`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability(u8);

/// The names without `CAP_`, by number.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

impl Capability {
    /// The capability of this name: `net_bind_service`, `CAP_NET_BIND_SERVICE`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let bare = lower.strip_prefix("cap_").unwrap_or(&lower);
        let number = NAMES.iter().position(|known| *known == bare)?;
        u8::try_from(number).ok().map(Self)
    }

    /// Every capability, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).zip(NAMES).map(|(number, _)| Self(number))
    }

    /// Its number in `linux/capability.h`.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name as profiles write it, without `CAP_` and in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("unknown")
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Capability({})", self.name())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Serialize for Capability {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_name(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("no capability is called {name:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_numbered_as_in_the_kernels_header() {
        for (name, number) in
            [("chown", 0), ("NET_BIND_SERVICE", 10), ("CAP_SYS_ADMIN", 21), ("cap_bpf", 39)]
        {
            assert_eq!(Capability::from_name(name).map(Capability::number), Some(number));
        }
        assert_eq!(Capability::from_name("checkpoint_restore").unwrap().number(), 40);
        assert_eq!(Capability::from_name("cap_cap_bpf"), None);
        assert_eq!(Capability::all().count(), 41);
    }
}
