// SPDX-License-Identifier: Apache-2.0
//! The whole language of `config.toml`, described. What is not here is an error.

use crate::profile::shape::{Shape, Table, optional};

use super::choose::PROFILE_ANNOTATION;

/// A whole configuration.
pub(super) static CONFIG: Table = Table {
    name: "the configuration",
    fields: &[
        optional("default_profile", Shape::Text, "The profile of containers that have no other."),
        optional(
            "required_profile",
            Shape::Text,
            "A profile that must allow an operation, too, whatever profile a container has.",
        ),
        optional(
            "allow_annotations",
            Shape::List(&Shape::Choice(&[PROFILE_ANNOTATION])),
            "Annotations by which a bundle may choose its profile.",
        ),
        optional(
            "allow_set",
            Shape::List(&Shape::Text),
            "Variables that a bundle may set, by annotations `io.brig.set.NAME`.",
        ),
        optional(
            "enforcement",
            Shape::Choice(&["strict", "best-effort"]),
            "What becomes of a container whose profile this host cannot wholly enforce.",
        ),
        optional(
            "max_rules",
            Shape::Integer { least: 16, greatest: 1_000_000 },
            "How many rules the kernel is given for the paths of one container.",
        ),
        optional("log", Shape::Table(&LOG), "What becomes of decisions."),
    ],
    exactly_one: &[],
};

static LOG: Table = Table {
    name: "[log]",
    fields: &[
        optional(
            "decisions",
            Shape::Choice(&["state", "file", "journal", "none"]),
            "Where decisions go.",
        ),
        optional("file", Shape::Text, "The file, where they go to one: an absolute path."),
        optional(
            "max_size",
            Shape::Either(&[Shape::Integer { least: 4096, greatest: i64::MAX }, Shape::Text]),
            "How large a file of decisions becomes: bytes, or with K, M, G, T.",
        ),
        optional(
            "max_per_second",
            Shape::Integer { least: 1, greatest: 1_000_000 },
            "How many decisions of one container are written in a second.",
        ),
    ],
    exactly_one: &[],
};
