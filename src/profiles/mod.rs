// SPDX-License-Identifier: Apache-2.0
//! Reading profiles from the host's files.
//!
//! A profile decides what a container may do, so it is read only if nobody but
//! root and the caller could have written it. Everything is checked on the opened
//! descriptor: what is checked is what is read. Opening neither blocks (a FIFO)
//! nor takes a terminal, and at most [`MAX_FILE`] bytes are read.
//!
//! It does not check the directories above: whoever can replace the file needs a
//! file of root's or the caller's that says what they want ([`operator`] checks
//! its own, where absence means something). Nothing is ever read from a
//! container's root filesystem.

pub mod choose;
mod operator;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use brig_policy::diagnostics::{Diagnostic, Report, Severity, Sources};
use brig_policy::profile::{self, LoadError, Loaded, Loader, MAX_FILE, Reading};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// The values that `--set` gives to variables.
pub type Overrides = BTreeMap<String, String>;

/// Reads `name=value`, for `--set`.
///
/// # Errors
/// What is wrong with it.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be name=value".to_owned()),
    }
}

/// Reads the profile that `name` is: a built-in one, or a file.
///
/// # Errors
/// Why the file itself cannot be read; everything else is in the reading's report.
pub fn read(name: &Path, overrides: &Overrides) -> Result<Reading, LoadError> {
    let mut files = Files::default();
    let root = match name.to_str().and_then(profile::built_in) {
        Some(built_in) => built_in,
        None => files.open(name)?,
    };
    Ok(profile::read(root, &mut files, overrides))
}

/// The host's files.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The paths of the files that were read, by the names they are shown under.
    paths: BTreeMap<String, PathBuf>,
}

impl Loader for Files {
    fn load(&mut self, from: &str, reference: &str) -> Result<Loaded, LoadError> {
        let directory = self.paths.get(from).and_then(|path| path.parent());
        self.open(&directory.unwrap_or(Path::new("")).join(reference))
    }
}

impl Files {
    fn open(&mut self, path: &Path) -> Result<Loaded, LoadError> {
        let absent = || unreadable(path, &std::io::Error::from(Errno::NOENT));
        self.open_if_there(path)?.ok_or_else(absent)
    }

    /// Reads a file that may be absent. A link that leads nowhere is not absent.
    fn open_if_there(&mut self, path: &Path) -> Result<Option<Loaded>, LoadError> {
        let name = path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) if path.symlink_metadata().is_err() => return Ok(None),
            Err(error) => return Err(unreadable(path, &error.into())),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| unreadable(path, &error.into()))?;
        check(&stat, &name, rustix::process::geteuid().as_raw())?;
        let bytes = bounded(file, &name).map_err(|error| unreadable(path, &error))??;
        self.paths.insert(name.clone(), path.to_owned());
        let identity = format!("{}:{}", stat.st_dev, stat.st_ino);
        Ok(Some(Loaded { identity, name, bytes }))
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> LoadError {
    LoadError::Unreadable { name: path.display().to_string(), why: error.to_string() }
}

/// An error that is shown outside of a report, as one line.
fn fault(error: &LoadError) -> anyhow::Error {
    anyhow::anyhow!("{}", line(&error.diagnostic(), &Sources::new()))
}

/// How many errors of a report are put into one message.
const SHOWN: usize = 8;

/// The errors of a report as one line, for logs.
fn findings(report: &Report, sources: &Sources) -> String {
    let is_error = |found: &&Diagnostic| found.code.severity() == Severity::Error;
    let errors = report.diagnostics().iter().filter(is_error);
    let mut lines: Vec<String> = errors.take(SHOWN).map(|found| line(found, sources)).collect();
    if report.errors() > SHOWN {
        lines.push(format!("and {} more", report.errors() - SHOWN));
    }
    lines.join("; ")
}

/// `FILE:LINE:COLUMN: message: label (help) [CODE]`
fn line(found: &Diagnostic, sources: &Sources) -> String {
    let mut text = String::new();
    if let Some(label) = &found.primary {
        let place = sources.place(label.span.source, label.span.start);
        let file = sources.name(label.span.source);
        text = format!("{file}:{}:{}: ", place.line, place.column);
    }
    text.push_str(&found.message);
    if let Some(label) = found.primary.as_ref().filter(|label| !label.text.is_empty()) {
        text.push_str(&format!(": {}", label.text));
    }
    for help in &found.help {
        text.push_str(&format!(" ({help})"));
    }
    format!("{text} [{}]", found.code.as_str())
}

/// Refuses what is no regular file, or what somebody else can write.
fn check(stat: &Stat, name: &str, caller: u32) -> Result<(), LoadError> {
    let name = name.to_owned();
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        _ => Some("something else"),
    };
    if let Some(kind) = kind {
        return Err(LoadError::NotAFile { name, kind: kind.to_owned() });
    }
    match distrust(stat, caller) {
        Some(why) => Err(LoadError::NotTrusted { name, why }),
        None => Ok(()),
    }
}

/// Who else can write it, if somebody can.
fn distrust(stat: &Stat, caller: u32) -> Option<String> {
    if stat.st_uid != 0 && stat.st_uid != caller {
        Some(format!("it belongs to user {}, who is neither root nor the caller", stat.st_uid))
    } else if stat.st_mode & 0o020 != 0 {
        Some("its group can write it".to_owned())
    } else if stat.st_mode & 0o002 != 0 {
        Some("others can write it".to_owned())
    } else {
        None
    }
}

/// The content, unless it is too large.
fn bounded(file: OwnedFd, name: &str) -> std::io::Result<Result<Vec<u8>, LoadError>> {
    let mut bytes = Vec::new();
    File::from(file).take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE {
        return Ok(Err(LoadError::TooLarge { name: name.to_owned() }));
    }
    Ok(Ok(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn write(directory: &tempfile::TempDir, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn error(path: &Path) -> LoadError {
        Files::default().open(path).unwrap_err()
    }

    #[test]
    fn a_file_that_only_its_owner_can_write_is_read() {
        let directory = directory();
        let path = write(&directory, "a.toml", "name = \"a\"\n", 0o644);
        assert_eq!(Files::default().open(&path).unwrap().bytes, b"name = \"a\"\n");
    }

    #[test]
    fn a_file_that_its_group_or_others_can_write_is_refused() {
        let directory = directory();
        for mode in [0o664, 0o646, 0o666] {
            let path = write(&directory, "a.toml", "", mode);
            assert!(matches!(error(&path), LoadError::NotTrusted { .. }), "{mode:o}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let directory = directory();
        let path = write(&directory, "a.toml", "", 0o644);
        let mut stat = rustix::fs::stat(&path).unwrap();
        let owner = stat.st_uid;
        assert!(check(&stat, "a", owner).is_ok());
        stat.st_uid = owner + 1;
        assert!(matches!(check(&stat, "a", owner), Err(LoadError::NotTrusted { .. })));
        stat.st_uid = 0;
        assert!(check(&stat, "a", owner + 2).is_ok(), "root's is read by everybody");
    }

    #[test]
    fn a_directory_a_fifo_and_a_device_are_refused_without_blocking() {
        let directory = directory();
        assert!(matches!(error(directory.path()), LoadError::NotAFile { .. }));
        let fifo = directory.path().join("fifo");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(error(&fifo), LoadError::NotAFile { kind, .. } if kind == "a FIFO"));
        let device = Path::new("/dev/zero");
        assert!(matches!(error(device), LoadError::NotAFile { kind, .. } if kind == "a device"));
    }

    #[test]
    fn a_file_of_100_megabytes_is_refused_after_reading_16() {
        let directory = directory();
        let path = write(&directory, "a.toml", "", 0o600);
        File::options().write(true).open(&path).unwrap().set_len(100 << 20).unwrap();
        assert!(matches!(error(&path), LoadError::TooLarge { .. }));
    }

    #[test]
    fn parents_are_found_beside_the_file_that_names_them() {
        let directory = directory();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        write(&directory, "sub/b.toml", "extends = [\"../c.toml\"]\n", 0o600);
        write(&directory, "c.toml", "[files]\ndeny = [\"/c\"]\n", 0o600);
        let root = write(&directory, "a.toml", "extends = [\"sub/b.toml\"]\n", 0o600);
        let reading = read(&root, &Overrides::new()).unwrap();
        assert_eq!(reading.resolved.unwrap().policy.files.deny.len(), 1);
    }

    #[test]
    fn a_circle_through_a_symbolic_link_is_a_circle() {
        let directory = directory();
        let root = write(&directory, "a.toml", "extends = [\"b.toml\"]\n", 0o600);
        std::os::unix::fs::symlink("a.toml", directory.path().join("b.toml")).unwrap();
        let reading = read(&root, &Overrides::new()).unwrap();
        assert_eq!(reading.report.diagnostics()[0].code.as_str(), "E0203");
    }

    #[test]
    fn built_in_profiles_are_read_by_name() {
        assert!(read(Path::new("default"), &Overrides::new()).unwrap().resolved.is_some());
        assert!(read(Path::new("./default"), &Overrides::new()).is_err());
    }
}
