// SPDX-License-Identifier: Apache-2.0
//! The calls with socket addresses: which of their arguments is what.
//!
//! What it does not do: read memory, or know what a descriptor is. `socketcall`, by which 32-bit
//! processes once made all of them, is not here: the program refuses it for calls that are mediated.

use super::{Layout, Pointer};
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

/// What a call with addresses asks for; `None`: it is none.
#[must_use]
pub fn decode(call: Syscall, args: &[u64; 6], layout: Layout) -> Option<Request> {
    let [first, second, third, fourth, fifth, sixth] = *args;
    let socket = int(first);
    let address = Address { pointer: layout.pointer(second), length: int(third) };
    Some(match call.name() {
        "connect" => Request::Connect { socket, address },
        "bind" => Request::Bind { socket, address },
        "listen" => Request::Listen { socket, backlog: int(second) },
        "sendto" => Request::SendTo {
            socket,
            data: layout.pointer(second),
            size: layout.unsigned(third),
            flags: int(fourth).cast_unsigned(),
            address: Address { pointer: layout.pointer(fifth), length: int(sixth) },
        },
        "sendmsg" => Request::SendMessage {
            socket,
            message: layout.pointer(second),
            flags: int(third).cast_unsigned(),
        },
        "sendmmsg" => Request::SendMessages {
            socket,
            messages: layout.pointer(second),
            count: int(third).cast_unsigned(),
            flags: int(fourth).cast_unsigned(),
        },
        _ => return None,
    })
}

/// The `int` in a register.
#[allow(clippy::cast_possible_truncation)] // the kernel looks at 32 bits
const fn int(register: u64) -> i32 {
    (register as u32).cast_signed()
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
        let sendto = |data| Request::SendTo { socket: 3, data, size: 7, flags: 0x4000, address };
        let decode = |layout| decode(call("sendto"), &ARGS, layout);
        assert_eq!(decode(Layout::Bits64), Some(sendto(Pointer(0x1_0000_1000))));
        assert_eq!(decode(Layout::Bits32), Some(sendto(Pointer(0x1000))));
    }

    #[test]
    fn numbers_of_sockets_and_lengths_have_their_sign() {
        let minus = [u64::MAX, 64, 0xffff_ffff, 0, 0, 0];
        let address = Address { pointer: Pointer(64), length: -1 };
        let expected = Some(Request::Connect { socket: -1, address });
        assert_eq!(decode(call("connect"), &minus, Layout::Bits64), expected);
        let expected = Some(Request::Listen { socket: -1, backlog: 64 });
        assert_eq!(decode(call("listen"), &minus, Layout::Bits64), expected);
    }

    #[test]
    fn other_calls_are_not_about_addresses() {
        assert_eq!(decode(call("socket"), &ARGS, Layout::Bits64), None);
        assert_eq!(decode(call("socketcall"), &[3, 64, 0, 0, 0, 0], Layout::Bits32), None);
    }
}
