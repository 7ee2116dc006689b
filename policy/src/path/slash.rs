// SPDX-License-Identifier: Apache-2.0
//! Where a component ends, found a word at a time.

/// How many bytes are looked at together.
pub(super) const WORD: usize = size_of::<u64>();
const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES << 7;
const SLASHES: u64 = ONES * b'/' as u64;

/// How many bytes of a word there are before its first slash; the first byte is the lowest.
#[inline]
pub(super) const fn before_slash(word: u64) -> usize {
    let other = word ^ SLASHES;
    // a borrow reaches only bytes behind a slash: the first that is found is one
    let slashes = other.wrapping_sub(ONES) & !other & HIGHS;
    slashes.trailing_zeros() as usize / 8
}

/// The length of the first component of the rest of a path.
#[inline]
pub(super) fn first_len(rest: &[u8]) -> usize {
    let (words, left) = rest.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        let bytes = before_slash(u64::from_le_bytes(*word));
        if bytes < WORD {
            return index * WORD + bytes;
        }
    }
    let last = left.iter().position(|&byte| byte == b'/').unwrap_or(left.len());
    rest.len() - left.len() + last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_slash_is_found_wherever_it_is() {
        for before in [b'a', b'.', b'0', 0x2e, 0xaf, 0xff, 1] {
            for len in 0..40 {
                let name = vec![before; len];
                assert_eq!(first_len(&name), len);
                assert_eq!(first_len(&[&name[..], b"/0/\xff"].concat()), len);
            }
        }
    }
}
