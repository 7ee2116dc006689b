// SPDX-License-Identifier: Apache-2.0
//! Which profile a container gets: the order in which they are looked for.
//!
//! `--profile`; the annotation `io.brig.profile`, where the operator allows it; files named after
//! the container's domain and host; `default.toml`; the operator's `default_profile`; the built-in
//! `default`. Whoever writes a bundle chooses among the operator's profiles, and never a path. What
//! a bundle asks for and may not have is an error and not ignored: it was written for a reason, and
//! a container that runs under another profile than its author believes is worse than none.
//!
//! What this does not do: look whether files exist, or join `required_profile`, which holds
//! whatever is chosen here.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Config;
use crate::diagnostics::nearest;

/// What annotations of brig's own begin with.
pub const OWN_PREFIX: &str = "io.brig.";
/// The annotation that names a profile.
pub const PROFILE_ANNOTATION: &str = "io.brig.profile";
/// What an annotation that sets a variable begins with.
pub const SET_PREFIX: &str = "io.brig.set.";

/// The longest name of a file: `NAME_MAX` of linux/limits.h.
const NAME_MAX: usize = 255;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `--profile`.
    pub option: Option<&'a str>,
    /// `--set`.
    pub set: &'a BTreeMap<String, String>,
    /// The bundle's annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// The bundle's `hostname`.
    pub hostname: Option<&'a str>,
    /// The bundle's `domainname`.
    pub domainname: Option<&'a str>,
}

/// A profile, as it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `NAME.toml` in the directory of profiles, or else the built-in profile of that name.
    Name(String),
    /// A path; a relative one begins in the working directory.
    Path(String),
    /// A path; a relative one begins beside `config.toml`.
    BesideConfig(String),
    /// A file in the directory of profiles, which may be absent.
    File(String),
    /// A built-in profile.
    BuiltIn(&'static str),
}

/// A profile that may be the one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub reference: Reference,
    /// Who wants it.
    pub by: ChosenBy,
}

/// Who chose a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChosenBy {
    /// `--profile`.
    Option,
    /// The annotation.
    Annotation,
    /// The domain's name.
    Domainname,
    /// The host's and the domain's name.
    FullName,
    /// The host's name.
    Hostname,
    /// `default.toml` in the directory of profiles.
    DefaultFile,
    /// The operator's `default_profile`.
    Configuration,
    /// Nobody.
    Default,
}

impl fmt::Display for ChosenBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            ChosenBy::Option => "--profile",
            ChosenBy::Annotation => "annotation",
            ChosenBy::Domainname => "domainname",
            ChosenBy::FullName => "hostname.domainname",
            ChosenBy::Hostname => "hostname",
            ChosenBy::DefaultFile => "default.toml",
            ChosenBy::Configuration => "default_profile",
            ChosenBy::Default => "built-in default",
        })
    }
}

/// What is looked for, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The first that exists is the container's; all but [`Reference::File`] must exist.
    pub candidates: Vec<Candidate>,
    /// Values of variables: `--set` wins over annotations.
    pub overrides: BTreeMap<String, String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// What a bundle or a command line asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// The annotation is not allowed.
    #[error(
        "annotation {PROFILE_ANNOTATION:?} asks for profile {profile:?}, which this host does not \
         let annotations do: take it out, or add it to allow_annotations in config.toml"
    )]
    Annotation {
        /// What it asks for.
        profile: String,
    },
    /// The variable may not be set by annotations.
    #[error(
        "annotation \"{SET_PREFIX}{variable}\" sets a variable, which this host does not let \
         annotations do: take it out, or add {variable:?} to allow_set in config.toml"
    )]
    Set {
        /// The variable.
        variable: String,
    },
    /// No annotation is called that.
    #[error("annotation {name:?} is none of brig's{}", hint(.near))]
    Unknown {
        /// The annotation.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// A name that is not a plain file name.
    #[error("{field}: {name:?} is not a plain file name, so no profile is looked for by it")]
    Name {
        /// Where it is written.
        field: &'static str,
        /// The name, or its beginning.
        name: String,
    },
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!(": did you mean {near:?}?")).unwrap_or_default()
}

/// Everything that is asked for and not had. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ChooseErrors(pub Vec<ChooseError>);

impl fmt::Display for ChooseErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&texts.join("; "))
    }
}

/// Says what is looked for, in which order.
///
/// # Errors
///
/// Everything that is asked for and not allowed, and names that are none.
pub fn order(asked: &Asked<'_>, config: &Config) -> Result<Order, ChooseErrors> {
    let mut found = Found { order: Order::empty(), errors: Vec::new() };
    found.overrides(asked, config);
    match (asked.option, asked.annotations.get(PROFILE_ANNOTATION)) {
        (Some(option), annotation) => found.option(option, annotation),
        (None, Some(annotation)) => found.annotation(annotation, config),
        (None, None) => found.look_up(asked, config),
    }
    if found.errors.is_empty() { Ok(found.order) } else { Err(ChooseErrors(found.errors)) }
}

impl Order {
    fn empty() -> Self {
        Order { candidates: Vec::new(), overrides: BTreeMap::new(), warnings: Vec::new() }
    }
}

struct Found {
    order: Order,
    errors: Vec<ChooseError>,
}

impl Found {
    fn candidate(&mut self, reference: Reference, by: ChosenBy) {
        self.order.candidates.push(Candidate { reference, by });
    }

    fn bad_name(&mut self, field: &'static str, name: &str) {
        let name = name.chars().take(64).collect();
        self.errors.push(ChooseError::Name { field, name });
    }

    fn overrides(&mut self, asked: &Asked<'_>, config: &Config) {
        for (name, value) in asked.annotations {
            if let Some(variable) = name.strip_prefix(SET_PREFIX) {
                if config.allow_set.contains(variable) {
                    self.order.overrides.insert(variable.to_owned(), value.clone());
                } else {
                    let variable = variable.chars().take(64).collect();
                    self.errors.push(ChooseError::Set { variable });
                }
            } else if name.starts_with(OWN_PREFIX) && name != PROFILE_ANNOTATION {
                let near = nearest(name, [PROFILE_ANNOTATION]).map(str::to_owned);
                self.errors.push(ChooseError::Unknown { name: name.clone(), near });
            }
        }
        self.order.overrides.extend(asked.set.clone());
    }

    fn option(&mut self, option: &str, annotation: Option<&String>) {
        if let Some(annotation) = annotation.filter(|annotation| *annotation != option) {
            self.order.warnings.push(format!(
                "annotation {PROFILE_ANNOTATION:?} asks for profile {annotation:?}; --profile \
                 {option:?} wins"
            ));
        }
        let is_path = option.contains('/') || option.ends_with(".toml");
        if is_path && !option.contains('\0') {
            self.candidate(Reference::Path(option.to_owned()), ChosenBy::Option);
        } else if is_plain(option) {
            self.candidate(Reference::Name(option.to_owned()), ChosenBy::Option);
        } else {
            self.bad_name("--profile", option);
        }
    }

    fn annotation(&mut self, profile: &str, config: &Config) {
        if !config.allow_annotations.contains(PROFILE_ANNOTATION) {
            let profile = profile.chars().take(64).collect();
            self.errors.push(ChooseError::Annotation { profile });
        } else if is_plain(profile) {
            self.candidate(Reference::Name(profile.to_owned()), ChosenBy::Annotation);
        } else {
            self.bad_name("annotation io.brig.profile", profile);
        }
    }

    fn look_up(&mut self, asked: &Asked<'_>, config: &Config) {
        let domain = self.named("domainname", asked.domainname, ChosenBy::Domainname);
        let host = asked.hostname.filter(|name| !name.is_empty());
        if let (Some(host), Some(domain)) = (host, domain) {
            let full = format!("{host}.{domain}");
            self.named("hostname.domainname", Some(&full), ChosenBy::FullName);
        }
        self.named("hostname", host, ChosenBy::Hostname);
        self.candidate(Reference::File("default.toml".to_owned()), ChosenBy::DefaultFile);
        match &config.default_profile {
            Some(reference) => self.candidate(reference.clone(), ChosenBy::Configuration),
            None => self.candidate(Reference::BuiltIn("default"), ChosenBy::Default),
        }
    }

    /// A file named after what a bundle calls itself, if it calls itself anything.
    fn named<'a>(
        &mut self,
        field: &'static str,
        name: Option<&'a str>,
        by: ChosenBy,
    ) -> Option<&'a str> {
        let name = name.filter(|name| !name.is_empty())?;
        if !is_plain(name) {
            self.bad_name(field, name);
            return None;
        }
        self.candidate(Reference::File(format!("{name}.toml")), by);
        Some(name)
    }
}

/// Whether `NAME.toml` is one file in a directory, whatever `NAME` is.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() + ".toml".len() <= NAME_MAX
        && !name.contains('/')
        && !name.chars().any(char::is_control)
}
