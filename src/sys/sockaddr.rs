// SPDX-License-Identifier: Apache-2.0
//! connect(2), bind(2), getsockname(2) and sendmsg(2) with addresses and control data as bytes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{sockaddr, sockaddr_storage, socklen_t};

fn length(address: &[u8]) -> io::Result<socklen_t> {
    socklen_t::try_from(address.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// `connect(socket, address, length)`.
///
/// # Errors
///
/// The kernel's; EINTR where a signal ended the waiting.
pub fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    let length = length(address)?;
    // SAFETY: the kernel reads as many bytes as the slice has, which is borrowed for the call.
    let result =
        unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast::<sockaddr>(), length) };
    super::check(result.into()).map(drop)
}

/// `bind(socket, address, length)`.
///
/// # Errors
///
/// The kernel's.
pub fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    let length = length(address)?;
    // SAFETY: the kernel reads as many bytes as the slice has, which is borrowed for the call.
    let result =
        unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast::<sockaddr>(), length) };
    super::check(result.into()).map(drop)
}

/// `getsockname(socket)`.
///
/// # Errors
///
/// The kernel's.
pub fn name(socket: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut bytes = [0_u8; size_of::<sockaddr_storage>()];
    let mut length = length(&bytes)?;
    // SAFETY: the kernel writes at most `length` bytes, which are the buffer's, exclusively ours, and
    // the length of the address, which may be more.
    let result = unsafe {
        let address = bytes.as_mut_ptr().cast::<sockaddr>();
        libc::getsockname(socket.as_raw_fd(), address, &raw mut length)
    };
    super::check(result.into())?;
    let length = usize::try_from(length).unwrap_or(bytes.len());
    Ok(bytes.get(..length).unwrap_or(&bytes).to_vec())
}

/// What sendmsg(2) sends. What is empty is not there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'m> {
    /// The receiver's `sockaddr`.
    pub name: &'m [u8],
    /// The data, in one piece.
    pub data: &'m [u8],
    /// Control data in the native layout.
    pub control: &'m [u8],
}

/// `sendmsg(socket, message, flags)`: how many bytes were sent.
///
/// # Errors
///
/// The kernel's; EINTR where a signal ended the waiting.
pub fn send(socket: BorrowedFd<'_>, message: &Message<'_>, flags: u32) -> io::Result<usize> {
    let pointer = |bytes: &[u8]| match bytes {
        [] => std::ptr::null_mut(),
        some => some.as_ptr().cast_mut().cast::<libc::c_void>(),
    };
    let mut data = libc::iovec { iov_base: pointer(message.data), iov_len: message.data.len() };
    // SAFETY: all-zero is a valid value of this struct: null pointers of no length.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_name = pointer(message.name);
    header.msg_namelen = length(message.name)?;
    header.msg_iov = &raw mut data;
    header.msg_iovlen = 1;
    header.msg_control = pointer(message.control);
    header.msg_controllen = message.control.len() as _;
    // SAFETY: name, data and control are slices with their lengths, borrowed for the call, which the
    // kernel only reads.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags.cast_signed()) };
    let sent = super::check(sent as libc::c_long)?;
    usize::try_from(sent).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn an_address_of_bytes_is_connected_to_and_sent_to() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = name(receiver.as_fd()).unwrap();
        let mut buffer = [0; 8];
        let message = Message { name: &address, data: b"one", control: &[] };
        assert_eq!(send(sender.as_fd(), &message, 0).unwrap(), 3);
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 3);
        connect(sender.as_fd(), &address).unwrap();
        let message = Message { data: b"four", ..Message::default() };
        assert_eq!(send(sender.as_fd(), &message, 0).unwrap(), 4);
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
        let again = bind(receiver.as_fd(), &address).unwrap_err();
        assert_eq!(again.raw_os_error(), Some(libc::EINVAL));
    }
}
