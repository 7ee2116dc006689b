// SPDX-License-Identifier: Apache-2.0
//! Taking structures apart, one field after the other.
//!
//! A field that is not all there is `EFAULT`: the plan asked for more than it was given.

use super::layout::{Layout, Pointer};
use crate::policy::Errno;

/// Bytes whose fields are read in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'b [u8], Errno> {
        let (field, rest) = self.0.split_at_checked(count).ok_or(Errno::EFAULT)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Errno> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Errno::EFAULT)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Errno> {
        self.array().map(u16::from_ne_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Errno> {
        self.array().map(u32::from_ne_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Errno> {
        self.array().map(i32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Errno> {
        self.array().map(u64::from_ne_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Errno> {
        self.array().map(i64::from_ne_bytes)
    }

    /// A `size_t`.
    pub(super) fn unsigned(&mut self, layout: Layout) -> Result<u64, Errno> {
        match layout {
            Layout::Bits64 => self.u64(),
            Layout::Bits32 => self.u32().map(u64::from),
        }
    }

    /// A `long`.
    pub(super) fn signed(&mut self, layout: Layout) -> Result<i64, Errno> {
        match layout {
            Layout::Bits64 => self.i64(),
            Layout::Bits32 => self.i32().map(i64::from),
        }
    }

    pub(super) fn pointer(&mut self, layout: Layout) -> Result<Pointer, Errno> {
        self.unsigned(layout).map(Pointer)
    }

    /// Padding in front of a word that follows an `int`.
    pub(super) fn pad(&mut self, layout: Layout) -> Result<(), Errno> {
        let bytes = match layout {
            Layout::Bits64 => 4,
            Layout::Bits32 => 0,
        };
        self.bytes(bytes).map(|_| ())
    }
}
