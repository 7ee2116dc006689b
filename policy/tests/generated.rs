// SPDX-License-Identifier: Apache-2.0
//! Files that are printed from tables in the code are what the code prints.
//!
//! `BRIG_BLESS=1 cargo test -p brig-policy --test generated` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking
#![allow(clippy::disallowed_methods)] // a test reads and writes the tree that it is in

use std::path::Path;

use brig_policy::diagnostics::{Code, Severity};
use brig_policy::profile;

fn is_generated(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles").join(file);
    if std::env::var_os("BRIG_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{file} is out of date: BRIG_BLESS=1 writes it anew");
}

#[test]
fn the_schema_file_is_what_the_language_says() {
    let text = serde_json::to_string_pretty(&profile::schema()).unwrap() + "\n";
    is_generated("schema.json", &text);
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::meta::validate(&profile::schema()).unwrap();
}

#[test]
fn every_code_is_documented() {
    let mut text = String::from(
        "# Codes\n\nWhat brig can say about a profile, or about the operator's `config.toml`. A code's meaning never changes.\n\
         Errors (`E`) keep a profile from being used; warnings (`W`) do not. This file is printed from\n\
         `policy/src/diagnostics/codes.rs`.\n",
    );
    for (severity, heading) in [(Severity::Error, "Errors"), (Severity::Warning, "Warnings")] {
        text.push_str(&format!(
            "\n## {heading}\n\n| code | what | what it means |\n|---|---|---|\n"
        ));
        for code in Code::ALL.iter().filter(|code| code.severity() == severity) {
            let explanation = code.explanation().replace('|', "\\|");
            text.push_str(&format!("| {} | {} | {explanation} |\n", code.as_str(), code.title()));
        }
    }
    is_generated("CODES.md", &text);
}
