// SPDX-License-Identifier: Apache-2.0
//! What brig says about a profile that is wrong or hardly meant.
//!
//! Stages push into a [`Report`] and go on, so that an author sees everything at
//! once. A report is bounded: however many mistakes a text has, the first
//! [`Report::LIMIT`] are kept and the others counted. Nothing here decides
//! anything about policy; a report with an error in it only says that there is
//! no policy.

mod codes;
mod json;
mod render;
mod source;
mod suggest;

pub use codes::{Code, Severity};
pub use json::json;
pub use render::{Paint, human};
pub use source::{Place, SourceId, Sources, Span};
pub use suggest::nearest;

/// A place in a text and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The text beside the caret; may be empty.
    pub text: String,
}

/// A replacement that probably mends the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What to replace.
    pub span: Span,
    /// With what.
    pub replacement: String,
}

/// One mistake or oddity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// One line: what is wrong, naming the thing.
    pub message: String,
    /// Where; none for what has no place in a text (a file that cannot be read).
    pub primary: Option<Label>,
    /// Other places that matter.
    pub related: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
    /// A replacement for an editor to offer.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, primary: None, related: Vec::new(), help: Vec::new(), fix: None }
    }

    /// Puts the caret at `span` with `text` beside it.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.primary = Some(Label { span, text: text.into() });
        self
    }

    /// Points at another place, too.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Adds a line of help.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Asks whether `name` was meant, if something was near, and offers to
    /// replace the text at `span` by it.
    #[must_use]
    pub fn did_you_mean(mut self, span: Span, name: Option<&str>) -> Self {
        if let Some(name) = name {
            self.help.push(format!("did you mean \"{name}\"?"));
            self.fix = Some(Fix { span, replacement: name.to_owned() });
        }
        self
    }
}

/// Everything that was found in a profile and its parents.
#[derive(Debug, Clone, Default)]
pub struct Report {
    found: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Report {
    /// How many diagnostics are kept.
    pub const LIMIT: usize = 1000;

    /// An empty report.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a diagnostic; beyond [`Report::LIMIT`] it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.code.severity() {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if !self.is_full() {
            self.found.push(diagnostic);
        }
    }

    /// Whether what is pushed now is only counted, so that no costly help is
    /// made for it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.found.len() >= Self::LIMIT
    }

    /// How many errors there are, kept or not.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// How many warnings there are, kept or not.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// How many were counted and not kept.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.errors + self.warnings - self.found.len()
    }

    /// The diagnostics that were kept.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Takes out what `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&Diagnostic) -> bool) {
        for dropped in self.found.iter().filter(|diagnostic| !keep(diagnostic)) {
            match dropped.code.severity() {
                Severity::Error => self.errors -= 1,
                Severity::Warning => self.warnings -= 1,
            }
        }
        self.found.retain(keep);
    }

    /// Orders by text and place; what has no place comes first.
    pub fn sort(&mut self) {
        self.found.sort_by_key(|d| (d.primary.as_ref().map(|label| label.span), d.code));
    }
}
