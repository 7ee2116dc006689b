// SPDX-License-Identifier: Apache-2.0
//! The same bundle under brig and under runc: what engines read must be the same.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Feature, Outcome, Runner, Test, require, until};
use crate::test;

fn runc(t: &Test) -> Runner {
    t.watch_root(&t.path("runc"));
    t.program("runc").arg("--root").arg(t.path("runc"))
}

/// A sleeping container under each. Returns their ids.
fn both(t: &mut Test) -> (String, String) {
    t.bundle.config["annotations"] = serde_json::json!({ "org.example.a": "b", "x": "" });
    t.bundle.args(["/bin/sleep", "1000"]);
    let ours = t.create();
    let theirs = t.id("runc");
    t.bundle.config["linux"]["cgroupsPath"] = serde_json::json!(format!("/{}-runc", t.tag()));
    t.bundle.write();
    runc(t).args(["create", "--bundle"]).arg(&t.bundle.dir).arg(&theirs).run().ok();
    (ours, theirs)
}

fn end(t: &Test, theirs: &str) {
    runc(t).args(["delete", "--force", theirs]).run().ok();
    // runc leaves its root's directory of nobody
    std::fs::remove_dir_all(t.path("runc")).unwrap_or_default();
}

fn fields(value: &Value) -> BTreeMap<String, String> {
    let kind = |value: &Value| match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    let object = value.as_object().expect("an object");
    object.iter().map(|(name, value)| (name.clone(), kind(value).to_owned())).collect()
}

#[test]
fn state_has_runcs_fields_and_values() {
    let mut t = test!().plain();
    if !require(Feature::Runc, module_path!(), t.name()) {
        return;
    }
    let (ours, theirs) = both(&mut t);
    let runc_state = |status: &str| -> Value {
        until(status, || {
            let text = runc(&t).args(["state", &theirs]).run().ok().stdout;
            let value: Value = serde_json::from_str(&text).unwrap();
            (value["status"] == status).then_some(value)
        })
    };
    let compare = |status: &str| {
        t.await_status(&ours, status);
        let (mut mine, other) = (t.state(&ours), runc_state(status));
        let annotations = mine["annotations"].as_object_mut().unwrap();
        annotations.retain(|name, _| !name.starts_with("io.brig."));
        assert_eq!(fields(&mine), fields(&other));
        for name in ["status", "bundle", "rootfs", "annotations", "owner"] {
            let other = if name == "owner" && other[name] == "" {
                &Value::from("root")
            } else {
                &other[name]
            };
            assert_eq!(&mine[name], other, "{name}");
        }
        assert_eq!(mine["id"], ours.as_str());
        assert_eq!(mine["pid"] == 0, other["pid"] == 0);
        let form = |value: &Value| -> String {
            let text = value["created"].as_str().unwrap();
            text.chars().filter(|one| !one.is_ascii_digit()).collect()
        };
        assert_eq!(form(&mine), form(&other), "created");
    };
    compare("created");
    t.call(["start", &ours]).ok();
    runc(&t).args(["start", &theirs]).run().ok();
    compare("running");
    t.call(["pause", &ours]).ok();
    runc(&t).args(["pause", &theirs]).run().ok();
    compare("paused");
    t.call(["resume", &ours]).ok();
    runc(&t).args(["resume", &theirs]).run().ok();
    t.call(["kill", &ours, "KILL"]).ok();
    runc(&t).args(["kill", &theirs, "KILL"]).run().ok();
    compare("stopped");
    end(&t, &theirs);
}

/// The columns of a table, by heading.
fn headings(outcome: &Outcome) -> Vec<String> {
    outcome
        .stdout
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn list_and_ps_have_runcs_forms() {
    let mut t = test!().plain();
    if !require(Feature::Runc, module_path!(), t.name()) {
        return;
    }
    let empty = |outcome: Outcome| outcome.ok().stdout;
    assert_eq!(empty(t.call(["list", "--quiet"])), "");
    let (ours, theirs) = both(&mut t);
    t.call(["start", &ours]).ok();
    runc(&t).args(["start", &theirs]).run().ok();
    let (mine, other) = (t.call(["list"]).ok(), runc(&t).arg("list").run().ok());
    assert_eq!(headings(&mine), headings(&other));
    assert_eq!(mine.stdout.lines().count(), 2);
    let words =
        |outcome: &Outcome| outcome.stdout.lines().nth(1).unwrap().split_whitespace().count();
    assert_eq!(words(&mine), words(&other));
    assert_eq!(t.call(["list", "-q"]).ok().text(), ours);
    let json = |outcome: Outcome| -> Value { serde_json::from_str(&outcome.ok().stdout).unwrap() };
    let mine = json(t.call(["list", "--format", "json"]));
    let other = json(runc(&t).args(["list", "--format", "json"]).run());
    assert_eq!(fields(&mine[0]), fields(&other[0]));
    t.call(["list", "--format", "nope"]).fails_with("nope");

    let mine = json(t.call(["ps", "--format", "json", &ours]));
    assert_eq!(mine, serde_json::json!([t.pid(&ours)]));
    assert!(json(runc(&t).args(["ps", "--format", "json", &theirs]).run()).is_array());
    let (mine, other) = (t.call(["ps", &ours]).ok(), runc(&t).args(["ps", &theirs]).run().ok());
    assert_eq!(headings(&mine), headings(&other));
    assert_eq!(mine.stdout.lines().count(), 2);
    assert!(mine.stdout.contains("/bin/sleep 1000"));
    let mine = t.call(["ps", &ours, "-o", "pid,comm"]).ok();
    assert_eq!(headings(&mine), ["PID", "COMMAND"]);
    end(&t, &theirs);
}

#[test]
fn events_have_runcs_fields() {
    let mut t = test!().plain();
    if !require(Feature::Runc, module_path!(), t.name()) {
        return;
    }
    let (ours, theirs) = both(&mut t);
    t.call(["start", &ours]).ok();
    runc(&t).args(["start", &theirs]).run().ok();
    let json = |outcome: Outcome| -> Value { serde_json::from_str(&outcome.ok().stdout).unwrap() };
    let mine = json(t.call(["events", "--stats", &ours]));
    let other = json(runc(&t).args(["events", "--stats", &theirs]).run());
    assert_eq!(mine["type"], other["type"]);
    assert_eq!(mine["id"], ours.as_str());
    for part in ["cpu", "memory", "pids"] {
        for (name, kind) in fields(&other["data"][part]) {
            let found = fields(&mine["data"][part]).get(&name).cloned();
            assert!(
                found.as_deref() == Some(kind.as_str()) || kind == "object" && found.is_some(),
                "{part}.{name}: {kind}, {found:?}"
            );
        }
    }
    assert_eq!(mine["data"]["pids"]["current"], other["data"]["pids"]["current"]);
    assert!(mine["data"]["memory"]["usage"]["usage"].as_u64().unwrap() > 0);
    end(&t, &theirs);
}

#[test]
fn exit_statuses_are_runcs() {
    let mut t = test!().plain();
    if !require(Feature::Runc, module_path!(), t.name()) {
        return;
    }
    for args in [
        &["/bin/sh", "-c", "exit 3"][..],
        &["/bin/sh", "-c", "sh -c 'kill -9 $$'"],
        &["/bin/none"],
        &["/etc/passwd"],
        &["none"],
    ] {
        let ours = t.run(args.iter().copied());
        let theirs = runc(&t).args(["run", "--bundle"]).arg(&t.bundle.dir).arg(t.id("runc")).run();
        assert_eq!(ours.status.code(), theirs.status.code(), "{args:?}: {ours:?} {theirs:?}");
    }
    std::fs::remove_dir_all(t.path("runc")).unwrap_or_default();
}
