// SPDX-License-Identifier: Apache-2.0
//! Checks a parsed text against the description of the language.
//!
//! Finds unknown and missing keys, wrong types, words that are not among the
//! possible ones and numbers out of range; all of them, with their places. Says
//! nothing about what strings mean. The recursion is bounded by the description,
//! not by the text.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::shape::{Presence, Shape, Table};
use crate::diagnostics::{Code, Diagnostic, Report, SourceId, Span, nearest};

/// Checks the table at `span` against `table`.
pub(crate) fn check_table(
    found: &DeTable<'_>,
    span: Span,
    table: &'static Table,
    report: &mut Report,
) {
    for (key, value) in found {
        match table.field(key.get_ref()) {
            Some(field) => check_value(value, span.source, field.shape, report),
            None => unknown_key(key, span.source, table, report),
        }
    }
    for field in table.fields {
        if field.presence == Presence::Required && !found.contains_key(field.key) {
            let message = format!("{} has no `{}`", table.name, field.key);
            report.push(
                Diagnostic::new(Code::MissingKey, message)
                    .at(span, format!("`{}` must be given: {}", field.key, field.about)),
            );
        }
    }
    check_exactly_one(found, span, table, report);
}

fn check_value(found: &Spanned<DeValue<'_>>, source: SourceId, shape: Shape, report: &mut Report) {
    let span = Span::new(source, found.span());
    let Some(shape) = fitting(found.get_ref(), &shape) else {
        return wrong_type(found.get_ref(), span, shape, report);
    };
    match (shape, found.get_ref()) {
        (Shape::Choice(words), DeValue::String(word)) => check_choice(word, span, words, report),
        (Shape::Integer { least, greatest }, value) => {
            check_range(value, span, (*least, *greatest), report);
        }
        (Shape::List(item), DeValue::Array(items)) => check_list(items, source, **item, report),
        (Shape::Map(item), DeValue::Table(entries)) => {
            for (_, value) in entries {
                check_value(value, source, **item, report);
            }
        }
        (Shape::Table(table), DeValue::Table(entries)) => {
            check_table(entries, span, table, report);
        }
        _ => {}
    }
}

fn check_list(items: &DeArray<'_>, source: SourceId, shape: Shape, report: &mut Report) {
    for item in items {
        check_value(item, source, shape, report);
    }
}

/// The shape, or the alternative of it, that has the value's TOML type.
fn fitting<'a>(value: &DeValue<'_>, shape: &'a Shape) -> Option<&'a Shape> {
    if let Shape::Either(shapes) = shape {
        return shapes.iter().find_map(|shape| fitting(value, shape));
    }
    let fits = match shape {
        Shape::Text | Shape::Hinted(_) | Shape::Choice(_) => value.is_str(),
        Shape::Boolean => value.is_bool(),
        Shape::Integer { .. } => value.is_integer(),
        Shape::List(_) => value.is_array(),
        Shape::Map(_) | Shape::Table(_) => value.is_table(),
        Shape::Either(_) => false,
    };
    fits.then_some(shape)
}

fn wrong_type(found: &DeValue<'_>, span: Span, shape: Shape, report: &mut Report) {
    let expected = shape.expected();
    let kind = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let mut diagnostic =
        Diagnostic::new(Code::WrongType, format!("expected {expected}, found {kind}"))
            .at(span, format!("must be {expected}"));
    if matches!(shape, Shape::List(_)) && found.is_str() {
        diagnostic = diagnostic.help("put it in brackets: a list may have one item");
    }
    if matches!(shape, Shape::List(Shape::Table(_))) && found.is_table() {
        diagnostic = diagnostic.help("write its header in double brackets: `[[…]]`");
    }
    report.push(diagnostic);
}

fn check_choice(word: &str, span: Span, words: &[&'static str], report: &mut Report) {
    if words.contains(&word) {
        return;
    }
    if report.is_full() {
        return report.push(Diagnostic::new(Code::UnknownChoice, ""));
    }
    let list = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let message = format!("\"{}\" is not a possible value", shorten(word));
    report.push(
        Diagnostic::new(Code::UnknownChoice, message)
            .at(span, format!("must be one of {list}"))
            .did_you_mean(inside(span), nearest(word, words.iter().copied())),
    );
}

fn check_range(value: &DeValue<'_>, span: Span, bounds: (i64, i64), report: &mut Report) {
    if !integer(value).is_some_and(|number| (bounds.0..=bounds.1).contains(&number)) {
        let message = "the number is out of range";
        let label = if bounds.1 == i64::MAX {
            format!("must be at least {}", bounds.0)
        } else {
            format!("must be from {} to {}", bounds.0, bounds.1)
        };
        report.push(Diagnostic::new(Code::OutOfRange, message).at(span, label));
    }
}

/// The number that a TOML integer is, if it has 64 bits.
pub(crate) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn check_exactly_one(found: &DeTable<'_>, span: Span, table: &Table, report: &mut Report) {
    if table.exactly_one.is_empty() {
        return;
    }
    let given: Vec<_> =
        found.keys().filter(|key| table.exactly_one.contains(&&**key.get_ref())).collect();
    let list =
        table.exactly_one.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match given.as_slice() {
        [_] => {}
        [] => report.push(
            Diagnostic::new(Code::Combination, format!("{} says nothing", table.name))
                .at(span, format!("one of {list} must be given")),
        ),
        [first, second, ..] => {
            let message =
                format!("{} has both `{}` and `{}`", table.name, first.get_ref(), second.get_ref());
            report.push(
                Diagnostic::new(Code::Combination, message)
                    .at(Span::new(span.source, second.span()), format!("only one of {list}"))
                    .also(Span::new(span.source, first.span()), "the other one"),
            );
        }
    }
}

fn unknown_key(
    key: &Spanned<toml::de::DeString<'_>>,
    source: SourceId,
    table: &'static Table,
    report: &mut Report,
) {
    if report.is_full() {
        return report.push(Diagnostic::new(Code::UnknownKey, ""));
    }
    let span = Span::new(source, key.span());
    let keys = || table.fields.iter().map(|field| field.key);
    let message = format!("unknown key `{}` in {}", shorten(key.get_ref()), table.name);
    let near = nearest(key.get_ref(), keys());
    let mut diagnostic =
        Diagnostic::new(Code::UnknownKey, message).at(span, "no such key").did_you_mean(span, near);
    if near.is_none() {
        let list = keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        diagnostic = diagnostic.help(format!("the keys are {list}"));
    }
    report.push(diagnostic);
}

/// The span of a quoted string without its quotes.
pub(crate) fn inside(span: Span) -> Span {
    if span.end >= span.start + 2 {
        Span { source: span.source, start: span.start + 1, end: span.end - 1 }
    } else {
        span
    }
}

/// At most 60 characters of a text, for a message.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or("")),
        None => text.to_owned(),
    }
}
