// SPDX-License-Identifier: Apache-2.0
//! Hooks: where and in which order they run, what they are given, and what a failing one does.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Test, until};
use crate::test;

const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Hooks that append their name, the mount namespace's root listing and standard input to a file.
/// Those in the container write to the rootfs, which is `/` there.
fn recording(t: &Test, kinds: &[&str]) -> Value {
    let mut hooks = json!({});
    for kind in kinds {
        let log = match *kind {
            "startContainer" => "/hooks.log".to_owned(),
            _ => t.bundle.file("/hooks.log").display().to_string(),
        };
        let script = format!(
            "echo {kind} >> {log}; cat > {log}.{kind}; env > {log}.{kind}.env; \
                              ls -l /proc/self/fd | wc -l > {log}.{kind}.fds"
        );
        hooks[kind] = json!([{ "path": shell(kind), "args": ["sh", "-c", script], "env": ["ONLY=this", "PATH=/bin:/usr/bin"] }]);
    }
    hooks
}

fn shell(_: &str) -> &'static str {
    "/bin/sh"
}

#[test]
fn hooks_of_all_kinds_run_in_order_with_the_state_and_their_own_environment() {
    let mut t = test!();
    t.bundle.config["annotations"] = json!({ "org.example.key": "value" });
    t.bundle.config["hooks"] = recording(&t, &KINDS);
    t.bundle.args(["/bin/sleep", "1000"]);
    let log = t.bundle.file("/hooks.log");
    let lines = || {
        fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    t.run_command("create").env("SECRET", "caller").env("LD_PRELOAD", "").run().ok();
    let id = t.id("c");
    let pid = t.pid(&id);
    assert_eq!(lines(), ["prestart", "createRuntime", "createContainer"]);
    t.brig().args(["start", &id]).env("SECRET", "caller").run().ok();
    assert_eq!(lines()[3..], ["startContainer", "poststart"]);
    t.brig().args(["delete", "--force", &id]).env("SECRET", "caller").run().ok();
    assert_eq!(lines()[5..], ["poststop"]);
    let statuses = ["creating", "creating", "creating", "created", "running", "stopped"];
    for (kind, status) in KINDS.iter().zip(statuses) {
        let text = fs::read_to_string(t.bundle.file(&format!("/hooks.log.{kind}"))).unwrap();
        let state: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind}: {error}: {text:?}"));
        assert_eq!(state["id"], id, "{kind}");
        assert_eq!(state["bundle"], t.bundle.dir.to_str().unwrap(), "{kind}");
        assert_eq!(state["annotations"]["org.example.key"], "value", "{kind}");
        assert_eq!(state["status"], status, "{kind}");
        assert!(state["ociVersion"].is_string(), "{kind}");
        // the pid of the host, also for those that run in the container's namespaces
        if *kind != "poststop" {
            assert_eq!(state["pid"], pid, "{kind}: {state}");
        }
        let env = fs::read_to_string(t.bundle.file(&format!("/hooks.log.{kind}.env"))).unwrap();
        let mut names: Vec<&str> =
            env.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // what the shell sets by itself
        names.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name));
        names.sort_unstable();
        assert_eq!(names, ["ONLY", "PATH"], "{kind}");
        let count = fs::read_to_string(t.bundle.file(&format!("/hooks.log.{kind}.fds"))).unwrap();
        // "total", 0, 1, 2, and what ls opens
        assert!(count.trim().parse::<u32>().unwrap() <= 5, "{kind} inherits: {count}");
    }
    t.assert_clean();
}

#[test]
fn hooks_of_one_kind_run_in_the_order_given() {
    let mut t = test!();
    let log = t.path("log");
    let hook = |name: &str| json!({ "path": "/bin/sh", "args": ["sh", "-c", format!("echo {name} >> {}", log.display())] });
    t.bundle.config["hooks"] = json!({ "prestart": [hook("a"), hook("b"), hook("c")], "poststop": [hook("x"), hook("y")] });
    t.run(["/bin/true"]).ok();
    assert_eq!(fs::read_to_string(&log).unwrap(), "a\nb\nc\nx\ny\n");
}

#[test]
fn a_hook_without_environment_has_none() {
    let mut t = test!();
    let log = t.path("log");
    let script = format!("tr '\\0' '\\n' < /proc/self/environ > {}", log.display());
    t.bundle.config["hooks"] =
        json!({ "prestart": [{ "path": "/bin/busybox", "args": ["sh", "-c", script] }] });
    t.bundle.args(["/bin/true"]);
    t.run_command("run").env("SECRET", "caller").run().ok();
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains("SECRET") && !text.contains("PATH=/usr/sbin"), "{text}");
}

#[test]
fn hooks_run_where_the_specification_says() {
    let mut t = test!();
    t.bundle.install("/inside", "", 0o644);
    let link = |kind: &str| {
        let log = if kind == "startContainer" {
            "/ns".to_owned()
        } else {
            t.bundle.file("/ns").display().to_string()
        };
        json!([{ "path": "/bin/busybox", "args": ["sh", "-c",
            format!("readlink /proc/self/ns/mnt > {log}.{kind}")] }])
    };
    let mut hooks = json!({});
    for kind in KINDS {
        hooks[kind] = link(kind);
    }
    t.bundle.config["hooks"] = hooks;
    let inner = t.script("readlink /proc/self/ns/mnt").ok().text().to_owned();
    let outer = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    for kind in KINDS {
        let found = fs::read_to_string(t.bundle.file(&format!("/ns.{kind}"))).unwrap();
        let expected = if kind.ends_with("Container") { &inner } else { &outer };
        assert_eq!(found.trim(), expected, "{kind}");
    }
}

#[test]
fn a_failing_hook_of_create_fails_create_and_leaves_nothing() {
    let mut t = test!();
    for kind in ["prestart", "createRuntime", "createContainer"] {
        for (path, args) in [
            ("/bin/false", json!(["false"])),
            ("/no/such/hook", json!(["x"])),
            ("/bin/sh", json!(["sh", "-c", "kill -9 $$"])),
        ] {
            t.bundle.config["hooks"] = json!({ kind: [{ "path": path, "args": args }] });
            t.bundle.args(["/bin/true"]);
            t.run_command("create").run().exits(1).fails_with("hook");
            t.assert_clean();
            t.run_command("run").run().exits(1).fails_with("hook");
            t.assert_clean();
        }
    }
}

#[test]
fn a_failing_start_hook_fails_start() {
    let mut t = test!();
    t.bundle.config["hooks"] = json!({ "startContainer": [{ "path": "/bin/false" }] });
    t.bundle.script("echo begun > /begun");
    let id = t.create();
    t.call(["start", &id]).exits(1).fails_with("startContainer hook");
    t.await_status(&id, "stopped");
    assert!(!t.bundle.file("/begun").exists(), "the program has not been executed");
    t.call(["delete", &id]).ok();
    t.run_command("run").run().exits(1).fails_with("startContainer hook");
    t.assert_clean();
}

#[test]
fn failing_hooks_after_the_start_are_warnings() {
    let mut t = test!();
    t.bundle.config["hooks"] =
        json!({ "poststart": [{ "path": "/bin/false" }], "poststop": [{ "path": "/bin/false" }] });
    let outcome = t.run(["/bin/echo", "ran"]).prints("ran");
    assert_eq!(outcome.stderr.matches("warning:").count(), 2, "{outcome:?}");
    t.assert_clean();
}

#[test]
fn a_hook_that_takes_too_long_is_killed() {
    let mut t = test!();
    for kind in ["prestart", "createContainer"] {
        t.bundle.config["hooks"] = json!({ kind: [
            { "path": "/bin/busybox", "args": ["sleep", "1000"], "timeout": 1 },
        ] });
        t.run(["/bin/true"]).exits(1).fails_with("hook");
        t.assert_clean();
    }
}

#[test]
fn poststop_hooks_run_after_the_container_is_gone() {
    let mut t = test!();
    let log = t.path("log");
    let state = t.root().join(t.id("c"));
    let script = format!(
        "cat > /dev/null; ls {} >/dev/null 2>&1; echo $? > {}",
        state.display(),
        log.display()
    );
    t.bundle.config["hooks"] =
        json!({ "poststop": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    t.run(["/bin/true"]).ok();
    let text = until("the hook", || fs::read_to_string(&log).ok().filter(|text| !text.is_empty()));
    assert_ne!(text.trim(), "0");
}
