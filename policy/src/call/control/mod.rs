// SPDX-License-Identifier: Apache-2.0
//! Control data of messages (cmsg(3)): read, judged, written anew.
//!
//! Control data can carry descriptors, claim an identity, and change where a message goes after its
//! address was decided about. So none of it is passed on as it was copied: it is parsed into items,
//! each item is judged ([`Item::effect`]), and what may go is encoded from the items.
//!
//! Guarantees: items are those that the kernel would see; encoding and parsing again gives the same.
//!
//! What it does not know: which descriptors the numbers of `SCM_RIGHTS` are.

mod effect;
mod encode;

pub use effect::Effect;
pub use encode::encode;

use super::fields::Fields;
use super::layout::{Layout, Pointer, Span};
use crate::policy::Errno;

/// Bytes of control data: the default of `net.core.optmem_max` since KERNEL(6.9), and more than it
/// was before.
pub const LONGEST: usize = 128 << 10;
/// `SCM_MAX_FD`: descriptors of one message.
pub const MAX_DESCRIPTORS: usize = 253;

pub(super) const SOL_SOCKET: i32 = 1;
pub(super) const SCM_RIGHTS: i32 = 1;
pub(super) const SCM_CREDENTIALS: i32 = 2;

/// An item of control data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// `SCM_RIGHTS`: descriptors of the caller.
    Rights(Vec<i32>),
    /// `SCM_CREDENTIALS`: who the caller says it is.
    Credentials {
        /// The process.
        pid: i32,
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Anything else.
    Other {
        /// `cmsg_level`.
        level: i32,
        /// `cmsg_type`.
        kind: i32,
        /// What follows.
        data: Vec<u8>,
    },
}

/// `sizeof(struct cmsghdr)`.
pub(super) const fn header(layout: Layout) -> usize {
    match layout {
        Layout::Bits64 => 16,
        Layout::Bits32 => 12,
    }
}

/// Which bytes to copy; `None`: there are none.
///
/// # Errors
///
/// `ENOBUFS` for more than [`LONGEST`].
pub fn plan(layout: Layout, address: Pointer, length: u64) -> Result<Option<Span>, Errno> {
    match usize::try_from(length) {
        Ok(0) => Ok(None),
        Ok(length @ 1..=LONGEST) => Span::new(layout, address, length).map(Some),
        _ => Err(Errno::ENOBUFS),
    }
}

/// The items of copied control data.
///
/// # Errors
///
/// `EINVAL` for what is malformed: a length that is shorter than its header or longer than the
/// rest, too many descriptors, credentials of another size.
pub fn parse(layout: Layout, bytes: &[u8]) -> Result<Vec<Item>, Errno> {
    if bytes.len() > LONGEST {
        return Err(Errno::ENOBUFS);
    }
    let mut items = Vec::new();
    let mut descriptors = 0_usize;
    let mut rest = bytes;
    while let Some((item, next)) = first(layout, rest)? {
        if let Item::Rights(numbers) = &item {
            descriptors = descriptors.saturating_add(numbers.len());
        }
        items.push(item);
        rest = next;
    }
    let nothing = items.is_empty() && !bytes.is_empty();
    match layout {
        _ if descriptors > MAX_DESCRIPTORS => Err(Errno::EINVAL),
        // KERNEL(6.1): cmsghdr_from_user_compat_to_kern wants something.
        Layout::Bits32 if nothing => Err(Errno::EINVAL),
        _ => Ok(items),
    }
}

/// The first item and what follows it. `CMSG_FIRSTHDR`, `CMSG_OK`, `CMSG_NXTHDR` of the kernel.
fn first(layout: Layout, rest: &[u8]) -> Result<Option<(Item, &[u8])>, Errno> {
    if rest.is_empty() {
        return Ok(None);
    }
    if rest.len() < header(layout) {
        // What is too short for a header ends the data; for 32-bit callers it is a mistake.
        return if layout == Layout::Bits64 { Ok(None) } else { Err(Errno::EINVAL) };
    }
    let mut fields = Fields::new(rest);
    let length = usize::try_from(fields.unsigned(layout)?).map_err(|_| Errno::EINVAL)?;
    let level = fields.i32()?;
    let kind = fields.i32()?;
    let data = rest.get(header(layout)..length).ok_or(Errno::EINVAL)?;
    let next = length.checked_next_multiple_of(layout.word()).ok_or(Errno::EINVAL)?;
    let next = rest.get(next..).unwrap_or_default();
    Ok(Some((item(level, kind, data)?, next)))
}

fn item(level: i32, kind: i32, data: &[u8]) -> Result<Item, Errno> {
    match (level, kind) {
        (SOL_SOCKET, SCM_RIGHTS) => {
            // What is no whole number is ignored.
            let numbers = data.chunks_exact(4).map(|number| Fields::new(number).i32());
            numbers.collect::<Result<_, _>>().map(Item::Rights)
        }
        (SOL_SOCKET, SCM_CREDENTIALS) if data.len() == 12 => {
            let mut fields = Fields::new(data);
            Ok(Item::Credentials { pid: fields.i32()?, uid: fields.u32()?, gid: fields.u32()? })
        }
        (SOL_SOCKET, SCM_CREDENTIALS) => Err(Errno::EINVAL),
        _ => Ok(Item::Other { level, kind, data: data.to_vec() }),
    }
}

#[cfg(test)]
mod tests;
