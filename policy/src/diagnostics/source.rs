// SPDX-License-Identifier: Apache-2.0
//! Texts and places in them.
//!
//! A [`Span`] is two byte offsets into one of the texts of a [`Sources`]; lines
//! and columns are computed only when something is shown. Offsets are 32 bits:
//! whoever adds a text bounds its size first ([`Sources::add`] cuts what is
//! longer, so that a span can never point outside).

use std::ops::Range;

/// Which text of a [`Sources`] is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

impl SourceId {
    /// The text's number, in the order in which the texts were added.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of bytes in one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The range `range` of `source`.
    #[must_use]
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        Self { source, start: saturate(range.start), end: saturate(range.end) }
    }

    /// The span's bytes as a range.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A line and a column, both counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The texts that diagnostics and origins point into.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: Vec<Source>,
}

#[derive(Debug, Clone)]
struct Source {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<u32>,
}

impl Sources {
    /// An empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text under the name that people will see.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let mut text: String = text.into();
        if text.len() > u32::MAX as usize / 2 {
            let end = boundary(&text, u32::MAX as usize / 2);
            text.truncate(end);
        }
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| saturate(at + 1))).collect();
        self.texts.push(Source { name: name.into(), text, lines });
        SourceId(saturate(self.texts.len() - 1))
    }

    /// The name of a text.
    #[must_use]
    pub fn name(&self, id: SourceId) -> &str {
        self.texts.get(id.index()).map_or("", |source| &source.name)
    }

    /// A whole text.
    #[must_use]
    pub fn text(&self, id: SourceId) -> &str {
        self.texts.get(id.index()).map_or("", |source| &source.text)
    }

    /// The text at `span`; empty if the span is of another collection.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.source).get(span.range()).unwrap_or("")
    }

    /// The span without parts of characters: of those that it begins or ends in, it has all.
    #[must_use]
    pub fn whole(&self, span: Span) -> Span {
        let text = self.text(span.source);
        let Range { start, end } = span.range();
        let end = (end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        Span::new(span.source, boundary(text, start)..end)
    }

    /// The line that the byte at `offset` is in, counted from 1.
    #[must_use]
    pub fn line(&self, id: SourceId, offset: u32) -> u32 {
        let Some(source) = self.texts.get(id.index()) else { return 1 };
        saturate(source.lines.partition_point(|start| *start <= offset))
    }

    /// The line and column of the byte at `offset`.
    #[must_use]
    pub fn place(&self, id: SourceId, offset: u32) -> Place {
        let line = self.line(id, offset);
        let start = self.line_range(id, line).start;
        let text = self.text(id);
        let before = text.get(start..boundary(text, offset as usize)).unwrap_or("");
        Place { line, column: saturate(before.chars().count() + 1) }
    }

    /// The bytes of line `line` (counted from 1) without its line break.
    #[must_use]
    pub fn line_range(&self, id: SourceId, line: u32) -> Range<usize> {
        let Some(source) = self.texts.get(id.index()) else { return 0..0 };
        let index = (line as usize).saturating_sub(1);
        let start = source.lines.get(index).map_or(source.text.len(), |at| *at as usize);
        let next = source.lines.get(index + 1).map_or(source.text.len(), |at| *at as usize);
        let line = source.text.get(start..next).unwrap_or("");
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }
}

/// The last boundary of a character that is not after `at`.
pub(super) fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn saturate(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_count_characters() {
        let mut sources = Sources::new();
        let id = sources.add("a", "é = 1\r\nb = 2\n");
        assert_eq!(sources.place(id, 0), Place { line: 1, column: 1 });
        assert_eq!(sources.place(id, 3), Place { line: 1, column: 3 });
        assert_eq!(sources.place(id, 8), Place { line: 2, column: 1 });
        assert_eq!(sources.line_range(id, 1), 0..6);
        assert_eq!(sources.line_range(id, 3), 14..14);
    }

    #[test]
    fn a_span_inside_characters_is_widened_to_all_of_them() {
        let mut sources = Sources::new();
        let id = sources.add("a", "aéb\u{1f600}");
        let whole = |range| sources.slice(sources.whole(Span::new(id, range)));
        assert_eq!([whole(0..1), whole(0..2), whole(2..4)], ["a", "aé", "éb"]);
        assert_eq!([whole(2..2), whole(6..7), whole(1..900)], ["é", "\u{1f600}", "éb\u{1f600}"]);
        assert_eq!(whole(900..901), "");
        assert_eq!(sources.place(id, 2), Place { line: 1, column: 2 });
    }

    #[test]
    fn a_span_outside_its_text_is_empty_and_not_a_panic() {
        let mut sources = Sources::new();
        let id = sources.add("a", "é");
        assert_eq!(sources.slice(Span::new(id, 0..1)), "");
        assert_eq!(sources.slice(Span::new(id, 5..9)), "");
        assert_eq!(sources.place(id, 900).line, 1);
    }
}
