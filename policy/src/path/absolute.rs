// SPDX-License-Identifier: Apache-2.0
//! A resolved path as decisions see it: absolute, normal, bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::slash::first_len;

/// The longest path that is accepted, in bytes: Linux' `PATH_MAX` (limits.h), without its NUL.
pub const MAX_PATH: usize = 4095;

/// An absolute path without empty, `.` or `..` components, without NUL, without a final slash
/// (save `/` itself). INVARIANT: established by [`AbsPath::new`]; the other constructors make `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbsPath(Box<[u8]>);

/// Why some bytes are not an [`AbsPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("a path must be absolute (begin with `/`)")]
    NotAbsolute,
    /// It has an empty component or ends in a slash.
    #[error("a path must not have an empty component")]
    Empty,
    /// It has a component `.` or `..`.
    #[error("a path must not have a component `.` or `..`")]
    Dots,
    /// It contains a NUL byte.
    #[error("a path must not contain a NUL byte")]
    Nul,
    /// It is longer than 4095 bytes (`PATH_MAX`).
    #[error("a path must not be longer than 4095 bytes")]
    TooLong,
}

impl AbsPath {
    /// Checks `bytes`; nothing is normalised away.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        let Some((b'/', mut rest)) = bytes.split_first() else {
            return Err(PathError::NotAbsolute);
        };
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul);
        }
        while !rest.is_empty() {
            let (component, behind) = rest.split_at(first_len(rest));
            match (component, behind) {
                (b"", _) => return Err(PathError::Empty),
                (b"." | b"..", _) => return Err(PathError::Dots),
                (_, b"/") => return Err(PathError::Empty),
                (_, behind) => rest = behind.get(1..).unwrap_or_default(),
            }
        }
        Ok(Self(bytes.into()))
    }

    /// `/`.
    #[must_use]
    pub fn root() -> Self {
        Self(b"/".as_slice().into())
    }

    /// The path's bytes, from the first slash on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, in order; none for `/`.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        components(&self.0)
    }
}

/// The components of a normal absolute path; none for `/` and for the empty prefix.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let rest = path.strip_prefix(b"/").unwrap_or(path);
    rest.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
}

impl fmt::Display for AbsPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printed(&self.0).fmt(out)
    }
}

/// Bytes for people: UTF-8 as it is, a backslash doubled, what is not text as `\xHH`.
pub(crate) struct Printed<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => out.write_str("\\\\")?,
                    _ if character.is_control() => {
                        let mut utf8 = [0; 4];
                        for byte in character.encode_utf8(&mut utf8).bytes() {
                            write!(out, "\\x{byte:02x}")?;
                        }
                    }
                    _ => write!(out, "{character}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(out, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// The bytes that [`Printed`] prints so; `None` for a backslash that nothing prints so.
pub(crate) fn unprinted(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let taken = match rest {
            [b'\\', ..] => {
                bytes.push(b'\\');
                1
            }
            [b'x', high, low, ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?);
                3
            }
            _ => return None,
        };
        rest = &rest[taken..];
    }
    Some(bytes)
}

impl Serialize for AbsPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        super::pattern::escape(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AbsPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pattern = super::Pattern::deserialize(deserializer)?;
        let literal = pattern.literal().ok_or_else(|| serde::de::Error::custom("not one path"))?;
        Self::new(literal).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], expected: Result<(), PathError>) {
        assert_eq!(AbsPath::new(text).map(|_| ()), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn only_normal_absolute_paths_are_paths() {
        check(b"/", Ok(()));
        check(b"/a/b", Ok(()));
        check(b"/\xff/...", Ok(()));
        check(b"", Err(PathError::NotAbsolute));
        check(b"a", Err(PathError::NotAbsolute));
        check(b"//", Err(PathError::Empty));
        check(b"/a/", Err(PathError::Empty));
        check(b"/a//b", Err(PathError::Empty));
        check(b"/a/./b", Err(PathError::Dots));
        check(b"/a/./", Err(PathError::Dots));
        check(b"/a/.b/..c/....", Ok(()));
        check(b"/..", Err(PathError::Dots));
        check(b"/a\0b", Err(PathError::Nul));
        check(&[b'/'; 5000], Err(PathError::TooLong));
    }

    #[test]
    fn printing_loses_nothing() {
        for bytes in [&b"/a b"[..], "/é".as_bytes(), b"/\xff\n\\x41", b"/\xc2\x85"] {
            let path = AbsPath::new(bytes).unwrap();
            assert_eq!(unprinted(&path.to_string()).as_deref(), Some(bytes));
        }
        assert_eq!(unprinted(r"/a\q"), None);
    }

    #[test]
    fn the_root_has_no_components() {
        assert_eq!(AbsPath::new(b"/").unwrap().components().count(), 0);
        let path = AbsPath::new(b"/a/b").unwrap();
        assert_eq!(path.components().collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
