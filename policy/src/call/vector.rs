// SPDX-License-Identifier: Apache-2.0
//! Arrays of `iovec`: where the bytes are that a call reads or writes.

use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use crate::policy::Errno;

/// `UIO_MAXIOV`: elements of an array.
pub const MAX_ELEMENTS: usize = 1024;
/// `MAX_RW_COUNT`: bytes of one call, with pages of 4 KiB. More are cut off.
pub const MAX_BYTES: u64 = 0x7fff_f000;

/// Buffers, in order; together no more than [`MAX_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffers(Vec<Buffer>);

/// One buffer, as the caller alleges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Where it begins.
    pub address: Pointer,
    /// How many bytes it has.
    pub length: u64,
}

/// `sizeof(struct iovec)`.
const fn element_length(layout: Layout) -> usize {
    match layout {
        Layout::Bits64 => 16,
        Layout::Bits32 => 8,
    }
}

/// Which bytes to copy of an array.
///
/// # Errors
///
/// `EMSGSIZE` for too many elements, as the calls that send messages have it.
pub fn plan(layout: Layout, address: Pointer, count: u64) -> Result<Span, Errno> {
    match usize::try_from(count) {
        Ok(count @ 0..=MAX_ELEMENTS) => {
            Span::new(layout, address, count.saturating_mul(element_length(layout)))
        }
        _ => Err(Errno::EMSGSIZE),
    }
}

/// The buffers of a copied array.
///
/// # Errors
///
/// `EINVAL` for a negative length, `EFAULT` for a buffer where no caller has memory.
pub fn parse(layout: Layout, bytes: &[u8]) -> Result<Buffers, Errno> {
    let mut left = MAX_BYTES;
    let elements = bytes.chunks(element_length(layout)).take(MAX_ELEMENTS);
    let buffers = elements.map(|element| element_of(layout, element));
    // All of them are looked at before any is cut, as the kernel does.
    let mut buffers = buffers.collect::<Result<Vec<_>, _>>()?;
    for buffer in &mut buffers {
        buffer.length = buffer.length.min(left);
        left = left.saturating_sub(buffer.length);
    }
    Ok(Buffers(buffers))
}

fn element_of(layout: Layout, element: &[u8]) -> Result<Buffer, Errno> {
    let mut fields = Fields::new(element);
    let address = fields.pointer(layout)?;
    let length = u64::try_from(fields.signed(layout)?).map_err(|_| Errno::EINVAL)?;
    let size = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
    Span::new(layout, address, size)?;
    Ok(Buffer { address, length })
}

impl Buffers {
    /// One buffer, as sendto(2) has it.
    #[must_use]
    pub fn one(address: Pointer, length: u64) -> Self {
        Self(vec![Buffer { address, length: length.min(MAX_BYTES) }])
    }

    /// The buffers.
    #[must_use]
    pub fn as_slice(&self) -> &[Buffer] {
        &self.0
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|buffer| buffer.length).sum()
    }

    /// What is left of them behind their first bytes.
    #[must_use]
    pub fn after(&self, count: u64) -> Self {
        let mut behind = count;
        let rest = |buffer: &Buffer| {
            let cut = behind.min(buffer.length);
            behind = behind.saturating_sub(cut);
            let address = Pointer(buffer.address.0.saturating_add(cut));
            Buffer { address, length: buffer.length.saturating_sub(cut) }
        };
        Self(self.0.iter().map(rest).filter(|buffer| buffer.length > 0).collect())
    }

    /// The bytes to copy of their beginning, `limit` at most.
    ///
    /// # Errors
    ///
    /// `EFAULT` for a buffer where no caller has memory.
    pub fn spans(&self, layout: Layout, limit: usize) -> Result<Vec<Span>, Errno> {
        let mut left = limit;
        let mut spans = Vec::new();
        for buffer in &self.0 {
            let length = usize::try_from(buffer.length).map_or(left, |length| length.min(left));
            if length > 0 {
                spans.push(Span::new(layout, buffer.address, length)?);
                left = left.saturating_sub(length);
            }
        }
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(elements: &[(u64, i64)]) -> Vec<u8> {
        let bytes = |(address, length): &(u64, i64)| [address.to_ne_bytes(), length.to_ne_bytes()];
        elements.iter().flat_map(bytes).flatten().collect()
    }

    fn lengths(elements: &[(u64, i64)]) -> Result<Vec<u64>, Errno> {
        let buffers = parse(Layout::Bits64, &array(elements))?;
        Ok(buffers.as_slice().iter().map(|buffer| buffer.length).collect())
    }

    #[test]
    fn an_array_has_1024_elements_at_most() {
        let plan = |layout, count| plan(layout, Pointer(4096), count).map(|span| span.length());
        assert_eq!(plan(Layout::Bits64, 1024), Ok(16384));
        assert_eq!(plan(Layout::Bits32, 1024), Ok(8192));
        assert_eq!(plan(Layout::Bits64, 1025), Err(Errno::EMSGSIZE));
        assert_eq!(plan(Layout::Bits64, u64::MAX), Err(Errno::EMSGSIZE));
    }

    #[test]
    fn what_exceeds_the_longest_transfer_is_cut_off() {
        let most = i64::try_from(MAX_BYTES).unwrap();
        assert_eq!(lengths(&[(1, 5), (1, most), (1, 7)]), Ok(vec![5, MAX_BYTES - 5, 0]));
        assert_eq!(lengths(&[(1, i64::MAX - 1)]), Ok(vec![MAX_BYTES]));
    }

    #[test]
    fn a_negative_length_is_refused_wherever_it_is() {
        let most = i64::try_from(MAX_BYTES).unwrap();
        assert_eq!(lengths(&[(1, most), (1, -1)]), Err(Errno::EINVAL));
        let short = [4096u32.to_ne_bytes(), (-1i32).to_ne_bytes()].concat();
        assert_eq!(parse(Layout::Bits32, &short), Err(Errno::EINVAL));
    }

    #[test]
    fn what_is_left_begins_behind_what_was_taken() {
        let buffers = parse(Layout::Bits64, &array(&[(1, 5), (9, 0), (64, 100)])).unwrap();
        let left = |count| {
            let rest = buffers.after(count);
            rest.as_slice().iter().map(|one| (one.address.0, one.length)).collect::<Vec<_>>()
        };
        assert_eq!(left(0), [(1, 5), (64, 100)]);
        assert_eq!(left(3), [(4, 2), (64, 100)]);
        assert_eq!(left(5), [(64, 100)]);
        assert_eq!(left(104), [(163, 1)]);
        assert_eq!(left(u64::MAX), []);
    }

    #[test]
    fn no_more_is_copied_than_asked_for() {
        let buffers = parse(Layout::Bits64, &array(&[(1, 5), (9, 0), (64, 100)])).unwrap();
        let spans = buffers.spans(Layout::Bits64, 12).unwrap();
        let lengths: Vec<_> = spans.iter().map(Span::length).collect();
        assert_eq!((lengths, buffers.total()), (vec![5, 7], 105));
    }
}
