// SPDX-License-Identifier: Apache-2.0
//! A parsed pattern.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::PatternError;
use super::parse;

/// The longest text of a pattern, in bytes: twice `PATH_MAX`, since braces name several paths.
pub const MAX_TEXT: usize = 8192;

/// How deep `{…}` may be nested.
pub const MAX_DEPTH: usize = 16;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Adds a byte.
    pub fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Takes a byte out.
    pub fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] &= !(1 << (byte & 63));
    }

    /// Whether it has the byte.
    #[must_use]
    pub fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    /// The bytes that are in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Its bytes, in order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |byte| self.contains(*byte))
    }

    /// How many it has.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Its parts that no class cuts through; together they are all of it.
    pub(super) fn cut_by(self, mut classes: Vec<Self>) -> Vec<Self> {
        classes.sort_unstable();
        classes.dedup();
        let parts = classes.into_iter().fold(vec![self], |parts, class| {
            let cut =
                |part: Self| [part.intersection(class), part.intersection(class.complement())];
            parts.into_iter().flat_map(cut).filter(|part| !part.is_empty()).collect()
        });
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// Every byte that is not in it.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }
}

/// One step of a pattern's tail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Token {
    /// This byte (`/` included).
    Byte(u8),
    /// One byte of these; never `/` in a path pattern.
    Class(ByteSet),
    /// `*`: any bytes but `/`, perhaps none.
    Star,
    /// `**` that is not a component of its own: any bytes, `/` included, perhaps none.
    DeepStar,
    /// `**/`: any number of whole components, perhaps none.
    Components,
    /// `{a,b}`: one of these.
    Alternatives(Box<[Box<[Token]>]>),
}

/// A path pattern: which paths a rule covers.
///
/// It covers the paths that it matches and everything beneath them. Two patterns are equal if
/// their texts are.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    prefix: Box<[u8]>,
    tail: Box<[Token]>,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The first error, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (prefix, tail) = parse::path(text)?;
        Ok(Self { text: text.into(), prefix: prefix.into(), tail: tail.into() })
    }

    /// The pattern that names exactly `path` and what is beneath it.
    #[must_use]
    pub fn of_path(path: &super::AbsPath) -> Self {
        let prefix = path.as_bytes().into();
        Self { text: escape(path.as_bytes()).into(), prefix, tail: Box::default() }
    }

    /// The pattern that covers every path.
    #[must_use]
    pub fn root() -> Self {
        Self { text: "/".into(), prefix: b"/".as_slice().into(), tail: Box::default() }
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The path, if the pattern names one: no wildcard, class or brace.
    #[must_use]
    pub fn literal(&self) -> Option<&[u8]> {
        self.tail.is_empty().then_some(&*self.prefix)
    }

    /// The deepest directory that everything it covers is beneath: for a literal the path itself,
    /// for `/srv/data/**/*.key` the path `/srv/data` (section 5's "mixed region").
    #[must_use]
    pub fn literal_prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The paths that it names, if they are few and known: a literal is one; braces without a
    /// wildcard are as many as they have alternatives, up to `most`.
    #[must_use]
    pub(crate) fn paths(&self, most: usize) -> Option<Vec<super::AbsPath>> {
        if self.tail.is_empty() {
            return Some(super::AbsPath::new(&self.prefix).into_iter().collect());
        }
        let mut start = self.prefix.to_vec();
        if start != b"/" {
            start.push(b'/');
        }
        let texts = spell(vec![start], &self.tail, most)?;
        // an alternative that makes an empty component or a dot matches nothing that can exist
        Some(texts.iter().filter_map(|text| super::AbsPath::new(text).ok()).collect())
    }

    /// What follows the literal prefix and a slash; empty for a literal.
    #[must_use]
    pub fn tail(&self) -> &[Token] {
        &self.tail
    }
}

/// Every text that the tokens make behind each of these.
fn spell(begun: Vec<Vec<u8>>, tokens: &[Token], most: usize) -> Option<Vec<Vec<u8>>> {
    tokens.iter().try_fold(begun, |mut begun, token| match token {
        Token::Byte(byte) => {
            begun.iter_mut().for_each(|text| text.push(*byte));
            Some(begun)
        }
        Token::Alternatives(alternatives) => {
            let mut all = Vec::new();
            for tokens in alternatives {
                all.extend(spell(begun.clone(), tokens, most)?);
                if all.len() > most {
                    return None;
                }
            }
            Some(all)
        }
        Token::Class(_) | Token::Star | Token::DeepStar | Token::Components => None,
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pattern({})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A pattern of an abstract UNIX socket name, which is bytes and not a path: `*` and `?` match
/// any byte, `/` and NUL included, and nothing is "beneath" a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamePattern {
    text: Box<str>,
    tokens: Box<[Token]>,
}

impl NamePattern {
    /// Parses the pattern; `text` is what follows the `@`.
    ///
    /// # Errors
    /// The first error, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Ok(Self { text: text.into(), tokens: parse::name(text)?.into() })
    }

    /// The pattern that matches every name.
    #[must_use]
    pub fn every() -> Self {
        Self { text: "*".into(), tokens: [Token::DeepStar].into() }
    }

    /// Whether it is written as one that matches every name.
    #[must_use]
    pub fn is_every(&self) -> bool {
        !self.tokens.is_empty() && self.tokens.iter().all(|token| *token == Token::DeepStar)
    }

    /// The text it was parsed from, without the `@`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it matches.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "NamePattern({})", self.text)
    }
}

/// The text of the pattern that matches exactly `bytes`: metacharacters get a backslash, bytes
/// that are not UTF-8 or not printable become `\xHH`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '*' | '?' | '[' | ']' | '{' | '}' | ',' | '\\' => {
                    text.push('\\');
                    text.push(character);
                }
                _ if character.is_ascii_control() => escape_byte(&mut text, character as u8),
                _ => text.push(character),
            }
        }
        for &byte in chunk.invalid() {
            escape_byte(&mut text, byte);
        }
    }
    text
}

fn escape_byte(text: &mut String, byte: u8) {
    text.push_str("\\x");
    for nibble in [byte >> 4, byte & 15] {
        text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
    }
}
