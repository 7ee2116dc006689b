// SPDX-License-Identifier: Apache-2.0
//! Diagnostics for editors and scripts.
//!
//! One object: `{"diagnostics": […], "errors": N, "warnings": N, "omitted": N}`.
//! Lines and columns count from 1, columns in characters; `end_*` is the place
//! after the last character. A field is added in a later version, never removed.

use serde::Serialize;

use super::{Diagnostic, Fix, Label, Report, Sources, Span};

#[derive(Serialize)]
struct Document<'a> {
    diagnostics: Vec<Entry<'a>>,
    errors: usize,
    warnings: usize,
    omitted: usize,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    primary: Option<Spot<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Spot<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    help: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Replacement<'a>>,
}

#[derive(Serialize)]
struct Spot<'a> {
    #[serde(flatten)]
    area: Area<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
}

#[derive(Serialize)]
struct Replacement<'a> {
    #[serde(flatten)]
    area: Area<'a>,
    replacement: &'a str,
}

#[derive(Serialize)]
struct Area<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

/// The report as one JSON object.
#[must_use]
pub fn json(report: &Report, sources: &Sources) -> serde_json::Value {
    let document = Document {
        diagnostics: report.diagnostics().iter().map(|d| entry(d, sources)).collect(),
        errors: report.errors(),
        warnings: report.warnings(),
        omitted: report.omitted(),
    };
    // Strings and numbers only: there is nothing that could fail.
    serde_json::to_value(document).unwrap_or_default()
}

fn entry<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Entry<'a> {
    Entry {
        code: diagnostic.code.as_str(),
        severity: diagnostic.code.severity().as_str(),
        message: &diagnostic.message,
        primary: diagnostic.primary.as_ref().map(|label| spot(label, sources)),
        related: diagnostic.related.iter().map(|label| spot(label, sources)).collect(),
        help: &diagnostic.help,
        fix: diagnostic.fix.as_ref().map(|fix| replacement(fix, sources)),
    }
}

fn spot<'a>(label: &'a Label, sources: &'a Sources) -> Spot<'a> {
    Spot { area: area(label.span, sources), label: &label.text }
}

fn replacement<'a>(fix: &'a Fix, sources: &'a Sources) -> Replacement<'a> {
    Replacement { area: area(fix.span, sources), replacement: &fix.replacement }
}

fn area(span: Span, sources: &Sources) -> Area<'_> {
    let start = sources.place(span.source, span.start);
    let end = sources.place(span.source, span.end);
    Area {
        file: sources.name(span.source),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    }
}
