// SPDX-License-Identifier: Apache-2.0
//! The operator's directory: `config.toml`, and `profiles/` beside it.
//!
//! It is `/etc/brig` for root, and for everybody else `$XDG_CONFIG_HOME/brig` or
//! `$HOME/.config/brig`; root of a user namespace is everybody else. `--config` names another. That
//! a file is absent means something here (no `required_profile`, no profile for this host's name),
//! so a directory in which others could remove or add files is refused like a file that they could
//! write.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use brig_policy::config::{self, Config};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Files, fault, findings};
use crate::runtime::cgroup::in_user_namespace;

/// The operator's directory, if there is one.
#[derive(Debug)]
pub struct Directory {
    path: Option<PathBuf>,
}

impl Directory {
    /// Finds it.
    ///
    /// # Errors
    ///
    /// The directory that is named does not exist, or somebody else can write one of its
    /// directories.
    pub fn open(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = match named {
            Some(named) => Some(std::path::absolute(named).context("--config")?),
            None => usual(),
        };
        let Some(path) = path else { return Ok(Directory { path: None }) };
        let found = is_trusted(&path)?;
        if found {
            is_trusted(&path.join("profiles"))?;
        } else if named.is_some() {
            bail!("--config {}: no such directory", path.display());
        }
        Ok(Directory { path: found.then_some(path) })
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.path.as_ref()?.join(name))
    }

    /// A file of its `profiles/`.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<PathBuf> {
        Some(self.path.as_ref()?.join("profiles").join(name))
    }

    /// Reads `config.toml`; its absence is the default.
    ///
    /// # Errors
    ///
    /// It cannot be read or trusted, or something in it is wrong.
    pub fn config(&self) -> anyhow::Result<Config> {
        let Some(path) = self.file("config.toml") else { return Ok(Config::default()) };
        let found = Files::default().open_if_there(&path).map_err(|error| fault(&error))?;
        let Some(file) = found else { return Ok(Config::default()) };
        let reading = config::read(&file.name, file.bytes);
        match reading.config {
            Some(config) => Ok(config),
            None => bail!("{}", findings(&reading.report, &reading.sources)),
        }
    }
}

fn usual() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() && !in_user_namespace() {
        return Some(PathBuf::from("/etc/brig"));
    }
    // a relative path there is none: XDG Base Directory Specification
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    variable("XDG_CONFIG_HOME")
        .or_else(|| Some(variable("HOME")?.join(".config")))
        .map(|directory| directory.join("brig"))
}

/// Whether the directory exists.
fn is_trusted(path: &Path) -> anyhow::Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(directory) => directory,
        // a link that leads nowhere is something that is there
        Err(Errno::NOENT) if path.symlink_metadata().is_err() => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
    };
    let stat = rustix::fs::fstat(&directory).with_context(|| format!("stat {}", path.display()))?;
    match super::distrust(&stat, rustix::process::geteuid().as_raw()) {
        None => Ok(true),
        Some(why) => bail!("{} cannot be trusted: {why}", path.display()),
    }
}
