// SPDX-License-Identifier: Apache-2.0
//! Reading profiles in tests: from memory, and always past the schema as well.

#![allow(dead_code)] // each test file uses a part

use std::collections::BTreeMap;
use std::sync::LazyLock;

use brig_policy::diagnostics::{Code, Paint, Report, human};
use brig_policy::profile::{self, LoadError, Loaded, Loader, Reading, Resolved};
use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

/// Files by name.
#[derive(Default)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Loader for Memory {
    fn load(&mut self, _: &str, reference: &str) -> Result<Loaded, LoadError> {
        let name = reference.trim_start_matches("./").to_owned();
        match name.as_str() {
            "dir" => return Err(LoadError::NotAFile { name, kind: "a directory".into() }),
            "shared.toml" => {
                return Err(LoadError::NotTrusted { name, why: "its group can write it".into() });
            }
            "huge.toml" => return Err(LoadError::TooLarge { name }),
            _ => {}
        }
        match self.0.get(&name) {
            Some(bytes) => Ok(Loaded { identity: name.clone(), name, bytes: bytes.clone() }),
            None => Err(LoadError::Unreadable { name, why: "no such file".into() }),
        }
    }
}

/// A file in memory.
pub fn file(name: &str, bytes: &[u8]) -> Loaded {
    Loaded { identity: name.into(), name: name.into(), bytes: bytes.to_vec() }
}

/// Reads a profile and checks that the schema judges its structure alike.
pub fn read(text: &str, others: &[(&str, &str)], set: &[(&str, &str)]) -> Reading {
    let files = others.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec()));
    let set = set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let reading =
        profile::read(file("web.toml", text.as_bytes()), &mut Memory(files.collect()), &set);
    agree(text, &reading);
    reading
}

/// What was found, as people see it.
pub fn shown(reading: &Reading) -> String {
    human(&reading.report, &reading.sources, Paint::Plain)
}

/// A profile that must be right.
pub fn resolved(text: &str) -> Resolved {
    let reading = read(text, &[], &[]);
    let shown = shown(&reading);
    reading.resolved.unwrap_or_else(|| panic!("{text}\n{shown}"))
}

/// The codes that were reported.
pub fn codes(report: &Report) -> Vec<&'static str> {
    report.diagnostics().iter().map(|found| found.code.as_str()).collect()
}

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&profile::schema()).unwrap());

/// The schema and the parser accept the same structure.
pub fn agree(text: &str, reading: &Reading) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Ok(tree) = DeTable::parse(text) else { return };
    if codes(&reading.report).contains(&"E0100") {
        return;
    }
    let wrong = reading.report.diagnostics().iter().any(|found| {
        let root = found.primary.as_ref().is_some_and(|label| label.span.source.index() == 0);
        root && structural(found.code)
    });
    let instance = table(tree.get_ref());
    let errors: Vec<_> = VALIDATOR.iter_errors(&instance).map(|e| e.to_string()).collect();
    let shown = human(&reading.report, &reading.sources, Paint::Plain);
    assert_eq!(wrong, !errors.is_empty(), "{text}\nschema: {errors:?}\nparser: {shown}");
}

fn structural(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownKey
            | Code::WrongType
            | Code::MissingKey
            | Code::UnknownChoice
            | Code::OutOfRange
            | Code::Combination
    )
}

fn table(of: &DeTable<'_>) -> Value {
    of.iter().map(|(key, item)| (key.get_ref().to_string(), value(item.get_ref()))).collect()
}

/// TOML as JSON. A float is not an integer in TOML even if it has no fraction, and
/// a date is not a string; JSON cannot tell, so they become what is nothing else.
fn value(of: &DeValue<'_>) -> Value {
    match of {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_or(json!(1.5), |number| json!(number))
        }
        DeValue::Float(_) => json!(0.5),
        DeValue::Boolean(truth) => json!(truth),
        DeValue::Datetime(_) => Value::Null,
        DeValue::Array(items) => items.iter().map(|item| value(item.get_ref())).collect(),
        DeValue::Table(entries) => table(entries),
    }
}
