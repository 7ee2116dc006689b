// SPDX-License-Identifier: Apache-2.0
//! `socketcall` and `ipc`: one number for many calls, whose arguments lie in memory.
//!
//! A rule about `socket` must hold for `socketcall(SYS_SOCKET, …)` too. Which call it is stands in
//! the first register and can be seen; its arguments cannot, so a rule with conditions is taken at
//! its strictest.

use super::condition::{Condition, Operator};
use super::syscall::Syscall;

/// A call that makes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiplexer {
    /// `socketcall(int call, …)`, linux/net.h.
    Socketcall,
    /// `ipc(unsigned int call, …)`, linux/ipc.h: a version stands in the high half of `call`.
    Ipc,
}

type Codes = &'static [(u32, &'static str)];

static SOCKETCALL: Codes = &[
    (1, "socket"),
    (2, "bind"),
    (3, "connect"),
    (4, "listen"),
    (5, "accept"),
    (6, "getsockname"),
    (7, "getpeername"),
    (8, "socketpair"),
    (9, "send"),
    (10, "recv"),
    (11, "sendto"),
    (12, "recvfrom"),
    (13, "shutdown"),
    (14, "setsockopt"),
    (15, "getsockopt"),
    (16, "sendmsg"),
    (17, "recvmsg"),
    (18, "accept4"),
    (19, "recvmmsg"),
    (20, "sendmmsg"),
];

static IPC: Codes = &[
    (1, "semop"),
    (2, "semget"),
    (3, "semctl"),
    (4, "semtimedop"),
    (11, "msgsnd"),
    (12, "msgrcv"),
    (13, "msgget"),
    (14, "msgctl"),
    (21, "shmat"),
    (22, "shmdt"),
    (23, "shmget"),
    (24, "shmctl"),
];

impl Multiplexer {
    pub(super) fn of(call: Syscall) -> Option<Self> {
        match call.name() {
            "socketcall" => Some(Self::Socketcall),
            "ipc" => Some(Self::Ipc),
            _ => None,
        }
    }

    fn codes(self) -> Codes {
        match self {
            Self::Socketcall => SOCKETCALL,
            Self::Ipc => IPC,
        }
    }

    /// The bits of the first register that say which call it is.
    fn mask(self) -> u32 {
        match self {
            Self::Socketcall => u32::MAX,
            Self::Ipc => 0xFFFF,
        }
    }

    /// The call that the first register asks for.
    pub(super) fn inner(self, first: u64) -> Option<Syscall> {
        let code = first & u64::from(self.mask());
        let found = self.codes().iter().find(|(number, _)| u64::from(*number) == code);
        found.and_then(|(_, name)| Syscall::from_name(name))
    }

    /// Every call, with the condition on the first register that asks for it.
    pub(super) fn all(self) -> impl Iterator<Item = (Condition, Syscall)> {
        self.codes().iter().filter_map(move |(code, name)| {
            let operator =
                Operator::MaskedEqual { mask: self.mask().into(), value: (*code).into() };
            Some((Condition { index: 0, operator }, Syscall::from_name(name)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_a_multiplexer_is_known() {
        for multiplexer in [Multiplexer::Socketcall, Multiplexer::Ipc] {
            assert_eq!(multiplexer.all().count(), multiplexer.codes().len());
            for (condition, call) in multiplexer.all() {
                for edge in condition.operator.edges() {
                    let asked = multiplexer.inner(edge) == Some(call);
                    assert_eq!(asked, condition.operator.holds(edge), "{call} {edge:#x}");
                }
            }
        }
    }

    #[test]
    fn the_version_in_the_high_half_of_ipc_does_not_hide_the_call() {
        let shmget = Syscall::from_name("shmget");
        assert_eq!(Multiplexer::Ipc.inner(0x0001_0017), shmget);
    }
}
