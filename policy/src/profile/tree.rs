// SPDX-License-Identifier: Apache-2.0
//! From bytes to a TOML tree with places.
//!
//! Bounded whatever the bytes are: the size is checked first, nesting ends at 80
//! levels (the parser's guard; for dotted keys, which it does not count, ours),
//! and of a large text that is not TOML only the first mistake is looked for.

use toml::Spanned;
use toml::de::DeTable;

use crate::diagnostics::{Code, Diagnostic, Report, SourceId, Sources, Span};

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 << 20;

/// Up to this size all mistakes of the grammar are reported, beyond it the first.
const RECOVER: usize = 1 << 20;

/// How many components a dotted key may have.
const MAX_DOTS: usize = 16;

/// The text that the bytes are, without a byte order mark.
pub(crate) fn decode(bytes: Vec<u8>, name: &str) -> Result<String, Box<Diagnostic>> {
    if bytes.len() > MAX_FILE {
        return Err(Box::new(too_large(name)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let bad = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(bad).filter(|byte| **byte == b'\n').count() + 1;
        let byte = error.as_bytes().get(bad).copied().unwrap_or_default();
        let message = format!("{name}:{line}: byte 0x{byte:02x} at offset {bad} is not UTF-8");
        let help = "a profile is UTF-8 text; write such a byte of a path as '\\xNN'";
        Box::new(Diagnostic::new(Code::NotText, message).help(help))
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The diagnostic for a file that is too large.
pub(crate) fn too_large(name: &str) -> Diagnostic {
    let message = format!("{name} is larger than {} MiB", MAX_FILE >> 20);
    Diagnostic::new(Code::TooLarge, message).help("divide it, and join the parts with `extends`")
}

/// Parses the text of `source`. What cannot be read of it is left out of the tree
/// and reported.
pub(crate) fn parse<'t>(
    text: &'t str,
    source: SourceId,
    sources: &Sources,
    report: &mut Report,
) -> Option<Spanned<DeTable<'t>>> {
    if let Some(at) = deep_key(text) {
        let diagnostic = Diagnostic::new(Code::Syntax, "a key has too many components")
            .at(Span::new(source, at..at + 1), format!("more than {MAX_DOTS}"));
        report.push(diagnostic);
        return None;
    }
    match DeTable::parse(text) {
        Ok(tree) => Some(tree),
        Err(error) if text.len() > RECOVER => {
            report.push(syntax(&error, text, source));
            None
        }
        Err(_) => {
            let (tree, errors) = DeTable::parse_recoverable(text);
            push_first_of_each_line(&errors, text, source, sources, report);
            Some(tree)
        }
    }
}

/// One mistake often upsets the parser more than once: once a line is enough.
fn push_first_of_each_line(
    errors: &[toml::de::Error],
    text: &str,
    source: SourceId,
    sources: &Sources,
    report: &mut Report,
) {
    let mut before = None;
    for error in errors {
        let start = error.span().map_or(text.len(), |range| range.start);
        let line = sources.line(source, u32::try_from(start).unwrap_or(u32::MAX));
        if before.replace(line) != Some(line) {
            report.push(syntax(error, text, source));
        }
        if report.is_full() {
            return;
        }
    }
}

fn syntax(error: &toml::de::Error, text: &str, source: SourceId) -> Diagnostic {
    let range = error.span().unwrap_or(text.len()..text.len());
    let message = error.message();
    if message.starts_with("duplicate key") {
        let key = text.get(range.clone()).unwrap_or("").trim();
        return Diagnostic::new(Code::DuplicateKey, format!("the key `{key}` is given twice"))
            .at(Span::new(source, range), "already given above");
    }
    let mut lines = message.lines();
    let title = lines.next().unwrap_or("not TOML").to_owned();
    let label = lines.collect::<Vec<_>>().join("; ");
    Diagnostic::new(Code::Syntax, title).at(Span::new(source, range), label)
}

/// Where a key with too many components begins, if one does. Such keys would make
/// a tree as deep as the text is long. Strings and comments are skipped; what is
/// found outside of them and looks like one is one or is not TOML.
fn deep_key(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut start, mut dots) = (0, 0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'.' => {
                dots += 1;
                if dots > MAX_DOTS {
                    return Some(start);
                }
            }
            b'"' | b'\'' => at = skip_string(bytes, at),
            b'#' => at = find(bytes, at, b"\n").unwrap_or(bytes.len()).saturating_sub(1),
            b'\n' | b'=' | b',' | b'[' | b']' | b'{' | b'}' => (start, dots) = (at + 1, 0),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The last byte of the string that begins at `at`.
fn skip_string(bytes: &[u8], at: usize) -> usize {
    let quote = bytes.get(at).copied().unwrap_or(b'"');
    let triple = [quote; 3];
    let (end, mut at): (&[u8], usize) = if bytes.get(at..at + 3) == Some(&triple) {
        (&triple, at + 3)
    } else {
        (&triple[..1], at + 1)
    };
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && quote == b'"' {
            at += 2;
            continue;
        }
        if bytes.get(at..at + end.len()) == Some(end) || (end.len() == 1 && byte == b'\n') {
            return at + end.len() - 1;
        }
        at += 1;
    }
    bytes.len()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| at + from)
}
