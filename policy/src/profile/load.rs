// SPDX-License-Identifier: Apache-2.0
//! A file and all its parents, each once.
//!
//! The crate reads nothing: files come from a [`Loader`] that the caller gives.
//! Cycles, missing parents, more than [`MAX_DEPTH`] generations and more than
//! [`MAX_FILES`] files are errors at the `extends` that leads to them.

use std::collections::{BTreeMap, BTreeSet};

use super::built_in;
use super::model::{self, Profile};
use super::structure::check_table;
use super::text::Text;
use super::tree;
use crate::diagnostics::{Code, Diagnostic, Place, Report, Sources, Span, nearest};

/// How many generations of parents a profile may have.
pub const MAX_DEPTH: usize = 16;

/// Of how many files a profile may be made.
pub const MAX_FILES: usize = 256;

/// A file as a [`Loader`] read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Equal for equal files, however they were named.
    pub identity: String,
    /// What people call it; what is relative to it is resolved against this.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It does not exist or cannot be opened; the text says why.
    #[error("cannot read {name}: {why}")]
    Unreadable {
        /// The file.
        name: String,
        /// The system's words.
        why: String,
    },
    /// It is not a regular file; the text says what it is.
    #[error("{name} is {kind}, not a regular file")]
    NotAFile {
        /// The file.
        name: String,
        /// `a directory`, `a FIFO`, …
        kind: String,
    },
    /// Somebody else can write it; the text says who.
    #[error("{name} cannot be trusted: {why}")]
    NotTrusted {
        /// The file.
        name: String,
        /// Who can write it.
        why: String,
    },
    /// It is larger than [`MAX_FILE`](super::MAX_FILE).
    #[error("{name} is too large")]
    TooLarge {
        /// The file.
        name: String,
    },
}

impl LoadError {
    /// What to tell the author of a profile that cannot be read itself.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let message = self.to_string();
        match self {
            LoadError::Unreadable { .. } => Diagnostic::new(Code::Unreadable, message),
            LoadError::NotAFile { .. } => Diagnostic::new(Code::NotAFile, message),
            LoadError::NotTrusted { name, .. } => Diagnostic::new(Code::NotTrusted, message)
                .help(format!("make it root's or your own, and `chmod go-w {name}`")),
            LoadError::TooLarge { name } => tree::too_large(name),
        }
    }
}

/// Reads the files that `extends` names.
pub trait Loader {
    /// Reads the file that the file called `from` calls `reference`.
    ///
    /// # Errors
    /// Why it cannot be read, or may not be trusted.
    fn load(&mut self, from: &str, reference: &str) -> Result<Loaded, LoadError>;
}

/// A loader for profiles that extend built-in profiles only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&mut self, _: &str, reference: &str) -> Result<Loaded, LoadError> {
        let why = "no files can be read here".to_owned();
        Err(LoadError::Unreadable { name: reference.to_owned(), why })
    }
}

/// A file of the profile, checked and lowered.
pub(super) struct Node {
    pub(super) profile: Profile,
    /// Every file that it extends, directly or not.
    pub(super) ancestors: BTreeSet<usize>,
    height: usize,
}

/// A file and its parents; the file itself is the last.
pub(super) struct Files {
    pub(super) nodes: Vec<Node>,
}

/// Reads everything that `root` extends.
pub(super) fn load(
    root: Loaded,
    loader: &mut dyn Loader,
    sources: &mut Sources,
    report: &mut Report,
) -> Files {
    let mut walk = Walk {
        loader,
        sources,
        report,
        nodes: Vec::new(),
        done: BTreeMap::new(),
        path: Vec::new(),
    };
    walk.file(root);
    Files { nodes: walk.nodes }
}

struct Walk<'a> {
    loader: &'a mut dyn Loader,
    sources: &'a mut Sources,
    report: &'a mut Report,
    nodes: Vec<Node>,
    done: BTreeMap<String, usize>,
    /// The files that are being read, from the profile to the parent at hand.
    path: Vec<Open>,
}

struct Open {
    identity: String,
    name: String,
}

impl Walk<'_> {
    /// Reads a file and, before it, its parents.
    fn file(&mut self, file: Loaded) -> Option<usize> {
        let text = match tree::decode(file.bytes, &file.name) {
            Ok(text) => text,
            Err(diagnostic) => {
                self.report.push(*diagnostic);
                return None;
            }
        };
        let profile = self.profile(&file.name, text);
        self.path.push(Open { identity: file.identity.clone(), name: file.name });
        let mut ancestors = BTreeSet::new();
        let mut height = 0;
        for reference in &profile.extends {
            if let Some(node) =
                self.parent(reference).and_then(|at| Some((at, self.nodes.get(at)?)))
            {
                let (at, node) = node;
                height = height.max(node.height + 1);
                ancestors.extend(node.ancestors.iter().copied().chain([at]));
            }
        }
        self.path.pop();
        self.nodes.push(Node { profile, ancestors, height });
        let at = self.nodes.len() - 1;
        self.done.insert(file.identity, at);
        Some(at)
    }

    fn profile(&mut self, name: &str, text: String) -> Profile {
        let id = self.sources.add(name, text);
        // The tree borrows the text, so it is parsed from a copy that outlives it.
        let text = self.sources.text(id).to_owned();
        let parsed = tree::parse(&text, id, self.sources, self.report);
        let Some(found) = parsed else { return Profile::default() };
        let first_line = 0..text.find('\n').unwrap_or(text.len());
        let top = Span::new(id, first_line);
        check_table(found.get_ref(), top, &super::language::PROFILE, self.report);
        model::lower(found.get_ref(), id)
    }

    fn parent(&mut self, reference: &Text) -> Option<usize> {
        let loaded = self.find(reference)?;
        if let Some(start) = self.path.iter().position(|open| open.identity == loaded.identity) {
            self.cycle(reference.span, start);
            return None;
        }
        let known = self.done.get(&loaded.identity).copied();
        let below = known.and_then(|at| self.nodes.get(at)).map_or(0, |node| node.height);
        if self.path.len() + below > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} generations of parents");
            let diagnostic = Diagnostic::new(Code::TooDeep, message)
                .at(reference.span, "this parent is one too many");
            self.report.push(diagnostic);
            return None;
        }
        if known.is_some() {
            return known;
        }
        if self.nodes.len() + self.path.len() >= MAX_FILES {
            let message = format!("a profile of more than {MAX_FILES} files");
            let diagnostic = Diagnostic::new(Code::TooMany, message)
                .at(reference.span, "this file is one too many");
            self.report.push(diagnostic);
            return None;
        }
        self.file(loaded)
    }

    fn find(&mut self, reference: &Text) -> Option<Loaded> {
        let name = reference.value.as_str();
        if !is_file(name) {
            let built_in = built_in::load(name);
            if built_in.is_none() {
                let near = nearest(name, built_in::NAMES.iter().copied());
                let diagnostic = Diagnostic::new(
                    Code::UnknownProfile,
                    format!("no built-in profile is called `{name}`"),
                )
                .at(reference.span, "no such profile")
                .help(format!("for a file of that name write \"./{name}\""))
                .did_you_mean(super::structure::inside(reference.span), near);
                self.report.push(diagnostic);
            }
            return built_in;
        }
        let from = self.path.last().map_or("", |open| open.name.as_str());
        match self.loader.load(from, name) {
            Ok(loaded) => Some(loaded),
            Err(error) => {
                let own = error.diagnostic();
                let mut diagnostic = Diagnostic::new(Code::MissingParent, own.message)
                    .at(reference.span, "named here");
                diagnostic.help = own.help;
                self.report.push(diagnostic);
                None
            }
        }
    }

    fn cycle(&mut self, span: Span, start: usize) {
        let names = self.path.get(start..).unwrap_or(&[]).iter().map(|open| open.name.as_str());
        let first = self.path.get(start).map(|open| open.name.as_str());
        let circle = names.chain(first).collect::<Vec<_>>().join(" → ");
        let diagnostic = Diagnostic::new(Code::Cycle, "profiles extend each other in a circle")
            .at(span, "this closes the circle")
            .help(circle);
        self.report.push(diagnostic);
    }
}

/// Whether a name in `extends` is a file's and not a built-in profile's.
fn is_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// Which line and column a span begins at, quickly if asked in order.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    last: Option<(Span, Place)>,
}

impl Cursor {
    /// The place of the span's start.
    pub(super) fn place(&mut self, span: Span, sources: &Sources) -> Place {
        let line = sources.line(span.source, span.start);
        let before = self.last.filter(|(last, place)| {
            last.source == span.source && place.line == line && last.start <= span.start
        });
        let place = match before {
            Some((last, place)) => {
                let between = last.start as usize..span.start as usize;
                let between = sources.text(span.source).get(between).unwrap_or("");
                let column = place.column + u32::try_from(between.chars().count()).unwrap_or(0);
                Place { line, column }
            }
            None => sources.place(span.source, span.start),
        };
        self.last = Some((span, place));
        place
    }
}
