// SPDX-License-Identifier: Apache-2.0
//! From a tree whose structure has been checked to a [`Config`]. What the check has reported is left
//! out here, so that everything else is still looked at.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::choose::{Reference, is_plain};
use super::{Config, Destination, Enforcement, Log, Settings};
use crate::diagnostics::{Code, Diagnostic, Report, SourceId, Span};
use crate::profile::structure::{inside, integer, shorten};
use crate::profile::{is_name, parse_size};

/// Lowers the tree.
pub(super) fn config(tree: &DeTable<'_>, source: SourceId, report: &mut Report) -> Config {
    let mut at = At { source, table: tree, report };
    let none = Config::default();
    Config {
        default_profile: at.reference("default_profile"),
        required_profile: at.reference("required_profile"),
        allow_annotations: at.texts("allow_annotations").map(|(text, _)| text).collect(),
        allow_set: at.variables(),
        settings: at.settings(none.settings),
    }
}

/// A table and where to report.
struct At<'a, 't> {
    source: SourceId,
    table: &'a DeTable<'t>,
    report: &'a mut Report,
}

impl<'a, 't> At<'a, 't> {
    fn text(&self, key: &str) -> Option<(&'a str, Span)> {
        let value = self.table.get(key)?;
        Some((value.get_ref().as_str()?, Span::new(self.source, value.span())))
    }

    fn number(&self, key: &str) -> Option<i64> {
        integer(self.table.get(key)?.get_ref())
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = (String, Span)> + use<'a, 't> {
        let list = self.table.get(key).and_then(|value| value.get_ref().as_array());
        let source = self.source;
        let text = move |item: &Spanned<DeValue<'_>>| {
            Some((item.get_ref().as_str()?.to_owned(), Span::new(source, item.span())))
        };
        list.into_iter().flatten().filter_map(text)
    }

    fn reference(&mut self, key: &str) -> Option<Reference> {
        let (text, span) = self.text(key)?;
        if text.contains('/') && !text.contains('\0') {
            return Some(Reference::BesideConfig(text.to_owned()));
        }
        if is_plain(text) {
            return Some(Reference::Name(text.to_owned()));
        }
        let message = format!("\"{}\" is not a profile's name", shorten(text));
        let label = "a plain name, or a path with a slash";
        self.report.push(Diagnostic::new(Code::BadReference, message).at(inside(span), label));
        None
    }

    fn variables(&mut self) -> std::collections::BTreeSet<String> {
        let (names, others): (Vec<_>, Vec<_>) =
            self.texts("allow_set").partition(|(name, _)| is_name(name));
        for (_, span) in others {
            let label = "a name has letters, digits, `_` and `-`, and at most 64 of them";
            let diagnostic = Diagnostic::new(Code::BadVariable, "not a name for a variable");
            self.report.push(diagnostic.at(inside(span), label));
        }
        names.into_iter().map(|(name, _)| name).collect()
    }

    fn settings(&mut self, defaults: Settings) -> Settings {
        let enforcement = match self.text("enforcement") {
            Some(("best-effort", _)) => Enforcement::BestEffort,
            _ => defaults.enforcement,
        };
        let max_rules = self.number("max_rules").and_then(|number| u32::try_from(number).ok());
        let log = self.table.get("log").and_then(|value| value.get_ref().as_table());
        let log = match log {
            Some(table) => {
                At { source: self.source, table, report: self.report }.log(&defaults.log)
            }
            None => defaults.log,
        };
        Settings { enforcement, max_rules: max_rules.unwrap_or(defaults.max_rules), log }
    }

    fn log(&mut self, defaults: &Log) -> Log {
        let lines = self.number("max_per_second").and_then(|number| u32::try_from(number).ok());
        Log {
            decisions: self.destination(),
            max_size: self.size().unwrap_or(defaults.max_size),
            max_per_second: lines.unwrap_or(defaults.max_per_second),
        }
    }

    fn destination(&mut self) -> Destination {
        let file = self.text("file");
        let decisions = self.text("decisions");
        let wants_file = matches!(decisions, Some(("file", _)));
        match (file, decisions) {
            (Some((path, _)), _) if wants_file && is_absolute(path) => {
                return Destination::File(path.to_owned());
            }
            (Some((path, span)), _) if wants_file => {
                let message = format!("\"{}\" is not an absolute path", shorten(path));
                self.wrong_file(message, inside(span), "must begin with `/`");
            }
            (Some((_, span)), _) => self.wrong_file(
                "a file is named, and decisions do not go to a file".to_owned(),
                span,
                "goes with `decisions = \"file\"`",
            ),
            (None, Some((_, span))) if wants_file => self.wrong_file(
                "decisions go to a file, and none is named".to_owned(),
                span,
                "`file` must be given, too",
            ),
            _ => {}
        }
        match decisions.map(|(word, _)| word) {
            Some("journal") => Destination::Journal,
            Some("none") => Destination::None,
            _ => Destination::State,
        }
    }

    fn wrong_file(&mut self, message: String, span: Span, label: &str) {
        self.report.push(Diagnostic::new(Code::BadDestination, message).at(span, label));
    }

    fn size(&mut self) -> Option<u64> {
        if let Some(number) = self.number("max_size") {
            return u64::try_from(number).ok();
        }
        let (text, span) = self.text("max_size")?;
        // as little as the smallest number that the language takes
        let size = parse_size(text).filter(|bytes| *bytes >= 4096);
        if size.is_none() {
            let message = format!("\"{}\" is not a size", shorten(text));
            let label = "must be a number, with K, M, G or T, and at least 4K";
            self.report.push(Diagnostic::new(Code::BadSize, message).at(inside(span), label));
        }
        size
    }
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0')
}
