// SPDX-License-Identifier: Apache-2.0
//! What a decision says.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::policy::{Errno, Mode, Origin, Setting};

/// The decision about one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Allowed or not.
    pub verdict: Verdict,
    /// What decided it.
    pub basis: Basis,
    /// The rule that would have decided it otherwise, if the deciding one were not there: for a
    /// deny the grant that a deny overrules ("would be allowed by base.toml:12").
    pub next_best: Option<Rule>,
    /// For an operation that needs several things: which of them this is about, such as
    /// `delete /srv/a` for a rename. `None` where it is the operation itself.
    pub part: Option<Box<str>>,
    /// Whether a deny is enforced, or only logged (`audit.mode = "audit"`).
    pub mode: Mode,
}

/// Allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The policy allows it.
    Allow,
    /// It fails with this error.
    Deny {
        /// The error.
        errno: Errno,
    },
    /// The process is killed.
    Kill,
}

/// What a decision rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// This rule says so.
    Rule(Rule),
    /// The list is present, and nothing in it (or in a list that implies it) names this.
    NotGranted(List),
    /// No list restricts it.
    Unrestricted,
    /// The rules are too entangled to find out that it is allowed.
    TooComplex,
    /// What holds where nothing is set.
    Default(List),
}

/// A rule or setting, as a decision cites it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rule {
    /// The list that it stands in.
    pub list: List,
    /// Where it is written, and its text.
    pub origin: Origin,
    /// Why it is there.
    pub reason: Option<Arc<str>>,
}

/// A list or setting of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "&'static str")]
#[allow(missing_docs)]
pub enum List {
    FilesRead,
    FilesWrite,
    FilesExecute,
    FilesDeny,
    FilesMask,
    NetworkConnect,
    NetworkBind,
    NetworkDeny,
    SyscallsAllow,
    SyscallsDeny,
    SyscallsKill,
    NoNewPrivileges,
    UserNamespaces,
    CoreDumps,
    MemfdExec,
    MaxProcesses,
    MaxMemory,
    Capabilities,
}

impl List {
    /// Its name in a profile: `files.read`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FilesRead => "files.read",
            Self::FilesWrite => "files.write",
            Self::FilesExecute => "files.execute",
            Self::FilesDeny => "files.deny",
            Self::FilesMask => "files.mask",
            Self::NetworkConnect => "network.connect",
            Self::NetworkBind => "network.bind",
            Self::NetworkDeny => "network.deny",
            Self::SyscallsAllow => "syscalls.allow",
            Self::SyscallsDeny => "syscalls.deny",
            Self::SyscallsKill => "syscalls.kill",
            Self::NoNewPrivileges => "process.no_new_privileges",
            Self::UserNamespaces => "process.user_namespaces",
            Self::CoreDumps => "process.core_dumps",
            Self::MemfdExec => "process.memfd_exec",
            Self::MaxProcesses => "process.max_processes",
            Self::MaxMemory => "process.max_memory",
            Self::Capabilities => "process.capabilities",
        }
    }
}

impl From<List> for &'static str {
    fn from(list: List) -> Self {
        list.name()
    }
}

impl fmt::Display for List {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Rule {
    pub(super) fn setting<T>(list: List, setting: &Setting<T>) -> Self {
        Self { list, origin: setting.origin.clone(), reason: None }
    }
}

impl Decision {
    /// Whether the policy allows the operation (whatever `audit.mode` makes of it).
    #[must_use]
    pub const fn allows(&self) -> bool {
        matches!(self.verdict, Verdict::Allow)
    }

    /// The rule that decided it, if one did.
    #[must_use]
    pub const fn rule(&self) -> Option<&Rule> {
        match &self.basis {
            Basis::Rule(rule) => Some(rule),
            Basis::NotGranted(_) | Basis::Unrestricted | Basis::TooComplex | Basis::Default(_) => {
                None
            }
        }
    }

    pub(super) fn new(verdict: Verdict, basis: Basis) -> Self {
        Self { verdict, basis, next_best: None, part: None, mode: Mode::Enforce }
    }

    pub(super) fn unrestricted() -> Self {
        Self::new(Verdict::Allow, Basis::Unrestricted)
    }

    pub(super) fn allowed_by(rule: Rule) -> Self {
        Self::new(Verdict::Allow, Basis::Rule(rule))
    }

    pub(super) fn denied_by(rule: Rule, errno: Errno) -> Self {
        Self::new(Verdict::Deny { errno }, Basis::Rule(rule))
    }

    pub(super) fn not_granted(list: List, errno: Errno) -> Self {
        Self::new(Verdict::Deny { errno }, Basis::NotGranted(list))
    }

    pub(super) fn with_next_best(mut self, next_best: Option<Rule>) -> Self {
        self.next_best = next_best;
        self
    }

    pub(super) fn of_part(mut self, part: &impl fmt::Display) -> Self {
        self.part = Some(part.to_string().into());
        self
    }
}
