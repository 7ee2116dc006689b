// SPDX-License-Identifier: Apache-2.0
//! process_vm_readv(2): another process's memory.

use std::io;

fn local(buffer: *mut u8, length: usize) -> libc::iovec {
    libc::iovec { iov_base: buffer.cast(), iov_len: length }
}

fn remote(address: u64, length: usize) -> io::Result<libc::iovec> {
    let address =
        usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))?;
    Ok(libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: length })
}

/// `process_vm_readv(tid, {buffer}, {address})`: how many bytes could be read from the beginning.
///
/// # Errors
///
/// EFAULT where there is nothing at the address, ESRCH, EPERM.
pub fn read(tid: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let here = local(buffer.as_mut_ptr(), buffer.len());
    let there = remote(address, buffer.len())?;
    // SAFETY: `here` is the caller's buffer with its length, borrowed exclusively; `there` is a
    // number to this process, which the kernel looks up in the other one.
    let result = unsafe { libc::process_vm_readv(tid, &raw const here, 1, &raw const there, 1, 0) };
    let count = super::check(result as _)?;
    usize::try_from(count).map_err(|_| io::ErrorKind::InvalidData.into())
}
