// SPDX-License-Identifier: Apache-2.0
//! Text that somebody hostile may have chosen, made fit for one line of a terminal.

use std::fmt::Write as _;

/// What stands where something was cut off.
const CUT: char = '…';

/// Bytes as text of one line: UTF-8 as it is; what is no text, controls anything or cannot be seen
/// as `\xHH`, byte by byte. What is longer than `most` bytes is cut, and ends in `…`.
#[must_use]
pub fn printable(bytes: &[u8], most: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(most));
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let before = text.len();
            push(&mut text, character);
            if text.len() > most {
                text.truncate(before);
                text.push(CUT);
                return text;
            }
        }
        for byte in chunk.invalid() {
            if text.len() + 4 > most {
                text.push(CUT);
                return text;
            }
            push_byte(&mut text, *byte);
        }
    }
    text
}

/// Whether a text is what [`printable`] makes of it, but for its length.
pub(super) fn is_printable(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

/// Whether something was cut off.
pub(super) fn is_cut(text: &str) -> bool {
    text.ends_with(CUT)
}

fn push(text: &mut String, character: char) {
    if !is_hidden(character) {
        text.push(character);
        return;
    }
    let mut utf8 = [0; 4];
    for byte in character.encode_utf8(&mut utf8).bytes() {
        push_byte(text, byte);
    }
}

fn push_byte(text: &mut String, byte: u8) {
    // a String takes everything
    write!(text, "\\x{byte:02x}").unwrap_or_default();
}

/// Controls of ASCII and of Unicode; what changes the direction or the order of what is read; what
/// has no width; what ends a line.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_change_a_terminal_is_escaped() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(printable(bytes, 99), expected);
        check(b"\x1b[31mred\x07", "\\x1b[31mred\\x07");
        check(b"a\nb\x7f", "a\\x0ab\\x7f");
        check("\u{9b}2J".as_bytes(), "\\xc2\\x9b2J");
        check("a\u{202e}b".as_bytes(), "a\\xe2\\x80\\xaeb");
        check(b"\xff\xc3", "\\xff\\xc3");
        check("grün \"'".as_bytes(), "grün \"'");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(printable(b"abcdef", 3), "abc…");
        assert_eq!(printable("aéé".as_bytes(), 4), "aé…");
        assert_eq!(printable(b"ab\x01", 5), "ab…");
        assert_eq!(printable(b"ab\xff", 5), "ab…");
        assert_eq!(printable(b"ab\xff", 6), "ab\\xff");
    }
}
