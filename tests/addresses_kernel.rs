// SPDX-License-Identifier: Apache-2.0
//! The kernel and the decoder agree about socket addresses: for every kind of socket, action, family
//! and length, what the decoder refuses the kernel refuses with the same errno, and what it writes
//! anew has the same outcome as the bytes that it was read from.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

#[path = "addresses_kernel/sys.rs"]
mod sys;

use brig_policy::call::address::{Action, Destination, Socket, parse, plan};
use brig_policy::call::{Layout, Pointer};
use brig_policy::policy::Errno;
use std::os::fd::OwnedFd;
use sys::{Outcome, perform};

const INET: [(&str, i32, i32, i32); 11] = [
    ("tcp", libc::AF_INET, libc::SOCK_STREAM, 0),
    ("tcp6", libc::AF_INET6, libc::SOCK_STREAM, 0),
    ("mptcp", libc::AF_INET, libc::SOCK_STREAM, 262),
    ("mptcp6", libc::AF_INET6, libc::SOCK_STREAM, 262),
    ("udp", libc::AF_INET, libc::SOCK_DGRAM, 0),
    ("udp6", libc::AF_INET6, libc::SOCK_DGRAM, 0),
    ("udplite6", libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE),
    ("ping", libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
    ("ping6", libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6),
    ("raw", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
    ("raw6", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
];
const UNIX: [(&str, i32, i32, i32); 3] = [
    ("stream", libc::AF_UNIX, libc::SOCK_STREAM, 0),
    ("datagram", libc::AF_UNIX, libc::SOCK_DGRAM, 0),
    ("packet", libc::AF_UNIX, libc::SOCK_SEQPACKET, 0),
];
const ACTIONS: [Action; 4] = [Action::Connect, Action::Bind, Action::Send, Action::FastOpen];
const FAMILIES: [u16; 6] = [0, 1, 2, 10, 16, 0xffff];

/// An address of a family: port, then what each version reads as the host.
fn inet(family: u16, port: u16, v4: [u8; 4], v6: [u8; 16]) -> Vec<u8> {
    let mut bytes = [&family.to_ne_bytes()[..], &port.to_be_bytes(), &v4].concat();
    bytes.extend_from_slice(&v6);
    bytes.resize(128, 0);
    bytes
}

fn addresses() -> Vec<Vec<u8>> {
    let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
    let mapped = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
    let mut all = Vec::new();
    for family in FAMILIES {
        for port in [0, 9] {
            for v6 in [loopback, [0; 16], mapped] {
                all.push(inet(family, port, [127, 0, 0, 1], v6));
            }
            all.push(inet(family, port, [0; 4], loopback));
        }
    }
    all
}

/// What the kernel says to the bytes, on a socket of its own.
struct Comparison {
    name: &'static str,
    socket: Socket,
    payload: Vec<u8>,
    compared: usize,
    refused: usize,
    differences: Vec<String>,
}

impl Comparison {
    fn of(kind: (&'static str, i32, i32, i32)) -> Option<Self> {
        let (name, domain, kind, protocol) = kind;
        let asked = Socket { domain, kind, protocol };
        let open = match sys::open(asked) {
            Ok(open) => open,
            Err(error) => {
                println!("skipped: no {name} sockets here: {error}");
                return None;
            }
        };
        let socket = Socket {
            domain: sys::option(&open, libc::SO_DOMAIN),
            kind: sys::option(&open, libc::SO_TYPE),
            protocol: sys::option(&open, libc::SO_PROTOCOL),
        };
        // An ICMP echo request.
        let echo = if domain == libc::AF_INET6 { 128 } else { 8 };
        let payload = vec![echo, 0, 0, 0, 0, 0, 0, 0];
        let (compared, refused, differences) = (0, 0, Vec::new());
        Some(Self { name, socket, payload, compared, refused, differences })
    }

    fn kernel(&self, action: Action, address: Option<&[u8]>, length: i32) -> Outcome {
        let socket: OwnedFd = sys::open(self.socket).unwrap();
        perform(&socket, action, address, length, &self.payload)
    }

    fn compare(&mut self, action: Action, address: &[u8], length: i32) {
        let kernel = self.kernel(action, Some(address), length);
        let decoded = plan(Layout::Bits64, Pointer(0x1000), length)
            .and_then(|span| parse(self.socket, action, &address[..span.length()]));
        let expected = match &decoded {
            Err(errno) => Err(errno.0),
            Ok(destination) => match rewritten(destination, action) {
                Some(bytes) => {
                    let length = i32::try_from(bytes.len()).unwrap();
                    self.kernel(action, Some(&bytes), length)
                }
                None if *destination == Destination::Ignored => kernel,
                None => self.kernel(action, None, 0),
            },
        };
        self.compared += 1;
        self.refused += usize::from(decoded.is_err());
        if kernel != expected && !self.is_known(action, &decoded) {
            let shown = &address[..address.len().min(28)];
            let name = self.name;
            self.differences.push(format!(
                "{name} {action:?} {length} {shown:?}: kernel {kernel:?}, {decoded:?} {expected:?}"
            ));
        }
    }

    /// ICMPv6 echo sockets alone do not take the unspecified address for loopback, so there the
    /// decoder writes another address than the kernel would use: the one that was decided about.
    fn is_known(&self, action: Action, decoded: &Result<Destination, Errno>) -> bool {
        let sends = matches!(action, Action::Send | Action::FastOpen);
        let unspecified =
            matches!(decoded, Ok(Destination::Inet(inet)) if inet.address.is_unspecified());
        self.name == "ping6" && sends && unspecified
    }

    fn finish(self) {
        let found = self.differences.len();
        let first: Vec<_> = self.differences.iter().take(12).cloned().collect();
        assert!(found == 0, "{found} of {} differ:\n{}", self.compared, first.join("\n"));
        assert!(self.refused > 0 && self.refused < self.compared, "{} says one thing", self.name);
    }
}

/// The address as the supervisor would perform it; `None`: none, or as it is.
fn rewritten(destination: &Destination, action: Action) -> Option<Vec<u8>> {
    match destination {
        Destination::UnixPath(path) => Some([&1u16.to_ne_bytes()[..], path.as_ref()].concat()),
        other => other.encode(action),
    }
}

/// In a thread of its own, where no packet leaves and no file is made.
fn isolated(test: fn()) {
    let result = std::thread::spawn(move || match sys::isolate() {
        Ok(()) => test(),
        Err(error) => println!("skipped: no network namespace of its own: {error}"),
    });
    if let Err(panic) = result.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn addresses_of_the_internet_are_read_as_the_kernel_reads_them() {
    isolated(|| {
        let kinds: Vec<_> = INET.into_iter().filter_map(Comparison::of).collect();
        assert!(kinds.len() >= 4, "TCP and UDP are everywhere");
        for mut kind in kinds {
            for action in ACTIONS {
                for address in addresses() {
                    for length in (0..=30).chain([127, 128, 129, -1, i32::MIN, i32::MAX]) {
                        kind.compare(action, &address, length);
                    }
                }
            }
            kind.finish();
        }
    });
}

#[test]
fn addresses_of_unix_sockets_are_read_as_the_kernel_reads_them() {
    isolated(|| {
        let tail = [b'x'; 126];
        for mut kind in UNIX.into_iter().filter_map(Comparison::of) {
            for action in ACTIONS {
                for family in FAMILIES {
                    for name in [&b"nowhere/of/"[..], b"nowhere\0of", b"/\0", b"\0brig\0"] {
                        let mut address = [&family.to_ne_bytes()[..], name, &tail].concat();
                        address.truncate(128);
                        for length in (0..=128).chain([129, -1]) {
                            kind.compare(action, &address, length);
                        }
                    }
                }
            }
            kind.finish();
        }
    });
}
