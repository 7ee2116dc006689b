// SPDX-License-Identifier: Apache-2.0
//! Strings that end with a NUL: paths and names.
//!
//! Their length is known only when they have been read, so they are read in chunks, none of which
//! crosses a page: what follows the NUL may not be mapped. Each byte is copied once.

use super::layout::{Layout, Pointer, Span};
use crate::policy::Errno;

/// `PATH_MAX`: bytes of a path, its NUL included.
pub const PATH_MAX: usize = 4096;
/// Bytes of the name of an extended attribute, its NUL included.
pub const XATTR_NAME_MAX: usize = 256;
/// Pages are multiples of this on every architecture.
const PAGE: u64 = 4096;
/// How much is copied at first: most strings are shorter.
const FIRST: usize = 256;

/// A string that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    layout: Layout,
    next: Pointer,
    limit: usize,
    too_long: Errno,
    read: Vec<u8>,
}

/// What has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The string, without its NUL.
    Complete(Vec<u8>),
    /// There is more to copy.
    More(Reading),
}

impl Reading {
    /// A path: `ENAMETOOLONG` if it is longer than the kernel takes. It may be empty.
    #[must_use]
    pub const fn path(layout: Layout, address: Pointer) -> Self {
        let (limit, too_long) = (PATH_MAX, Errno::ENAMETOOLONG);
        Self { layout, next: address, limit, too_long, read: Vec::new() }
    }

    /// The name of an extended attribute: `ERANGE` if it is too long.
    #[must_use]
    pub const fn xattr_name(layout: Layout, address: Pointer) -> Self {
        let (limit, too_long) = (XATTR_NAME_MAX, Errno::ERANGE);
        Self { layout, next: address, limit, too_long, read: Vec::new() }
    }

    /// The next bytes to copy: a few at first, to the end of the page at most, and never none.
    ///
    /// # Errors
    ///
    /// `EFAULT` where no caller can have memory.
    pub fn wanted(&self) -> Result<Span, Errno> {
        let left = self.limit.saturating_sub(self.read.len());
        let to_page_end = usize::try_from(PAGE.saturating_sub(self.next.0 % PAGE)).unwrap_or(left);
        let enough = if self.read.is_empty() { FIRST } else { left };
        Span::new(self.layout, self.next, enough.min(left).min(to_page_end))
    }

    /// Takes what was copied of the bytes that were wanted.
    ///
    /// # Errors
    ///
    /// `EFAULT` if less was copied and no NUL is in it, or more than was wanted; else what the
    /// kernel says of a string that is too long.
    pub fn take(mut self, copied: &[u8]) -> Result<Progress, Errno> {
        let wanted = self.wanted()?.length();
        if copied.len() > wanted {
            return Err(Errno::EFAULT);
        }
        let end = copied.iter().position(|byte| *byte == 0);
        self.read.extend_from_slice(copied.get(..end.unwrap_or(copied.len())).unwrap_or(copied));
        if end.is_some() {
            return Ok(Progress::Complete(self.read));
        }
        if copied.len() < wanted {
            return Err(Errno::EFAULT);
        }
        if self.read.len() >= self.limit {
            return Err(self.too_long);
        }
        self.next = self.next.offset(wanted)?;
        Ok(Progress::More(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads from memory that begins at the address.
    fn read(mut reading: Reading, start: u64, memory: &[u8]) -> Result<Vec<u8>, Errno> {
        loop {
            let span = reading.wanted()?;
            assert!(span.length() > 0);
            let first = span.address().0 % PAGE;
            assert!(first + span.length() as u64 <= PAGE, "{span:?} crosses a page");
            let from = usize::try_from(span.address().0 - start).unwrap();
            let to = (from + span.length()).min(memory.len());
            match reading.take(&memory[from.min(to)..to])? {
                Progress::Complete(text) => return Ok(text),
                Progress::More(rest) => reading = rest,
            }
        }
    }

    fn path(start: u64, memory: &[u8]) -> Result<Vec<u8>, Errno> {
        read(Reading::path(Layout::Bits64, Pointer(start)), start, memory)
    }

    #[test]
    fn a_string_ends_at_its_nul_wherever_pages_end() {
        for start in [0x1000, 0x1001, 0x1ffc, 0x1fff] {
            assert_eq!(path(start, b"/etc/passwd\0/x").as_deref(), Ok(&b"/etc/passwd"[..]));
            assert_eq!(path(start, b"\0").as_deref(), Ok(&b""[..]));
        }
    }

    #[test]
    fn a_string_that_ends_in_nothing_faults() {
        assert_eq!(path(0x1ffc, b"/etc/passwd"), Err(Errno::EFAULT));
        assert_eq!(path(0x1ffc, b""), Err(Errno::EFAULT));
        assert_eq!(path(u64::MAX, b"a\0"), Err(Errno::EFAULT));
    }

    #[test]
    fn the_longest_path_has_4095_bytes() {
        let mut memory = vec![b'a'; 5000];
        assert_eq!(path(0x1800, &memory), Err(Errno::ENAMETOOLONG));
        memory[4096] = 0;
        assert_eq!(path(0x1800, &memory), Err(Errno::ENAMETOOLONG));
        memory[4095] = 0;
        assert_eq!(path(0x1800, &memory).map(|path| path.len()), Ok(4095));
    }

    #[test]
    fn the_longest_name_of_an_attribute_has_255_bytes() {
        let name = |memory: &[u8]| {
            read(Reading::xattr_name(Layout::Bits64, Pointer(0x1ff0)), 0x1ff0, memory)
        };
        let mut memory = vec![b'a'; 300];
        assert_eq!(name(&memory), Err(Errno::ERANGE));
        memory[255] = 0;
        assert_eq!(name(&memory).map(|name| name.len()), Ok(255));
    }

    #[test]
    fn more_than_was_wanted_is_refused() {
        let reading = Reading::path(Layout::Bits64, Pointer(0x1fff));
        assert_eq!(reading.take(b"a\0"), Err(Errno::EFAULT));
    }
}
