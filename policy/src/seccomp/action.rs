// SPDX-License-Identifier: Apache-2.0
//! What a program answers to a call, and which of two answers is stricter.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `EPERM`, the errno of a denial that names none.
pub const EPERM: u16 = 1;
/// `ENOSYS`, what a kernel answers that has no such call.
pub const ENOSYS: u16 = 38;
/// The kernel cuts a larger errno down to this (include/linux/err.h).
pub const MAX_ERRNO: u16 = 4095;

/// An answer of a program, strictest first: the order of seccomp(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The process ends as if by SIGSYS.
    KillProcess,
    /// The thread ends as if by SIGSYS.
    KillThread,
    /// SIGSYS is sent to the thread.
    Trap,
    /// The call is not made and this errno is returned; 0 is success.
    Errno(u16),
    /// The holder of the listener decides.
    Notify,
    /// A tracer decides; without one the answer is ENOSYS.
    Trace(u16),
    /// Allowed, and logged where the host logs.
    Log,
    /// Allowed.
    Allow,
}

impl Action {
    /// The value that a program returns (`SECCOMP_RET_*`).
    pub fn encode(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Notify => 0x7fc0_0000,
            Self::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// What the kernel makes of a program's value: an unknown action kills the process.
    pub fn decode(value: u32) -> Self {
        #[allow(clippy::cast_possible_truncation)] // SECCOMP_RET_DATA is the low 16 bits
        let data = value as u16;
        match value & 0xFFFF_0000 {
            0 => Self::KillThread,
            0x0003_0000 => Self::Trap,
            0x0005_0000 => Self::Errno(data.min(MAX_ERRNO)),
            0x7fc0_0000 => Self::Notify,
            0x7ff0_0000 => Self::Trace(data),
            0x7ffc_0000 => Self::Log,
            0x7fff_0000 => Self::Allow,
            _ => Self::KillProcess,
        }
    }

    /// How strict, 0 for [`Action::Allow`]; the data do not count.
    pub fn severity(self) -> u8 {
        match self {
            Self::KillProcess => 7,
            Self::KillThread => 6,
            Self::Trap => 5,
            Self::Errno(_) => 4,
            Self::Notify => 3,
            Self::Trace(_) => 2,
            Self::Log => 1,
            Self::Allow => 0,
        }
    }

    /// The call is made as if there were no filter.
    pub fn permits(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }

    /// The call is not made, whatever anybody outside decides.
    pub fn denies(self) -> bool {
        matches!(self, Self::KillProcess | Self::KillThread | Self::Trap | Self::Errno(_))
    }

    /// The stricter of the two; of two that are equally strict `self`.
    #[must_use]
    pub fn or_stricter(self, other: Self) -> Self {
        if other.severity() > self.severity() { other } else { self }
    }

    /// `self` lets through no more than `other` does.
    ///
    /// A tracer and a listener are not comparable by severity alone: who is asked is another
    /// party, so neither is tighter than the other.
    pub fn at_least_as_tight_as(self, other: Self) -> bool {
        match (self, other) {
            (a, b) if a == b => true,
            (Self::Notify, Self::Trace(_)) => false,
            _ => self.severity() >= other.severity(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillProcess => f.write_str("kill process"),
            Self::KillThread => f.write_str("kill thread"),
            Self::Trap => f.write_str("trap"),
            Self::Errno(errno) => match errno_name(*errno) {
                Some(name) => write!(f, "errno {name}"),
                None => write!(f, "errno {errno}"),
            },
            Self::Notify => f.write_str("notify"),
            Self::Trace(data) => write!(f, "trace {data}"),
            Self::Log => f.write_str("log"),
            Self::Allow => f.write_str("allow"),
        }
    }
}

/// The errnos that profiles use.
fn errno_name(errno: u16) -> Option<&'static str> {
    Some(match errno {
        EPERM => "EPERM",
        2 => "ENOENT",
        13 => "EACCES",
        16 => "EBUSY",
        22 => "EINVAL",
        ENOSYS => "ENOSYS",
        95 => "EOPNOTSUPP",
        97 => "EAFNOSUPPORT",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Action; 8] = [
        Action::KillProcess,
        Action::KillThread,
        Action::Trap,
        Action::Errno(1),
        Action::Notify,
        Action::Trace(7),
        Action::Log,
        Action::Allow,
    ];

    #[test]
    fn a_value_decodes_to_what_was_encoded() {
        for action in ALL {
            assert_eq!(Action::decode(action.encode()), action);
        }
        assert_eq!(Action::decode(0x1234_0000), Action::KillProcess);
        assert_eq!(Action::decode(0x0005_FFFF), Action::Errno(MAX_ERRNO));
    }

    #[test]
    fn severity_is_the_order_in_which_the_kernel_picks_among_filters() {
        // kernel/seccomp.c compares the actions as signed 32-bit numbers; the least one wins.
        for pair in ALL.windows(2) {
            assert!(pair[0].severity() > pair[1].severity());
            let signed = |a: Action| (a.encode() & 0xFFFF_0000).cast_signed();
            assert!(signed(pair[0]) < signed(pair[1]));
        }
    }
}
