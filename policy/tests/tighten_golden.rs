// SPDX-License-Identifier: Apache-2.0
//! What each shipped profile changes in the specifications that engines write, as text.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use brig_policy::policy::Policy;
use brig_policy::profile::{self, BUILT_IN, NoFiles};
use brig_policy::seccomp::{Arch, Match, Operator, Restriction, Selects};
use brig_policy::spec::{self, Host, Tightened, UserNamespace, tighten};
use brig_policy::target::{Landlock, Limits, Target};
use oci_spec::runtime::Spec;
use serde_json::Value;

const SPECS: [(&str, &str); 5] = [
    ("docker", include_str!("specs/docker.json")),
    ("podman", include_str!("specs/podman.json")),
    ("containerd", include_str!("specs/containerd.json")),
    ("crio", include_str!("specs/crio.json")),
    ("brig", include_str!("specs/brig.json")),
];

fn target() -> Target {
    Target {
        kernel: (6, 18),
        arch: Arch::X86_64,
        landlock: Some(Landlock { abi: 7, errata: 7 }),
        limits: Limits { processes: true, memory: true },
    }
}

fn load(text: &str) -> Spec {
    let spec = spec::load(text.as_bytes()).unwrap().spec;
    spec::validate(&spec).unwrap();
    spec
}

fn built_in(name: &str) -> Policy {
    let reading = profile::read(profile::built_in(name).unwrap(), &mut NoFiles, &[].into());
    reading.resolved.unwrap().policy
}

fn apply(spec: &Spec, policy: &Policy) -> Tightened {
    let target = target();
    tighten(spec, policy, Host { target: &target, user_namespace: UserNamespace::Initial })
}

/// Every leaf as `path = value`. The order of what is a set, and all lists of strings here are
/// compared as sets, is none of the text's business.
fn lines(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                lines(field, &format!("{path}.{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let place = if item.is_string() { String::new() } else { index.to_string() };
                lines(item, &format!("{path}[{place}]"), out);
            }
        }
        leaf => {
            out.insert(format!("{} = {leaf}", path.trim_start_matches('.')));
        }
    }
}

fn all_lines(spec: &Spec) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    lines(&serde_json::to_value(spec).unwrap(), "", &mut out);
    out
}

fn difference(before: &Spec, result: &Tightened) -> String {
    let (before, after) = (all_lines(before), all_lines(&result.spec));
    let mut text = String::new();
    for line in before.union(&after) {
        match (before.contains(line), after.contains(line)) {
            (true, false) => writeln!(text, "- {line}").unwrap(),
            (false, true) => writeln!(text, "+ {line}").unwrap(),
            _ => {}
        }
    }
    text
}

fn describe(restriction: &Restriction) -> String {
    let Selects::These(matches) = &restriction.selects else { panic!("{restriction:?}") };
    let call = |one: &Match| {
        let conditions = one.conditions.iter().map(|one| match one.operator {
            Operator::MaskedEqual { mask, value } => {
                format!(", argument {} & {mask:#x} is {value:#x}", one.index)
            }
            Operator::Equal(value) => format!(", argument {} is {value:#x}", one.index),
            other => panic!("{other:?}"),
        });
        format!("{}{}", one.syscall.name(), conditions.collect::<String>())
    };
    let calls: Vec<String> = matches.iter().map(call).collect();
    format!("{:?} ({})\n  {}", restriction.answer, restriction.label, calls.join("\n  "))
}

#[test]
fn each_shipped_profile_on_each_engines_specification() {
    for profile in BUILT_IN {
        let policy = built_in(profile);
        for (engine, text) in SPECS {
            let before = load(text);
            let result = apply(&before, &policy);
            spec::validate(&result.spec).unwrap_or_else(|error| panic!("{engine}: {error}"));
            let mut shown = difference(&before, &result);
            for change in &result.changes {
                writeln!(shown, "{change}").unwrap();
            }
            for restriction in &result.restrictions {
                writeln!(shown, "{}", describe(restriction)).unwrap();
            }
            assert!(result.unenforced.is_empty() && result.patterns.is_empty());
            insta::assert_snapshot!(format!("{profile}_on_{engine}"), shown);
        }
    }
}

#[test]
fn the_profile_none_changes_nothing() {
    for (engine, text) in SPECS {
        let before = load(text);
        let result = apply(&before, &built_in("none"));
        assert_eq!(result.spec, before, "{engine}");
        assert!(result.changes.is_empty() && result.restrictions.is_empty(), "{engine}");
    }
}
