// SPDX-License-Identifier: Apache-2.0
//! The operator's `config.toml`: what holds for every container on a host.
//!
//! It is read like a profile: the same grammar, the same diagnostics, everything that is wrong at
//! once, unknown keys are errors. There is a configuration only if there was no error: half of one
//! could lack the half that restricts. [`order`] says which profile a container gets under it.
//!
//! What this does not do: read files, or know whether the profiles that are named exist.

mod choose;
mod language;
mod lower;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use choose::{
    Asked, Candidate, ChooseError, ChooseErrors, ChosenBy, OWN_PREFIX, Order, PROFILE_ANNOTATION,
    Reference, SET_PREFIX, order,
};

use crate::diagnostics::{Report, Sources, Span};
use crate::profile::{drop_echoes, structure, tree};

/// What an operator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `default_profile`: what a container gets where nothing else is found.
    pub default_profile: Option<Reference>,
    /// `required_profile`: what must allow an operation, too, whatever profile a container has.
    pub required_profile: Option<Reference>,
    /// `allow_annotations`: annotations of a bundle that may say which profile it gets.
    pub allow_annotations: BTreeSet<String>,
    /// `allow_set`: variables that annotations of a bundle may set.
    pub allow_set: BTreeSet<String>,
    /// What has to be known of a container later.
    pub settings: Settings,
}

/// The part of a configuration that is kept with a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `enforcement`.
    pub enforcement: Enforcement,
    /// `max_rules`: how many rules the kernel is given for the paths of one container.
    pub max_rules: u32,
    /// `[log]`.
    pub log: Log,
}

/// What becomes of a rule that the host cannot enforce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// The container is not started.
    #[default]
    Strict,
    /// It is started, with a warning each time.
    BestEffort,
}

/// `[log]`: what becomes of decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// `decisions`, and `file`: where they go.
    pub decisions: Destination,
    /// `max_size`: how large a file of them becomes, in bytes.
    pub max_size: u64,
    /// `max_per_second`: how many lines one container may write in a second.
    pub max_per_second: u32,
}

/// Where decisions go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// A file in the container's state directory.
    #[default]
    State,
    /// This file: an absolute path.
    File(String),
    /// The system's journal.
    Journal,
    /// Nowhere.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        let log =
            Log { decisions: Destination::default(), max_size: 16 << 20, max_per_second: 1000 };
        Settings { enforcement: Enforcement::default(), max_rules: 4096, log }
    }
}

/// Without a file: strict, no annotations, decisions in the state directory.
impl Default for Config {
    fn default() -> Self {
        Config {
            default_profile: None,
            required_profile: None,
            allow_annotations: BTreeSet::new(),
            allow_set: BTreeSet::new(),
            settings: Settings::default(),
        }
    }
}

/// What reading a configuration gives.
pub struct Reading {
    /// The text, for showing what was found in it.
    pub sources: Sources,
    /// What was found.
    pub report: Report,
    /// The configuration; none if there was an error.
    pub config: Option<Config>,
}

/// Reads a configuration; `name` is what people call the file.
#[must_use]
pub fn read(name: &str, bytes: Vec<u8>) -> Reading {
    let (mut sources, mut report) = (Sources::new(), Report::new());
    let text = match tree::decode(bytes, name) {
        Ok(text) => text,
        Err(diagnostic) => {
            report.push(*diagnostic);
            return Reading { sources, report, config: None };
        }
    };
    let id = sources.add(name, text.as_str());
    let parsed = tree::parse(&text, id, &sources, &mut report);
    let config = parsed.map(|found| {
        let first_line = 0..text.find('\n').unwrap_or(text.len());
        let top = Span::new(id, first_line);
        structure::check_table(found.get_ref(), top, &language::CONFIG, &mut report);
        lower::config(found.get_ref(), id, &mut report)
    });
    drop_echoes(&mut report, &sources);
    report.sort();
    let config = config.filter(|_| report.errors() == 0);
    Reading { sources, report, config }
}
