// SPDX-License-Identifier: Apache-2.0
//! Profile files in the format of Docker and Podman: `linux.seccomp` plus entries that apply only
//! with some capabilities, on some architectures, or from some kernel on.
//!
//! An engine resolves these before it writes the specification that a runtime sees, so this is
//! for people who look at a profile, and for brig's own default. A plain `linux.seccomp` is such
//! a file too.

use super::arch::Arch;
use super::error::Error;
use super::parse::{Parser, field, parse_at};
use super::spec::Seccomp;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What decides which entries apply.
#[derive(Clone, Debug)]
pub struct Host {
    /// The architecture of the machine.
    pub native: Arch,
    /// Version of the kernel.
    pub kernel: (u32, u32),
    /// The container's capabilities, as `CAP_*`.
    pub capabilities: BTreeSet<String>,
}

/// Parses a profile file for one host.
///
/// # Errors
///
/// Everything that is wrong with it, as [`super::parse`] does.
pub fn parse_profile(value: &Value, host: &Host) -> Result<Seccomp, Vec<Error>> {
    let mut parser = Parser::default();
    let plain = parser.plain(value, host);
    if !parser.errors.is_empty() {
        return Err(parser.errors);
    }
    parse_at("profile", &plain)
}

impl Parser {
    /// The profile as a plain `linux.seccomp`. Entries that do not apply stay as entries without
    /// names, so that positions are those of the file.
    fn plain(&mut self, value: &Value, host: &Host) -> Value {
        let mut plain = value.clone();
        let (Some(object), Some(result)) = (value.as_object(), plain.as_object_mut()) else {
            return plain;
        };
        if let Some(map) = field(object, "archMap") {
            if field(object, "architectures")
                .is_some_and(|a| a.as_array().is_none_or(|a| !a.is_empty()))
            {
                self.error("profile.archMap", "stands beside `architectures`; give one of them");
            }
            result.remove("archMap");
            result.insert("architectures".to_owned(), self.arch_map(map, host));
        }
        self.named_errno("profile", result, "defaultErrno", "defaultErrnoRet");
        let Some(Value::Array(entries)) = result.get_mut("syscalls") else { return plain };
        for (index, entry) in entries.iter_mut().enumerate() {
            if let Value::Object(entry) = entry {
                self.plain_docker_entry(&format!("profile.syscalls[{index}]"), entry, host);
            }
        }
        plain
    }

    fn plain_docker_entry(&mut self, place: &str, entry: &mut Map<String, Value>, host: &Host) {
        if let Some(name) = entry.remove("name").filter(|name| name.as_str() != Some("")) {
            if field(entry, "names").is_some_and(|n| n.as_array().is_none_or(|n| !n.is_empty())) {
                self.error(&format!("{place}.name"), "stands beside `names`; give one of them");
            }
            entry.insert("names".to_owned(), Value::Array(vec![name]));
        }
        self.named_errno(place, entry, "errno", "errnoRet");
        let includes = entry.remove("includes").unwrap_or_default();
        let excludes = entry.remove("excludes").unwrap_or_default();
        let included = self.filter(&format!("{place}.includes"), &includes, host);
        let excluded = self.filter(&format!("{place}.excludes"), &excludes, host);
        let Some((included, excluded)) = included.zip(excluded) else { return };
        let applies = included.iter().all(|holds| *holds) && !excluded.contains(&true);
        if !applies {
            entry.insert("names".to_owned(), Value::Array(Vec::new()));
            entry.insert("inapplicable".to_owned(), Value::Bool(true));
        }
    }

    /// The architectures that belong to the native one.
    fn arch_map(&mut self, map: &Value, host: &Host) -> Value {
        let mut found = Vec::new();
        for (index, value) in self.list("profile.archMap", Some(map)).iter().enumerate() {
            let place = format!("profile.archMap[{index}]");
            let Some(object) = self.object(&place, value) else { continue };
            let main = field(object, "architecture").cloned().unwrap_or_default();
            let main_place = format!("{place}.architecture");
            let Some(name) = self.string(&main_place, &main) else { continue };
            let Some(arch) = Arch::from_oci(name) else {
                self.error(&main_place, format_args!("{name:?} is not an architecture"));
                continue;
            };
            let subs = field(object, "subArchitectures");
            let subs = self.list(&format!("{place}.subArchitectures"), subs);
            if arch == host.native {
                found.push(main.clone());
                found.extend(subs.iter().cloned());
            }
        }
        Value::Array(found)
    }

    /// Which conditions of `includes` or `excludes` hold; `None` after an error.
    fn filter(&mut self, place: &str, filter: &Value, host: &Host) -> Option<Vec<bool>> {
        let mut holds = Vec::new();
        if filter.is_null() {
            return Some(holds);
        }
        let object = self.object(place, filter)?;
        let caps_place = format!("{place}.caps");
        for (index, value) in self.list(&caps_place, field(object, "caps")).iter().enumerate() {
            let name = self.string(&format!("{caps_place}[{index}]"), value)?;
            holds.push(host.capabilities.contains(name));
        }
        let arches_place = format!("{place}.arches");
        let arches = self.list(&arches_place, field(object, "arches"));
        let mut names = Vec::new();
        for (index, value) in arches.iter().enumerate() {
            names.push(self.string(&format!("{arches_place}[{index}]"), value)?);
        }
        if !names.is_empty() {
            holds.push(host.native.names().iter().any(|name| names.contains(name)));
        }
        if let Some(value) = field(object, "minKernel") {
            let place = format!("{place}.minKernel");
            let version = self.string(&place, value)?;
            match kernel(version) {
                Some(version) => holds.push(host.kernel >= version),
                None => self.error(&place, format_args!("{version:?} is not MAJOR.MINOR")),
            }
        }
        Some(holds)
    }

    /// Podman writes errnos by name beside, or in place of, the number.
    fn named_errno(
        &mut self,
        place: &str,
        object: &mut Map<String, Value>,
        name: &str,
        number: &str,
    ) {
        let Some(value) = object.remove(name).filter(|value| !value.is_null()) else { return };
        let place = format!("{place}.{name}");
        let Some(text) = self.string(&place, &value) else { return };
        match ERRNOS.iter().find(|(known, _)| *known == text) {
            Some((_, errno)) => {
                object.insert(number.to_owned(), Value::from(*errno));
            }
            None if text.is_empty() => {}
            None => self.error(&place, format_args!("{text:?} is not an errno that brig knows")),
        }
    }
}

fn kernel(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// asm-generic/errno-base.h and what profiles use of errno.h.
static ERRNOS: [(&str, u16); 14] = [
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EINTR", 4),
    ("EIO", 5),
    ("ENXIO", 6),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EBUSY", 16),
    ("EINVAL", 22),
    ("ENOSYS", 38),
    ("EOPNOTSUPP", 95),
    ("EAFNOSUPPORT", 97),
];

/// brig's own profile, for specifications without `linux.seccomp`; a reason stands at each group.
pub const DEFAULT_PROFILE: &str = include_str!("../../../profiles/seccomp/default.json");

/// [`DEFAULT_PROFILE`] for one host.
///
/// # Errors
///
/// None that a test would not have found.
pub fn default_profile(host: &Host) -> Result<Seccomp, Vec<Error>> {
    let value = serde_json::from_str(DEFAULT_PROFILE)
        .map_err(|error| vec![Error::spec("profile", error)])?;
    parse_profile(&value, host)
}
