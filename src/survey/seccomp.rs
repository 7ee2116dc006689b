// SPDX-License-Identifier: Apache-2.0
//! seccomp(2): actions, flags, notifications.

use brig_policy::seccomp::{Action, FilterFlags, Instruction, code};
use brig_policy::survey::{Attempt, Seccomp};

use super::child::{Naming as _, attempt, refusal};
use super::libseccomp;
use crate::sys::seccomp::{has_action, knows_flags, load, notification_sizes};

/// Names of actions in the kernel.
const ACTIONS: [(&str, Action); 8] = [
    ("KILL_PROCESS", Action::KillProcess),
    ("KILL_THREAD", Action::KillThread),
    ("TRAP", Action::Trap),
    ("ERRNO", Action::Errno(0)),
    ("USER_NOTIF", Action::Notify),
    ("TRACE", Action::Trace(0)),
    ("LOG", Action::Log),
    ("ALLOW", Action::Allow),
];

/// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH` of linux/seccomp.h.
const TSYNC_ESRCH: u32 = 1 << 4;

/// Names of flags, with the bits that they are asked for by: one is refused without a listener.
const FLAGS: [(&str, u32); 6] = [
    ("TSYNC", FilterFlags::TSYNC.bits()),
    ("LOG", FilterFlags::LOG.bits()),
    ("SPEC_ALLOW", FilterFlags::SPEC_ALLOW.bits()),
    ("NEW_LISTENER", FilterFlags::NEW_LISTENER.bits()),
    ("TSYNC_ESRCH", TSYNC_ESRCH),
    (
        "WAIT_KILLABLE_RECV",
        FilterFlags::WAIT_KILLABLE_RECV.bits() | FilterFlags::NEW_LISTENER.bits(),
    ),
];

/// seccomp(2).
pub fn seccomp() -> Seccomp {
    let actions = ACTIONS.into_iter().filter(|(_, one)| has_action(one.encode()).unwrap_or(false));
    let flags = FLAGS.into_iter().filter(|(_, bits)| knows_flags(*bits).unwrap_or(false));
    Seccomp {
        actions: actions.map(|(name, _)| name.to_owned()).collect(),
        flags: flags.map(|(name, _)| name.to_owned()).collect(),
        notification: match notification_sizes() {
            Ok(sizes) => Attempt::Works(sizes),
            Err(error) => Attempt::Refused(refusal("seccomp(SECCOMP_GET_NOTIF_SIZES)", &error)),
        },
        listener: listener(),
        libseccomp: libseccomp::version(),
    }
}

/// There is one listener for a process and all its ancestors: EBUSY says that one is taken.
fn listener() -> Attempt {
    let allow = Instruction { code: code::RETURN, jt: 0, jf: 0, k: Action::Allow.encode() };
    attempt(|| {
        rustix::thread::set_no_new_privs(true).call("prctl(PR_SET_NO_NEW_PRIVS)")?;
        load(&[allow], FilterFlags::NEW_LISTENER.bits().into())
            .call("seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER)")
            .map(drop)
    })
}
