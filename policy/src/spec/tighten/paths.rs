// SPDX-License-Identifier: Apache-2.0
//! Masked paths.
//!
//! A mask that names one path goes where the engine's own masks go. `/` cannot be masked (the
//! process stays in the root below the mount), nor can a path be written there that is not UTF-8;
//! those are reported with the patterns.

use oci_spec::runtime::Spec;

use super::{Notes, label};
use crate::policy::{PathRule, Policy};

/// Applies one layer.
pub(super) fn apply(spec: &mut Spec, layer: &Policy, notes: &mut Notes) {
    if layer.files.mask.is_empty() {
        return;
    }
    let mut linux = spec.linux().clone().unwrap_or_default();
    let mut masked = linux.masked_paths().clone().unwrap_or_default();
    let before = masked.len();
    for rule in &layer.files.mask {
        let Some(path) = plain(rule) else {
            notes.patterns.push(rule.clone());
            continue;
        };
        if !masked.iter().any(|one| same(one, path)) {
            masked.push(path.to_owned());
            notes.changed("linux.maskedPaths", path, &label("mask", &rule.origin));
        }
    }
    if masked.len() > before {
        linux.set_masked_paths(Some(masked));
        spec.set_linux(Some(linux));
    }
}

fn plain(rule: &PathRule) -> Option<&str> {
    let path = std::str::from_utf8(rule.pattern.literal()?).ok()?;
    (path != "/" && rule.except.is_empty()).then_some(path)
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other
}
