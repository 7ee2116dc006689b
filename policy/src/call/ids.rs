// SPDX-License-Identifier: Apache-2.0
//! Ids in a caller's own user namespace: `/proc/TID/uid_map` and `gid_map` of user_namespaces(7), as
//! somebody in another one reads them.

use crate::policy::Errno;

/// What an id is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Of a user.
    Users,
    /// Of a group.
    Groups,
}

/// What an id is where the map was read; `None`: the caller's namespace has no such id, or it is
/// nobody's there.
#[must_use]
pub fn outside(map: &[u8], id: u32) -> Option<u32> {
    map.split(|byte| *byte == b'\n').find_map(|line| {
        let mut numbers = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let mut number = || numbers.next()?.parse::<u32>().ok();
        let (first, outside, count) = (number()?, number()?, number()?);
        let offset = id.checked_sub(first).filter(|offset| *offset < count)?;
        outside.checked_add(offset).filter(|id| *id != u32::MAX)
    })
}

/// Whether the value of an attribute of this name has ids in it.
#[must_use]
pub fn are_in(attribute: &[u8]) -> bool {
    matches!(attribute, b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// Replaces the ids in such a value: the access control list of linux/posix_acl_xattr.h, a version and
/// entries of a tag, permissions and an id. What is none is left as it is, for the kernel to refuse.
///
/// # Errors
/// That of replacing one.
pub fn replace(
    list: &mut [u8],
    mut with: impl FnMut(Ids, u32) -> Result<u32, Errno>,
) -> Result<(), Errno> {
    const VERSION: [u8; 4] = 2u32.to_le_bytes();
    const USER: [u8; 2] = 0x02u16.to_le_bytes();
    const GROUP: [u8; 2] = 0x08u16.to_le_bytes();
    let Some((version, entries)) = list.split_first_chunk_mut() else { return Ok(()) };
    if *version != VERSION || !entries.len().is_multiple_of(8) {
        return Ok(());
    }
    for entry in entries.chunks_exact_mut(8) {
        let Some((head, id)) = entry.split_first_chunk_mut::<4>() else { continue };
        let ids = match [head[0], head[1]] {
            USER => Ids::Users,
            GROUP => Ids::Groups,
            _ => continue,
        };
        let id = <&mut [u8; 4]>::try_from(id).map_err(|_| Errno::EINVAL)?;
        *id = with(ids, u32::from_le_bytes(*id))?.to_le_bytes();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_a_list_are_replaced_and_nothing_else() {
        let list = |version: u32, entries: &[(u16, u32)]| {
            let entry = |(tag, id): &(u16, u32)| {
                [&tag.to_le_bytes()[..], &6u16.to_le_bytes(), &id.to_le_bytes()].concat()
            };
            [version.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
        };
        let more = |ids, id| match ids {
            Ids::Users if id == 9 => Err(Errno::EINVAL),
            Ids::Users => Ok(id + 1000),
            Ids::Groups => Ok(id + 2000),
        };
        let replaced = |mut bytes: Vec<u8>| replace(&mut bytes, more).map(|()| bytes);
        let entries = [(1, 5), (2, 5), (4, 5), (8, 5), (16, 5), (32, 5)];
        let expected = [(1, 5), (2, 1005), (4, 5), (8, 2005), (16, 5), (32, 5)];
        assert_eq!(replaced(list(2, &entries)), Ok(list(2, &expected)));
        assert_eq!(replaced(list(2, &[(2, 9)])), Err(Errno::EINVAL));
        let none = [list(1, &entries), list(2, &entries)[..20 - 1].to_vec(), vec![2, 0, 0], vec![]];
        for bytes in none {
            assert_eq!(replaced(bytes.clone()), Ok(bytes));
        }
    }

    #[test]
    fn an_id_is_looked_for_in_every_range() {
        let map = b"         0       1000          1\n         1     100000      65536\n     70000 4294967295         10\n";
        for (id, expected) in [
            (0, Some(1000)),
            (1, Some(100_000)),
            (65536, Some(165_535)),
            (65537, None),
            (70000, None),
            (70001, None),
            (u32::MAX, None),
        ] {
            assert_eq!(outside(map, id), expected, "{id}");
        }
        assert_eq!(outside(b"", 0), None, "it has not been written yet");
        assert_eq!(outside(b"0 0 4294967295\n", 1000), Some(1000));
    }
}
