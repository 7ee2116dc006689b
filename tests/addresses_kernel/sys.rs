// SPDX-License-Identifier: Apache-2.0
//! What the comparison of addresses needs of the kernel.
#![allow(clippy::unwrap_used)] // tests

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use brig_policy::call::address::{Action, Socket};

/// An errno, or success.
pub type Outcome = Result<(), i32>;

fn outcome(result: i64) -> Outcome {
    if result < 0 { Err(io::Error::last_os_error().raw_os_error().unwrap()) } else { Ok(()) }
}

/// Moves this thread into a network namespace of its own, where loopback is all there is, and every
/// group may ping, and into a directory where no file can be made.
/// `unshare(CLONE_NEWNET | CLONE_FS)`, `chdir("/proc/sys")`
pub fn isolate() -> io::Result<()> {
    // SAFETY: takes no pointer; changes this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_FS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    std::env::set_current_dir("/proc/sys")?;
    let socket = open(Socket { domain: libc::AF_INET, kind: libc::SOCK_DGRAM, protocol: 0 })?;
    // SAFETY: all-zero bytes are an `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap();
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, which lives for the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) } != 0
    {
        return Err(io::Error::last_os_error());
    }
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")
}

/// socket(2), non-blocking.
pub fn open(socket: Socket) -> io::Result<OwnedFd> {
    let kind = socket.kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointer.
    let fd = unsafe { libc::socket(socket.domain, kind, socket.protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// getsockopt(2) of an integer of SOL_SOCKET.
pub fn option(socket: &OwnedFd, name: i32) -> i32 {
    let mut value = 0i32;
    let mut length = 4;
    // SAFETY: `value` has the four bytes that `length` says; both live for the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0);
    value
}

/// The call, with these bytes as the address; `None`: NULL.
pub fn perform(
    socket: &OwnedFd,
    action: Action,
    address: Option<&[u8]>,
    length: i32,
    payload: &[u8],
) -> Outcome {
    // The kernel reads `length` bytes, if it takes the length at all; no more than 128.
    let mut storage = [0u8; 256];
    let bytes = address.unwrap_or_default();
    storage[..bytes.len()].copy_from_slice(bytes);
    let pointer = if address.is_some() { storage.as_ptr() } else { ptr::null() };
    let fd = socket.as_raw_fd();
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let send = |flags: i32| {
        // SAFETY: the payload and the address live for the call, which only reads them.
        unsafe {
            libc::syscall(
                libc::SYS_sendto,
                fd,
                payload.as_ptr(),
                payload.len(),
                flags,
                pointer,
                length,
            )
        }
    };
    outcome(match action {
        // SAFETY: `storage` is longer than any address that the kernel reads.
        Action::Connect => unsafe { libc::syscall(libc::SYS_connect, fd, pointer, length) },
        // SAFETY: as above.
        Action::Bind => unsafe { libc::syscall(libc::SYS_bind, fd, pointer, length) },
        Action::Send => send(flags),
        Action::FastOpen => send(flags | libc::MSG_FASTOPEN),
    })
}
