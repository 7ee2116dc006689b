// SPDX-License-Identifier: Apache-2.0
//! Structures that say how long they are (`open_how`, `xattr_args`, `file_attr`).
//!
//! A caller may know a longer version of a structure than this module: its additional bytes must then
//! be zero. KERNEL(5.3): `copy_struct_from_user`, and openat2(2), "Extensibility".

use super::layout::{Layout, Pointer, Span};
use crate::policy::Errno;

/// Which bytes to copy of a structure that had `first` bytes in its first version.
pub(super) fn plan(
    layout: Layout,
    address: Pointer,
    size: u64,
    first: usize,
) -> Result<Span, Errno> {
    let size = usize::try_from(layout.unsigned(size)).map_err(|_| Errno::E2BIG)?;
    match size {
        _ if size < first => Err(Errno::EINVAL),
        0..=4096 => Span::new(layout, address, size),
        _ => Err(Errno::E2BIG),
    }
}

/// The part of a copy that is known here.
pub(super) fn known(bytes: &[u8], length: usize) -> Result<&[u8], Errno> {
    let (known, more) = bytes.split_at_checked(length).ok_or(Errno::EFAULT)?;
    if more.iter().any(|byte| *byte != 0) { Err(Errno::E2BIG) } else { Ok(known) }
}
