// SPDX-License-Identifier: Apache-2.0
//! Strings of a profile: their places and their variables.
//!
//! What is wrong with a string is known as an offset into its value, but a caret
//! belongs into the text, where escapes and variables are longer or shorter than
//! what they stand for. The way back is computed only when there is something to
//! point at.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Report, Sources, Span};

/// A string as the profile has it, variables and all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The value.
    pub(super) value: String,
    /// The whole string in the text, quotes included.
    pub(super) span: Span,
}

/// A part of a string's value.
enum Part<'a> {
    /// These bytes, at this offset.
    Plain(usize, &'a str),
    /// `$${`, which stands for `${`.
    Escape(usize),
    /// `${name}` at this offset.
    Variable(usize, &'a str),
    /// `${` at this offset that is not a use of a variable.
    Broken(usize),
}

fn parts(value: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(found) = value.get(at..).and_then(|rest| rest.find("${")) {
        let dollar = at + found;
        if found > 0 && value.as_bytes().get(dollar - 1) == Some(&b'$') {
            parts.push(Part::Plain(at, value.get(at..dollar - 1).unwrap_or("")));
            parts.push(Part::Escape(dollar - 1));
            at = dollar + 2;
            continue;
        }
        parts.push(Part::Plain(at, value.get(at..dollar).unwrap_or("")));
        let rest = value.get(dollar + 2..).unwrap_or("");
        match rest.find('}').and_then(|end| rest.get(..end)).filter(|name| is_name(name)) {
            Some(name) => {
                parts.push(Part::Variable(dollar, name));
                at = dollar + 3 + name.len();
            }
            None => {
                parts.push(Part::Broken(dollar));
                at = dollar + 2;
            }
        }
    }
    parts.push(Part::Plain(at, value.get(at..).unwrap_or("")));
    parts
}

/// Whether a variable can have this name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The text of a profile's string that stands for `value`.
pub(super) fn escape_variables(value: &str) -> String {
    value.replace("${", "$${")
}

/// The values of variables, and which were asked for.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Values by name.
    pub(super) values: BTreeMap<String, String>,
    /// Names that some string uses.
    pub(super) used: std::collections::BTreeSet<String>,
}

impl Text {
    /// The value with its variables replaced; none if one has no value, which is
    /// reported.
    pub(super) fn expand(
        &self,
        variables: &mut Variables,
        sources: &Sources,
        report: &mut Report,
    ) -> Option<String> {
        if !self.value.contains("${") {
            return Some(self.value.clone());
        }
        let mut out = String::with_capacity(self.value.len());
        let mut whole = true;
        for part in parts(&self.value) {
            match part {
                Part::Plain(_, text) => out.push_str(text),
                Part::Escape(_) => out.push_str("${"),
                Part::Broken(at) => {
                    whole = false;
                    let span = self.raw(at, 2, sources);
                    report.push(
                        Diagnostic::new(Code::BadVariable, "a malformed use of a variable")
                            .at(span, "must be `${name}`")
                            .help("write `$${` for the characters `${`"),
                    );
                }
                Part::Variable(at, name) => {
                    if !variables.used.contains(name) {
                        variables.used.insert(name.to_owned());
                    }
                    match variables.values.get(name) {
                        Some(value) => out.push_str(value),
                        None => {
                            whole = false;
                            report.push(self.unset(at, name, variables, sources, report.is_full()));
                        }
                    }
                }
            }
        }
        whole.then_some(out)
    }

    fn unset(
        &self,
        at: usize,
        name: &str,
        variables: &Variables,
        sources: &Sources,
        full: bool,
    ) -> Diagnostic {
        let message = format!("the variable `{name}` has no value");
        if full {
            return Diagnostic::new(Code::UnsetVariable, message);
        }
        let near = crate::diagnostics::nearest(name, variables.values.keys().map(String::as_str));
        Diagnostic::new(Code::UnsetVariable, message)
            .at(self.raw(at, name.len() + 3, sources), "no value")
            .help(format!("give it one with `--set {name}=VALUE`, or a default in `[vars]`"))
            .did_you_mean(self.raw(at + 2, name.len(), sources), near)
    }

    /// The place of `len` bytes of the *expanded* value.
    pub(super) fn place(
        &self,
        offset: usize,
        len: usize,
        variables: &Variables,
        sources: &Sources,
    ) -> Span {
        let mut done = 0;
        let (mut start, mut end) = (None, None);
        for part in parts(&self.value) {
            let (at, raw, width) = match part {
                Part::Plain(at, text) => (at, text.len(), text.len()),
                Part::Escape(at) => (at, 3, 2),
                Part::Broken(at) => (at, 2, 0),
                Part::Variable(at, name) => {
                    (at, name.len() + 3, variables.values.get(name).map_or(0, String::len))
                }
            };
            let exact = raw == width;
            if start.is_none() && offset < done + width {
                start = Some(if exact { at + offset - done } else { at });
            }
            if end.is_none() && offset + len.max(1) <= done + width {
                end = Some(if exact { at + offset + len.max(1) - done } else { at + raw });
            }
            done += width;
        }
        match (start, end) {
            (Some(start), Some(end)) => self.raw(start, end - start, sources),
            (Some(start), None) => self.raw(start, self.value.len().saturating_sub(start), sources),
            _ => self.raw(self.value.len(), 0, sources),
        }
    }

    /// The place of `len` bytes of the value as the profile has it.
    fn raw(&self, offset: usize, len: usize, sources: &Sources) -> Span {
        let literal = sources.slice(self.span);
        let Some(starts) = value_offsets(literal, &self.value) else { return self.span };
        let at = |index: usize| starts.get(index).or(starts.last()).copied().unwrap_or(0);
        let start = self.span.start + at(offset);
        let end = (self.span.start + at(offset + len)).max(start + 1);
        sources.whole(Span { source: self.span.source, start, end: end.min(self.span.end) })
    }
}

/// For each byte of `value`, and for its end, where in the literal it begins; none
/// if the literal is not understood.
fn value_offsets(literal: &str, value: &str) -> Option<Vec<u32>> {
    let bytes = literal.as_bytes();
    let quote = *bytes.first().filter(|quote| **quote == b'"' || **quote == b'\'')?;
    let width = if bytes.len() >= 6 && bytes.get(..3) == Some(&[quote; 3]) { 3 } else { 1 };
    let mut at = width;
    if width == 3 {
        at += literal.get(at..)?.chars().take_while(|c| matches!(c, '\r' | '\n')).take(1).count();
    }
    let end = literal.len().checked_sub(width)?;
    let mut starts = Vec::with_capacity(value.len() + 1);
    while at < end {
        let rest = literal.get(at..end)?;
        let first = rest.chars().next()?;
        let (raw, decoded) = if quote == b'"' && first == '\\' {
            escape_widths(rest)?
        } else {
            (first.len_utf8(), first.len_utf8())
        };
        let plain = raw == decoded;
        for byte in 0..decoded {
            starts.push(u32::try_from(if plain { at + byte } else { at }).ok()?);
        }
        at += raw;
    }
    starts.push(u32::try_from(end).ok()?);
    (starts.len() == value.len() + 1).then_some(starts)
}

/// How long an escape is, and how long what it stands for.
fn escape_widths(rest: &str) -> Option<(usize, usize)> {
    let digits = match rest.as_bytes().get(1)? {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        b'\n' | b'\r' | b' ' | b'\t' => {
            let blank = rest.get(1..)?.len() - rest.get(1..)?.trim_start().len();
            return Some((1 + blank, 0));
        }
        _ => return Some((2, 1)),
    };
    let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
    Some((2 + digits, char::from_u32(code)?.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> (Sources, Text) {
        let mut sources = Sources::new();
        let id = sources.add("a", source);
        let value = toml::de::DeValue::parse(source).unwrap();
        let value = value.get_ref().as_str().unwrap().to_owned();
        (sources, Text { value, span: Span::new(id, 0..source.len()) })
    }

    fn check(source: &str, set: &[(&str, &str)], offset: usize, len: usize, expected: &str) {
        let (sources, text) = text(source);
        let mut variables = Variables::default();
        for (name, value) in set {
            variables.values.insert((*name).into(), (*value).into());
        }
        let span = text.place(offset, len, &variables, &sources);
        assert_eq!(sources.slice(span), expected, "{source}");
    }

    #[test]
    fn places_are_found_behind_escapes_and_variables() {
        check("\"/a/../b\"", &[], 3, 2, "..");
        check("'/a/../b'", &[], 3, 2, "..");
        check(r#""/\u00e9/../b""#, &[], 4, 2, "..");
        check(r#""/\t/../b""#, &[], 3, 2, "..");
        check(r#""/\\x/../b""#, &[], 4, 2, "..");
        check("\"${dir}/../b\"", &[("dir", "/long/name")], 11, 2, "..");
        check("\"/x${dir}/../b\"", &[("dir", "a*b")], 3, 1, "${dir}");
        check("\"\"\"\n/a/../b\"\"\"", &[], 3, 2, "..");
        check("\"/a$${b/../c\"", &[], 6, 2, "..");
        check("\"\"", &[], 0, 0, "\"");
        // what is wrong with a byte is shown of the whole character
        check("\"фrv\"", &[], 0, 1, "ф");
        check("\"/é/../b\"", &[], 2, 0, "é");
    }

    #[test]
    fn variables_are_replaced_once_and_a_doubled_dollar_is_none() {
        let mut variables = Variables::default();
        variables.values.insert("a".into(), "${b}".into());
        let (sources, text) = text("'${a}$${a}/$HOME'");
        let mut report = Report::new();
        let value = text.expand(&mut variables, &sources, &mut report).unwrap();
        assert_eq!(value, "${b}${a}/$HOME");
        assert_eq!(report.errors(), 0);
    }

    #[test]
    fn escaping_and_expanding_is_the_identity() {
        for value in ["", "$", "${", "$${a}", "$$${x}", "${a}", "a${b}$${c}}", "$$"] {
            let text =
                Text { value: escape_variables(value), span: Span::new(test_source(), 0..0) };
            let mut report = Report::new();
            let out = text.expand(&mut Variables::default(), &Sources::new(), &mut report);
            assert_eq!(out.as_deref(), Some(value));
        }
    }

    fn test_source() -> crate::diagnostics::SourceId {
        Sources::new().add("", "")
    }
}
