// SPDX-License-Identifier: Apache-2.0
//! The profiles that brig brings along, by name.

use super::load::Loaded;

/// Their names.
pub const NAMES: &[&str] = &["base", "default", "none", "untrusted"];

const TEXTS: &[(&str, &str)] = &[
    ("base", include_str!("../../../profiles/base.toml")),
    ("default", include_str!("../../../profiles/default.toml")),
    ("none", include_str!("../../../profiles/none.toml")),
    ("untrusted", include_str!("../../../profiles/untrusted.toml")),
];

/// The built-in profile of that name. In messages and origins it is called
/// `builtin/NAME.toml`.
#[must_use]
pub fn load(name: &str) -> Option<Loaded> {
    let (name, text) = TEXTS.iter().find(|(known, _)| *known == name)?;
    let called = format!("builtin/{name}.toml");
    Some(Loaded { identity: called.clone(), name: called, bytes: text.as_bytes().to_vec() })
}
