// SPDX-License-Identifier: Apache-2.0
//! Extended attributes: what setxattr(2), setxattrat(2) and removexattr(2) and their families are given.
//!
//! Names are read with [`super::string::Reading::xattr_name`].

use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use super::sized;
use crate::policy::Errno;

/// `XATTR_SIZE_MAX`: bytes of a value.
pub const MAX_VALUE: usize = 65536;
const XATTR_CREATE: u32 = 1;
const XATTR_REPLACE: u32 = 2;
/// `XATTR_ARGS_SIZE_VER0`.
const ARGS_LENGTH: usize = 16;

/// A value to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    address: Pointer,
    size: u64,
    flags: u32,
}

impl Value {
    /// The registers of setxattr(2), lsetxattr(2), fsetxattr(2).
    ///
    /// # Errors
    ///
    /// `EINVAL` for unknown flags. The kernel looks at them before it looks at the name.
    pub const fn new(address: Pointer, size: u64, flags: u32) -> Result<Self, Errno> {
        if flags & !(XATTR_CREATE | XATTR_REPLACE) != 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self { address, size, flags })
    }

    /// `XATTR_CREATE`, `XATTR_REPLACE`, or 0.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// Which bytes to copy of the value; `None`: it is empty.
    ///
    /// # Errors
    ///
    /// `E2BIG` for more than [`MAX_VALUE`]. The kernel looks at it after it has looked at the name.
    pub fn plan(&self, layout: Layout) -> Result<Option<Span>, Errno> {
        match usize::try_from(self.size) {
            Ok(0) => Ok(None),
            Ok(size @ 1..=MAX_VALUE) => Span::new(layout, self.address, size).map(Some),
            _ => Err(Errno::E2BIG),
        }
    }
}

/// A name that was read: of at least one byte.
///
/// # Errors
///
/// `ERANGE` for an empty one.
pub fn name(read: Vec<u8>) -> Result<Vec<u8>, Errno> {
    if read.is_empty() { Err(Errno::ERANGE) } else { Ok(read) }
}

/// Which bytes to copy of the `struct xattr_args` of setxattrat(2). KERNEL(6.13).
///
/// # Errors
///
/// `EINVAL` where it is shorter than its first version, `E2BIG` where it is longer than a page.
pub fn plan(layout: Layout, address: Pointer, size: u64) -> Result<Span, Errno> {
    sized::plan(layout, address, size, ARGS_LENGTH)
}

/// A copied `struct xattr_args`, which is the same in both layouts.
///
/// # Errors
///
/// `E2BIG` for what is longer and not zero, `EINVAL` for unknown flags.
pub fn parse(bytes: &[u8]) -> Result<Value, Errno> {
    let mut fields = Fields::new(sized::known(bytes, ARGS_LENGTH)?);
    let (address, size, flags) = (Pointer(fields.u64()?), fields.u32()?, fields.u32()?);
    Value::new(address, size.into(), flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(value: u64, size: u32, flags: u32, more: &[u8]) -> Vec<u8> {
        [&value.to_ne_bytes()[..], &size.to_ne_bytes(), &flags.to_ne_bytes(), more].concat()
    }

    #[test]
    fn a_value_has_64_kib_at_most() {
        let length = |size| {
            let value = Value::new(Pointer(4096), size, 0).unwrap();
            value.plan(Layout::Bits64).map(|span| span.map(|span| span.length()))
        };
        assert_eq!(length(0), Ok(None));
        assert_eq!(length(65536), Ok(Some(65536)));
        assert_eq!(length(65537), Err(Errno::E2BIG));
        assert_eq!(length(u64::MAX), Err(Errno::E2BIG));
    }

    #[test]
    fn flags_are_create_and_replace() {
        for flags in 0..4 {
            let value = Value::new(Pointer(0), 0, flags);
            assert_eq!(value.map(|value| value.flags()), Ok(flags));
        }
        assert_eq!(Value::new(Pointer(0), 0, 4), Err(Errno::EINVAL));
        assert_eq!(parse(&args(0, 0, 8, &[])), Err(Errno::EINVAL));
    }

    #[test]
    fn arguments_in_memory_are_those_in_registers() {
        let expected = Value::new(Pointer(0x1000), 5, 2);
        assert_eq!(parse(&args(0x1000, 5, 2, &[])), expected);
        assert_eq!(parse(&args(0x1000, 5, 2, &[0, 0])), expected);
        assert_eq!(parse(&args(0x1000, 5, 2, &[0, 1])), Err(Errno::E2BIG));
        assert_eq!(parse(&args(0x1000, 5, 2, &[])[1..]), Err(Errno::EFAULT));
        let plan = |size| plan(Layout::Bits32, Pointer(4096), size).map(|span| span.length());
        assert_eq!([plan(15), plan(4097)], [Err(Errno::EINVAL), Err(Errno::E2BIG)]);
        assert_eq!(plan(16), Ok(16));
    }

    #[test]
    fn a_name_is_not_empty() {
        assert_eq!(name(Vec::new()), Err(Errno::ERANGE));
        assert_eq!(name(b"user.x".to_vec()), Ok(b"user.x".to_vec()));
    }
}
