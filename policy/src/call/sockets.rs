// SPDX-License-Identifier: Apache-2.0
//! The calls with socket addresses: which of their arguments is what.
//!
//! Some architectures have one call for all of them, `socketcall`, whose arguments lie in memory:
//! these have to be copied first ([`Call::Multiplexed`]).
//!
//! What it does not do: read memory, or know what a descriptor is.

use super::fields::Fields;
use super::{Layout, Pointer, Span};
use crate::policy::Errno;
use crate::seccomp::Syscall;

/// An address, as a call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its bytes, in the caller's memory.
    pub pointer: Pointer,
    /// How many they are.
    pub length: i32,
}

/// What is asked for, with pointers that have not been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the man pages' names
pub enum Request {
    Connect { socket: i32, address: Address },
    Bind { socket: i32, address: Address },
    Listen { socket: i32, backlog: i32 },
    SendTo { socket: i32, data: Pointer, size: u64, flags: u32, address: Address },
    SendMessage { socket: i32, message: Pointer, flags: u32 },
    SendMessages { socket: i32, messages: Pointer, count: u32, flags: u32 },
}

/// Where the arguments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// In registers.
    Direct(Request),
    /// In memory.
    Multiplexed(Multiplexed),
}

/// A call whose arguments have to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplexed {
    kind: Kind,
    layout: Layout,
    arguments: Pointer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Connect,
    Bind,
    Listen,
    SendTo,
    SendMessage,
    SendMessages,
}

/// What a call with addresses asks for; `None`: it is none.
#[must_use]
pub fn decode(call: Syscall, args: &[u64; 6], layout: Layout) -> Option<Call> {
    let direct = |kind: Kind| Some(Call::Direct(kind.request(layout, args)));
    match call.name() {
        "connect" => direct(Kind::Connect),
        "bind" => direct(Kind::Bind),
        "listen" => direct(Kind::Listen),
        "sendto" => direct(Kind::SendTo),
        "sendmsg" => direct(Kind::SendMessage),
        "sendmmsg" => direct(Kind::SendMessages),
        "socketcall" => {
            let kind = Kind::of_code(args[0])?;
            let arguments = layout.pointer(args[1]);
            Some(Call::Multiplexed(Multiplexed { kind, layout, arguments }))
        }
        _ => None,
    }
}

impl Kind {
    /// By the numbers of linux/net.h.
    #[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
    const fn of_code(register: u64) -> Option<Self> {
        Some(match register as u32 {
            2 => Self::Bind,
            3 => Self::Connect,
            4 => Self::Listen,
            11 => Self::SendTo,
            16 => Self::SendMessage,
            20 => Self::SendMessages,
            _ => return None,
        })
    }

    const fn arguments(self) -> usize {
        match self {
            Self::Listen => 2,
            Self::Connect | Self::Bind | Self::SendMessage => 3,
            Self::SendMessages => 4,
            Self::SendTo => 6,
        }
    }

    fn request(self, layout: Layout, args: &[u64; 6]) -> Request {
        let [first, second, third, fourth, fifth, sixth] = *args;
        let socket = int(first);
        let address = Address { pointer: layout.pointer(second), length: int(third) };
        match self {
            Self::Connect => Request::Connect { socket, address },
            Self::Bind => Request::Bind { socket, address },
            Self::Listen => Request::Listen { socket, backlog: int(second) },
            Self::SendTo => Request::SendTo {
                socket,
                data: layout.pointer(second),
                size: layout.unsigned(third),
                flags: int(fourth).cast_unsigned(),
                address: Address { pointer: layout.pointer(fifth), length: int(sixth) },
            },
            Self::SendMessage => Request::SendMessage {
                socket,
                message: layout.pointer(second),
                flags: int(third).cast_unsigned(),
            },
            Self::SendMessages => Request::SendMessages {
                socket,
                messages: layout.pointer(second),
                count: int(third).cast_unsigned(),
                flags: int(fourth).cast_unsigned(),
            },
        }
    }
}

/// The `int` in a register.
#[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
const fn int(register: u64) -> i32 {
    (register as u32).cast_signed()
}

impl Multiplexed {
    /// Which bytes to copy.
    ///
    /// # Errors
    ///
    /// `EFAULT` where no caller has memory.
    pub fn plan(&self) -> Result<Span, Errno> {
        Span::new(self.layout, self.arguments, self.kind.arguments() * self.layout.word())
    }

    /// What the copied arguments ask for.
    ///
    /// # Errors
    ///
    /// `EFAULT` if they are not whole.
    pub fn parse(&self, bytes: &[u8]) -> Result<Request, Errno> {
        let mut fields = Fields::new(bytes);
        let mut args = [0; 6];
        for arg in args.iter_mut().take(self.kind.arguments()) {
            *arg = fields.unsigned(self.layout)?;
        }
        Ok(self.kind.request(self.layout, &args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str) -> Syscall {
        Syscall::from_name(name).unwrap()
    }

    const ARGS: [u64; 6] = [3, 0x1_0000_1000, 7, 0xffff_ffff_0000_4000, 0x2000, 16];

    #[test]
    fn registers_are_read_at_the_width_that_the_kernel_uses() {
        let address = Address { pointer: Pointer(0x2000), length: 16 };
        let sendto = |data| {
            Call::Direct(Request::SendTo { socket: 3, data, size: 7, flags: 0x4000, address })
        };
        let decode = |layout| decode(call("sendto"), &ARGS, layout);
        assert_eq!(decode(Layout::Bits64), Some(sendto(Pointer(0x1_0000_1000))));
        assert_eq!(decode(Layout::Bits32), Some(sendto(Pointer(0x1000))));
    }

    #[test]
    fn a_multiplexed_call_asks_for_what_the_call_itself_asks_for() {
        let names = [
            (3, "connect"),
            (2, "bind"),
            (4, "listen"),
            (11, "sendto"),
            (16, "sendmsg"),
            (20, "sendmmsg"),
        ];
        for (code, name) in names {
            let register = 0xdead_0000_0000 | code;
            let found = decode(call("socketcall"), &[register, 64, 0, 0, 0, 0], Layout::Bits32);
            let Some(Call::Multiplexed(multiplexed)) = found else { panic!("{name}: {found:?}") };
            let span = multiplexed.plan().unwrap();
            assert_eq!(span.address(), Pointer(64));
            let words = ARGS.map(|arg| u32::try_from(arg & 0xffff_ffff).unwrap().to_ne_bytes());
            let bytes = words.concat();
            let request = multiplexed.parse(&bytes[..span.length()]).unwrap();
            let direct = decode(call(name), &ARGS, Layout::Bits32);
            assert_eq!(direct, Some(Call::Direct(request)), "{name}");
            assert_eq!(multiplexed.parse(&bytes[..span.length() - 1]), Err(Errno::EFAULT));
        }
    }

    #[test]
    fn other_calls_are_not_about_addresses() {
        assert_eq!(decode(call("socket"), &ARGS, Layout::Bits64), None);
        assert_eq!(decode(call("socketcall"), &[1, 64, 0, 0, 0, 0], Layout::Bits32), None);
    }
}
