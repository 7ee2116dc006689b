// SPDX-License-Identifier: Apache-2.0
//! `struct file_attr` of file_setattr(2). KERNEL(6.17).
//!
//! Which flags a file may have is left to the kernel, which gets the structure as it was parsed.

use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use super::sized;
use crate::policy::Errno;

/// `FILE_ATTR_SIZE_VER0`.
const LENGTH: usize = 24;

/// Attributes to set, as FS_IOC_FSSETXATTR has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `FS_XFLAG_*`.
    pub flags: u64,
    /// Hint of an extent's size, in bytes.
    pub extent_size: u32,
    /// Extents; only read.
    pub extents: u32,
    /// Project of quotas.
    pub project: u32,
    /// Hint of a copied extent's size, in bytes.
    pub copied_extent_size: u32,
}

/// Which bytes to copy.
///
/// # Errors
///
/// `EINVAL` where it is shorter than its first version, `E2BIG` where it is longer than a page.
pub fn plan(layout: Layout, address: Pointer, size: u64) -> Result<Span, Errno> {
    sized::plan(layout, address, size, LENGTH)
}

/// A copied structure, which is the same in both layouts.
///
/// # Errors
///
/// `E2BIG` for what is longer and not zero.
pub fn parse(bytes: &[u8]) -> Result<Attributes, Errno> {
    let mut fields = Fields::new(sized::known(bytes, LENGTH)?);
    Ok(Attributes {
        flags: fields.u64()?,
        extent_size: fields.u32()?,
        extents: fields.u32()?,
        project: fields.u32()?,
        copied_extent_size: fields.u32()?,
    })
}

impl Attributes {
    /// The structure as the kernel takes it.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&self.flags.to_ne_bytes());
        let words = [self.extent_size, self.extents, self.project, self.copied_extent_size];
        for (place, word) in bytes[8..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_what_is_encoded() {
        let bytes: Vec<u8> = (1..=24).collect();
        assert_eq!(parse(&bytes).unwrap().encode(), bytes[..]);
        let longer = [&bytes[..], &[0; 8]].concat();
        assert_eq!(parse(&longer), parse(&bytes));
        assert_eq!(parse(&[&longer[..], &[1]].concat()), Err(Errno::E2BIG));
        assert_eq!(parse(&bytes[..23]), Err(Errno::EFAULT));
    }

    #[test]
    fn its_size_is_checked_as_that_of_open_how_is() {
        let plan = |size| plan(Layout::Bits64, Pointer(4096), size).map(|span| span.length());
        assert_eq!([plan(23), plan(4097)], [Err(Errno::EINVAL), Err(Errno::E2BIG)]);
        assert_eq!(plan(24), Ok(24));
    }
}
