// SPDX-License-Identifier: Apache-2.0
//! Finding and reading the profile of a container, once, at create.
//!
//! The order is `brig_policy::config`'s; here the files are looked at. Whatever is wrong with the
//! configuration or with a profile that was found, nothing is started: never is the next one of the
//! order taken in the place of one that cannot be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use brig_policy::config::{
    self, Asked, Candidate, ChosenBy, Enforcement, PROFILE_ANNOTATION, Reference, Settings,
};
use brig_policy::policy::Policy;
use brig_policy::profile::{self, Loaded};
use libcontainer::oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use super::operator::Directory;
use super::{Files, Overrides, fault, findings};
use crate::runtime::plan::Baseline;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--set`.
    pub set: Overrides,
    /// `--config`.
    pub config: Option<PathBuf>,
}

/// What a container is confined by: resolved once, and kept with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Confinement {
    /// The profile: a file, or the name of a built-in one.
    pub profile: String,
    /// Who chose it.
    pub chosen_by: ChosenBy,
    /// The operator's required profile, if there is one.
    pub required: Option<String>,
    /// What holds where the specification has no seccomp.
    pub baseline: Baseline,
    /// What the operator's configuration says besides.
    pub settings: Settings,
    /// What both profiles mean together.
    pub policy: Policy,
}

impl Confinement {
    /// The annotations by which `state` shows it. They take the place of the bundle's.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::new();
        shown.insert(PROFILE_ANNOTATION.to_owned(), self.profile.clone());
        shown.insert(format!("{PROFILE_ANNOTATION}.from"), self.chosen_by.to_string());
        if let Some(required) = &self.required {
            shown.insert(format!("{PROFILE_ANNOTATION}.required"), required.clone());
        }
        shown
    }

    /// What becomes of rules that cannot be enforced.
    ///
    /// # Errors
    ///
    /// All of them, unless the operator takes what can be had.
    pub fn settle<T: std::fmt::Display>(&self, unenforced: &[T]) -> anyhow::Result<()> {
        let texts: Vec<String> = unenforced.iter().map(ToString::to_string).collect();
        match self.settings.enforcement {
            _ if texts.is_empty() => Ok(()),
            Enforcement::Strict => {
                bail!("profile {} cannot be enforced here: {}", self.profile, texts.join("; "))
            }
            Enforcement::BestEffort => {
                for text in texts {
                    tracing::warn!("profile {} is not wholly enforced: {text}", self.profile);
                }
                Ok(())
            }
        }
    }
}

/// Chooses and reads the profile of a container.
///
/// # Errors
///
/// What is wrong with the configuration or the profile, or what is asked for and not allowed.
pub fn choose(options: &Options, spec: &Spec) -> anyhow::Result<Confinement> {
    let directory = Directory::open(options.config.as_deref())?;
    let config = directory.config()?;
    let annotations = spec.annotations().clone().unwrap_or_default().into_iter().collect();
    let asked = Asked {
        option: options.profile.as_deref(),
        set: &options.set,
        annotations: &annotations,
        hostname: spec.hostname().as_deref(),
        domainname: spec.domainname().as_deref(),
    };
    let order = config::order(&asked, &config).context("profile")?;
    for warning in &order.warnings {
        tracing::warn!("{warning}");
    }
    let (found, chosen_by) = first(&order.candidates, &directory)?;
    let mut policy = found.policy(&order.overrides)?;
    let mut baseline = found.baseline();
    let mut required_name = None;
    if let Some(reference) = &config.required_profile {
        let required = find(reference, &directory)?;
        // no value that a bundle or a command line gives changes what an operator requires
        policy = policy.require(&required.policy(&Overrides::new()).context("required_profile")?);
        baseline = baseline.or(required.baseline());
        required_name = Some(required.shown);
    }
    Ok(Confinement {
        profile: found.shown,
        chosen_by,
        required: required_name,
        baseline,
        settings: config.settings,
        policy,
    })
}

/// A profile's file, or a built-in profile.
struct Found {
    shown: String,
    root: Loaded,
    files: Files,
}

impl Found {
    fn built_in(name: &str) -> Option<Self> {
        let root = profile::built_in(name)?;
        Some(Found { shown: name.to_owned(), root, files: Files::default() })
    }

    fn file(path: &Path) -> anyhow::Result<Option<Self>> {
        let mut files = Files::default();
        let root = files.open_if_there(path).map_err(|error| fault(&error))?;
        Ok(root.map(|root| Found { shown: path.display().to_string(), root, files }))
    }

    /// The built-in `none` leaves everything to the specification.
    fn baseline(&self) -> Baseline {
        let none = profile::built_in("none");
        if none.as_ref() == Some(&self.root) { Baseline::None } else { Baseline::Default }
    }

    fn policy(&self, overrides: &Overrides) -> anyhow::Result<Policy> {
        let mut files = self.files.clone();
        let reading = profile::read(self.root.clone(), &mut files, overrides);
        match reading.resolved {
            Some(resolved) => Ok(resolved.policy),
            None => {
                let findings = findings(&reading.report, &reading.sources);
                bail!("profile {}: {findings}", self.shown)
            }
        }
    }
}

/// The first that exists.
fn first(candidates: &[Candidate], directory: &Directory) -> anyhow::Result<(Found, ChosenBy)> {
    for candidate in candidates {
        if let Reference::File(name) = &candidate.reference {
            let file = directory.profile(name).map(|path| Found::file(&path)).transpose()?;
            if let Some(found) = file.flatten() {
                return Ok((found, candidate.by));
            }
        } else {
            let found = find(&candidate.reference, directory);
            return Ok((found.with_context(|| candidate.by.to_string())?, candidate.by));
        }
    }
    bail!("no profile is found")
}

/// One that must exist.
fn find(reference: &Reference, directory: &Directory) -> anyhow::Result<Found> {
    let path = match reference {
        Reference::Name(name) => {
            let own = directory.profile(&format!("{name}.toml"));
            let own = own.map(|path| Found::file(&path)).transpose()?.flatten();
            let Some(found) = own.or_else(|| Found::built_in(name)) else {
                bail!("no profile is called {name:?}{}", known(directory));
            };
            return Ok(found);
        }
        Reference::BuiltIn(name) => {
            return Found::built_in(name).with_context(|| format!("no profile {name:?}"));
        }
        Reference::Path(path) => std::path::absolute(path)?,
        Reference::File(name) => directory.profile(name).unwrap_or_else(|| name.into()),
        Reference::BesideConfig(path) => directory.file(path).unwrap_or_else(|| path.into()),
    };
    Found::file(&path)?.with_context(|| format!("profile {}: no such file", path.display()))
}

fn known(directory: &Directory) -> String {
    let built_in = profile::BUILT_IN.join(", ");
    match directory.profile("") {
        Some(path) => format!(": neither in {} nor among the built-in {built_in}", path.display()),
        None => format!(": the built-in ones are {built_in}"),
    }
}
