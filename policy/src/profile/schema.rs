// SPDX-License-Identifier: Apache-2.0
//! The description of the language as JSON Schema, for editors.
//!
//! `profiles/schema.json` is this, kept equal by a test. It accepts exactly the
//! structure that [`super::structure`] accepts; it knows nothing of what strings
//! mean, except that it offers the names that are known.

use serde_json::{Map, Value, json};

use super::language::PROFILE;
use super::shape::{Presence, Shape, Table};

/// The schema of a profile.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(&PROFILE);
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("brig profile"));
        object.insert(
            "description".into(),
            json!("What a container may do. An absent list restricts nothing, a present one allows only what it names, a deny wins."),
        );
    }
    schema
}

fn table(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .fields
        .iter()
        .map(|field| {
            let mut value = shape(field.shape);
            if let Some(object) = value.as_object_mut() {
                object.insert("description".into(), json!(field.about));
            }
            (field.key.to_owned(), value)
        })
        .collect();
    let required: Vec<&str> = table
        .fields
        .iter()
        .filter(|field| field.presence == Presence::Required)
        .map(|field| field.key)
        .collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("additionalProperties".into(), json!(false));
    object.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    if !table.exactly_one.is_empty() {
        let one = |key: &&str| json!({ "required": [key] });
        object.insert("oneOf".into(), table.exactly_one.iter().map(one).collect());
    }
    Value::Object(object)
}

fn shape(of: Shape) -> Value {
    match of {
        Shape::Text => json!({ "type": "string" }),
        Shape::Hinted(names) => json!({ "anyOf": [{ "enum": names() }, { "type": "string" }] }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer { least, greatest: i64::MAX } => {
            json!({ "type": "integer", "minimum": least })
        }
        Shape::Integer { least, greatest } => {
            json!({ "type": "integer", "minimum": least, "maximum": greatest })
        }
        Shape::List(item) => json!({ "type": "array", "items": shape(*item) }),
        Shape::Map(item) => json!({ "type": "object", "additionalProperties": shape(*item) }),
        Shape::Table(of) => table(of),
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(|of| shape(*of)).collect::<Vec<_>>() })
        }
    }
}
