// SPDX-License-Identifier: Apache-2.0
//! Control data as the supervisor sends it: in the layout of its own architecture.

use super::{Item, SCM_CREDENTIALS, SCM_RIGHTS, SOL_SOCKET};

/// Alignment of items in the native layout.
const WORD: usize = size_of::<usize>();
/// `sizeof(struct cmsghdr)` in it.
const HEADER: usize = WORD + 8;

/// The bytes of these items, in the native layout.
///
/// Descriptors must be numbers of the sender by now. The last item is padded too, as
/// `CMSG_SPACE` has it.
#[must_use]
pub fn encode(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        match item {
            Item::Rights(numbers) => {
                let data: Vec<u8> = numbers.iter().flat_map(|fd| fd.to_ne_bytes()).collect();
                push(&mut bytes, SOL_SOCKET, SCM_RIGHTS, &data);
            }
            Item::Credentials { pid, uid, gid } => {
                let data = [pid.to_ne_bytes(), uid.to_ne_bytes(), gid.to_ne_bytes()].concat();
                push(&mut bytes, SOL_SOCKET, SCM_CREDENTIALS, &data);
            }
            Item::Other { level, kind, data } => push(&mut bytes, *level, *kind, data),
        }
    }
    bytes
}

fn push(bytes: &mut Vec<u8>, level: i32, kind: i32, data: &[u8]) {
    let length = HEADER.saturating_add(data.len());
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&level.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(WORD), 0);
}
