// SPDX-License-Identifier: Apache-2.0
//! `struct msghdr` and arrays of `struct mmsghdr`: what sendmsg(2) and sendmmsg(2) are given.
//!
//! A header names three other places. Each has its own plan, in the order in which the kernel looks:
//! [`Header::name`], [`Header::vector`], [`Header::control`].

use super::address;
use super::control;
use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use super::vector;
use crate::policy::Errno;

/// Messages of one sendmmsg(2); it sends no more, whatever it is asked.
pub const MAX_MESSAGES: usize = vector::MAX_ELEMENTS;

/// A message, as the caller alleges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    layout: Layout,
    name: Pointer,
    name_length: i32,
    vector: Pointer,
    vector_count: u64,
    control: Pointer,
    control_length: u64,
}

/// `sizeof(struct msghdr)`.
const fn length(layout: Layout) -> usize {
    match layout {
        Layout::Bits64 => 56,
        Layout::Bits32 => 28,
    }
}

/// `sizeof(struct mmsghdr)`: a header, and the count of bytes that were sent of it.
const fn element_length(layout: Layout) -> usize {
    match layout {
        Layout::Bits64 => 64,
        Layout::Bits32 => 32,
    }
}

/// Which bytes to copy of one header.
///
/// # Errors
///
/// `EFAULT` where no caller has memory.
pub fn plan(layout: Layout, address: Pointer) -> Result<Span, Errno> {
    Span::new(layout, address, length(layout))
}

/// Which bytes to copy of an array for sendmmsg(2).
///
/// # Errors
///
/// `EFAULT` where no caller has memory.
pub fn plan_array(layout: Layout, address: Pointer, count: u32) -> Result<Span, Errno> {
    let count = usize::try_from(count).map_or(MAX_MESSAGES, |count| count.min(MAX_MESSAGES));
    Span::new(layout, address, count.saturating_mul(element_length(layout)))
}

/// Where the kernel writes how many bytes of a message were sent.
///
/// # Errors
///
/// `EFAULT` where no caller has memory.
pub fn sent_length(layout: Layout, array: Pointer, index: usize) -> Result<Span, Errno> {
    let before = index.checked_mul(element_length(layout)).ok_or(Errno::EFAULT)?;
    Span::new(layout, array.offset(before)?.offset(length(layout))?, 4)
}

/// A copied header.
///
/// # Errors
///
/// `EFAULT` if it is not whole.
pub fn parse(layout: Layout, bytes: &[u8]) -> Result<Header, Errno> {
    let mut fields = Fields::new(bytes);
    let name = fields.pointer(layout)?;
    let name_length = fields.i32()?;
    fields.pad(layout)?;
    let vector = fields.pointer(layout)?;
    let vector_count = fields.unsigned(layout)?;
    let control = fields.pointer(layout)?;
    let control_length = fields.unsigned(layout)?;
    // msg_flags, the last field, is not read: what counts is the argument of the call.
    fields.u32()?;
    fields.pad(layout)?;
    Ok(Header { layout, name, name_length, vector, vector_count, control, control_length })
}

/// The headers of a copied array.
///
/// # Errors
///
/// `EFAULT` if the last is not whole.
pub fn parse_array(layout: Layout, bytes: &[u8]) -> Result<Vec<Header>, Errno> {
    let elements = bytes.chunks(element_length(layout)).take(MAX_MESSAGES);
    elements.map(|element| parse(layout, element)).collect()
}

impl Header {
    /// Which bytes to copy of the address; `None`: the message has none. An address that is too long
    /// is cut, not refused as connect(2) does.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a negative length.
    pub fn name(&self) -> Result<Option<Span>, Errno> {
        if self.name.is_null() {
            return Ok(None);
        }
        match usize::try_from(self.name_length).map_err(|_| Errno::EINVAL)? {
            0 => Ok(None),
            length => Span::new(self.layout, self.name, length.min(address::LONGEST)).map(Some),
        }
    }

    /// Which bytes to copy of the array of buffers.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` for too many elements.
    pub fn vector(&self) -> Result<Span, Errno> {
        vector::plan(self.layout, self.vector, self.vector_count)
    }

    /// Which bytes to copy of control data; `None`: there are none.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` for more than a socket may have.
    pub fn control(&self) -> Result<Option<Span>, Errno> {
        control::plan(self.layout, self.control, self.control_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header64(name: (u64, i32), vector: (u64, u64), control: (u64, u64)) -> Vec<u8> {
        let mut bytes = name.0.to_ne_bytes().to_vec();
        bytes.extend(name.1.to_ne_bytes());
        bytes.extend([0xff; 4]);
        for word in [vector.0, vector.1, control.0, control.1] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([0xff; 8]);
        bytes
    }

    fn header32(words: [u32; 7]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn both_layouts_are_read_alike() {
        let wide = header64((0x1000, 16), (0x2000, 3), (0x3000, 24));
        let short = header32([0x1000, 16, 0x2000, 3, 0x3000, 24, 0xffff_ffff]);
        assert_eq!((wide.len(), short.len()), (length(Layout::Bits64), length(Layout::Bits32)));
        for (layout, bytes, element) in [(Layout::Bits64, wide, 16), (Layout::Bits32, short, 8)] {
            let header = parse(layout, &bytes).unwrap();
            let span = |address, length| Span::new(layout, Pointer(address), length);
            assert_eq!(header.name().unwrap(), span(0x1000, 16).ok());
            assert_eq!(header.vector(), span(0x2000, 3 * element));
            assert_eq!(header.control().unwrap(), span(0x3000, 24).ok());
            assert_eq!(parse(layout, &bytes[1..]), Err(Errno::EFAULT));
        }
    }

    #[test]
    fn a_name_is_cut_where_it_is_too_long_and_none_where_it_is_null() {
        let name = |address, length| {
            let header = parse(Layout::Bits64, &header64((address, length), (0, 0), (0, 0)));
            Ok(header?.name()?.map(|span| span.length()))
        };
        assert_eq!(name(0x1000, 500), Ok(Some(128)));
        assert_eq!(name(0x1000, 0), Ok(None));
        assert_eq!(name(0, -1), Ok(None));
        assert_eq!(name(0x1000, -1), Err(Errno::EINVAL));
    }

    #[test]
    fn an_array_has_1024_messages_at_most() {
        let length = |count| plan_array(Layout::Bits64, Pointer(0), count).unwrap().length();
        assert_eq!((length(2), length(1 << 31)), (128, 1024 * 64));
        let bytes = vec![0; length(u32::MAX)];
        assert_eq!(parse_array(Layout::Bits64, &bytes).map(|all| all.len()), Ok(1024));
        let third = sent_length(Layout::Bits32, Pointer(0x1000), 2).unwrap();
        assert_eq!((third.address(), third.length()), (Pointer(0x1000 + 64 + 28), 4));
    }
}
