// SPDX-License-Identifier: Apache-2.0
//! What shapes the language is made of.
//!
//! A [`Shape`] says which TOML values may stand somewhere; `language`
//! describes the whole language with them. The description is the only one:
//! `structure` checks a parsed text against it and `schema`
//! prints it as JSON Schema, so that an editor and `brig policy check` accept the
//! same structure. What a string *means* (a path, an address, a name) is not
//! structure and is checked where it is lowered.

/// Which values may stand somewhere.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Any string.
    Text,
    /// A string, for which an editor may offer these; others are possible.
    Hinted(fn() -> Vec<&'static str>),
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number within the bounds, both included.
    Integer {
        /// The smallest.
        least: i64,
        /// The greatest.
        greatest: i64,
    },
    /// A list of values of one shape.
    List(&'static Shape),
    /// A table with keys that the author chooses.
    Map(&'static Shape),
    /// A table with known keys.
    Table(&'static Table),
    /// One of several shapes of different TOML types.
    Either(&'static [Shape]),
}

/// A table with known keys.
#[derive(Debug)]
pub struct Table {
    /// What a table of this kind is called in messages.
    pub name: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
    /// Of these keys exactly one must be given; empty: no such condition.
    pub exactly_one: &'static [&'static str],
}

/// A key of a table.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What it is for, as an editor shows it.
    pub about: &'static str,
    /// Its value.
    pub shape: Shape,
    /// Whether it can be left out.
    pub presence: Presence,
}

/// Whether a key can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It can.
    Optional,
    /// It cannot.
    Required,
}

impl Table {
    /// The field of that key.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }
}

impl Shape {
    /// What may stand there, for a message: `a string or a table`.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Shape::Text | Shape::Hinted(_) | Shape::Choice(_) => "a string".to_owned(),
            Shape::Boolean => "`true` or `false`".to_owned(),
            Shape::Integer { .. } => "a whole number".to_owned(),
            Shape::List(item) => format!("a list, each item {}", item.expected()),
            Shape::Map(_) | Shape::Table(_) => "a table".to_owned(),
            Shape::Either(shapes) => {
                shapes.iter().map(Shape::expected).collect::<Vec<_>>().join(" or ")
            }
        }
    }
}

/// An optional key.
pub(crate) const fn optional(key: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { key, about, shape, presence: Presence::Optional }
}

/// A key that must be given.
pub(crate) const fn required(key: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { key, about, shape, presence: Presence::Required }
}
