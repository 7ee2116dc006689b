// SPDX-License-Identifier: Apache-2.0
//! Diagnostics for people, in the look of rustc.
//!
//! Only the lines that a label points at are handed to the renderer, and of a
//! very long line only the part around the label, so that the cost depends on
//! what is shown and not on the size of a profile. Control characters of a
//! hostile profile do not reach the terminal: the renderer replaces them.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::source::boundary;
use super::{Diagnostic, Label, Report, Severity, SourceId, Sources};

/// Lines that are at most this far apart are shown in one piece.
const NEAR: u32 = 6;
/// Of a longer line only a part is shown.
const LONG: usize = 2048;

/// Whether the output has escape sequences for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// For a terminal.
    Colour,
    /// For anything else.
    Plain,
}

/// The whole report as text, with a line of totals at the end; empty for an
/// empty report.
#[must_use]
pub fn human(report: &Report, sources: &Sources, paint: Paint) -> String {
    let renderer = match paint {
        Paint::Colour => Renderer::styled(),
        Paint::Plain => Renderer::plain(),
    };
    let mut out = String::new();
    for diagnostic in report.diagnostics() {
        out.push_str(&render(diagnostic, sources, &renderer));
        out.push_str("\n\n");
    }
    if report.omitted() > 0 {
        out.push_str(&format!("note: {} more are not shown\n\n", report.omitted()));
    }
    out
}

fn render(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match diagnostic.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code.as_str());
    let pieces = pieces(diagnostic, sources);
    let mut group = Group::with_title(title);
    for piece in &pieces {
        for element in elements(piece, sources) {
            group = group.element(element);
        }
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    renderer.render(&[group])
}

/// Neighbouring lines of one text, with what is said about them.
struct Piece<'a> {
    source: SourceId,
    first: u32,
    last: u32,
    labels: Vec<(&'a Label, AnnotationKind)>,
}

fn pieces<'a>(diagnostic: &'a Diagnostic, sources: &Sources) -> Vec<Piece<'a>> {
    let primary = diagnostic.primary.iter().map(|label| (label, AnnotationKind::Primary));
    let related = diagnostic.related.iter().map(|label| (label, AnnotationKind::Context));
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for (label, kind) in primary.chain(related) {
        let (source, line) = (label.span.source, sources.line(label.span.source, label.span.start));
        let near = pieces.iter_mut().find(|piece| {
            piece.source == source && line + NEAR >= piece.first && line <= piece.last + NEAR
        });
        match near {
            Some(piece) => {
                piece.first = piece.first.min(line);
                piece.last = piece.last.max(line);
                piece.labels.push((label, kind));
            }
            None => {
                pieces.push(Piece { source, first: line, last: line, labels: vec![(label, kind)] });
            }
        }
    }
    pieces
}

fn elements<'a>(piece: &Piece<'a>, sources: &'a Sources) -> Vec<Element<'a>> {
    let start = sources.line_range(piece.source, piece.first).start;
    let end = sources.line_range(piece.source, piece.last).end;
    if end - start > LONG {
        return piece
            .labels
            .iter()
            .flat_map(|(label, kind)| clipped(label, *kind, sources))
            .collect();
    }
    let mut snippet = Snippet::source(sources.text(piece.source).get(start..end).unwrap_or(""))
        .line_start(piece.first as usize)
        .path(visible(sources.name(piece.source)));
    for (label, kind) in &piece.labels {
        let line = sources.line_range(piece.source, sources.line(piece.source, label.span.start));
        // the renderer panics at parts of characters
        let span = sources.whole(label.span).range();
        let from = span.start.min(line.end) - start;
        let to = span.end.min(line.end).max(from + start) - start;
        snippet = snippet.annotation(kind.span(from..to).label(text(label)));
    }
    vec![snippet.into()]
}

/// The label alone with the part of its line around it.
fn clipped<'a>(label: &'a Label, kind: AnnotationKind, sources: &'a Sources) -> Vec<Element<'a>> {
    let (id, text_of) = (label.span.source, sources.text(label.span.source));
    let place = sources.place(id, label.span.start);
    let line = sources.line_range(id, place.line);
    let span = sources.whole(label.span).range();
    let at = span.start.clamp(line.start, line.end);
    let start = boundary(text_of, at.saturating_sub(40).max(line.start));
    let end = boundary(text_of, (at + 80).min(line.end)).max(start);
    let to = boundary(text_of, span.end.clamp(at, end.max(at)));
    let origin = Origin::path(visible(sources.name(id)))
        .line(place.line as usize)
        .char_column(place.column as usize);
    let snippet = Snippet::source(text_of.get(start..end).unwrap_or(""))
        .line_start(place.line as usize)
        .annotation(kind.span(at - start..to - start).label(text(label)));
    vec![origin.into(), snippet.into()]
}

fn text(label: &Label) -> Option<Cow<'_, str>> {
    (!label.text.is_empty()).then(|| visible(&label.text))
}

/// The text with what could steer a terminal written as an escape. (The renderer
/// does this to sources and titles, but not to labels and paths.)
fn visible(text: &str) -> Cow<'_, str> {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Span};
    use super::*;

    fn one(text: &str, make: impl Fn(SourceId) -> Diagnostic) -> String {
        let mut sources = Sources::new();
        let id = sources.add("web.toml", text);
        let mut report = Report::new();
        report.push(make(id));
        human(&report, &sources, Paint::Plain)
    }

    #[test]
    fn the_caret_stands_under_the_name_and_the_help_below_it() {
        let shown = one("a = 1\ndeny = [\"@keyrign\"]\n", |id| {
            let span = Span::new(id, 15..23);
            Diagnostic::new(Code::UnknownSyscallSet, "unknown set of system calls \"@keyrign\"")
                .at(span, "no such set")
                .did_you_mean(span, Some("@keyring"))
        });
        insta::assert_snapshot!(shown, @r#"
        error[E0502]: unknown set of system calls "@keyrign"
         --> web.toml:2:10
          |
        2 | deny = ["@keyrign"]
          |          ^^^^^^^^ no such set
          |
          = help: did you mean "@keyring"?
        "#);
    }

    #[test]
    fn far_places_are_shown_without_what_lies_between() {
        let text = format!("a = 1\n{}b = 2\n", "# x\n".repeat(1000));
        let shown = one(&text, |id| {
            let at = text.len() - 6;
            Diagnostic::new(Code::Duplicate, "twice")
                .at(Span::new(id, at..at + 1), "again")
                .also(Span::new(id, 0..1), "first here")
        });
        assert!(shown.lines().count() < 15, "{shown}");
        assert!(shown.contains("web.toml:1002:1"), "{shown}");
        assert!(shown.contains("first here"), "{shown}");
    }

    #[test]
    fn of_a_line_of_a_megabyte_the_part_around_the_label_is_shown() {
        let text = format!("a = \"{}\" x", "é".repeat(1 << 19));
        let shown = one(&text, |id| {
            Diagnostic::new(Code::Syntax, "unexpected")
                .at(Span::new(id, text.len() - 1..text.len()), "here")
        });
        assert!(shown.len() < 1000, "{}", shown.len());
        assert!(shown.contains(&format!("web.toml:1:{}", (1 << 19) + 8)), "{shown}");
    }

    #[test]
    fn a_label_inside_a_character_is_under_all_of_it() {
        for text in ["a = \"é\"".to_owned(), format!("a = \"é\" # {}", "x".repeat(1 << 12))] {
            for range in [5..6, 6..7, 6..6] {
                let shown = one(&text, |id| {
                    let at = Span::new(id, range.clone());
                    Diagnostic::new(Code::Syntax, "unexpected").at(at, "here")
                });
                assert!(shown.contains(":1:6") && shown.contains(" ^ here"), "{shown}");
            }
        }
    }

    #[test]
    fn escape_sequences_of_a_profile_do_not_reach_the_terminal() {
        let shown = one("a = \"\u{1b}[31m\u{202e}\"", |id| {
            Diagnostic::new(Code::Syntax, "bad \u{1b}[31m").at(Span::new(id, 5..6), "\u{1b}[2J")
        });
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
    }
}
