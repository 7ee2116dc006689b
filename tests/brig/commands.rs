// SPDX-License-Identifier: Apache-2.0
//! spec, features, update, events, logs and the root directory.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use serde_json::{Value, json};

use crate::harness::{process, until};
use crate::test;

#[test]
fn spec_writes_a_config_that_runs() {
    let mut t = test!();
    let bundle = &t.bundle;
    fs::remove_file(bundle.dir.join("config.json")).unwrap_or_default();
    t.brig().args(["spec", "--bundle"]).arg(&bundle.dir).run().ok();
    let text = fs::read_to_string(bundle.dir.join("config.json")).unwrap();
    t.brig().args(["spec", "--bundle"]).arg(&bundle.dir).run().fails_with("config.json");
    assert_eq!(
        fs::read_to_string(bundle.dir.join("config.json")).unwrap(),
        text,
        "never overwritten"
    );
    let mut config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["process"]["terminal"], true);
    config["process"]["terminal"] = json!(false);
    config["linux"]["cgroupsPath"] = json!(format!("/{}", t.tag()));
    t.bundle.config = config;
    t.run(["/bin/hostname"]).prints("brig");
    t.script("echo x > /x").fails_with("Read-only file system");
    t.assert_clean();
}

/// A file of the container's cgroup in the hierarchy of a controller.
fn cgroup(pid: i32, controller: &str, file: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        (parts.nth(1) == Some(controller)).then(|| parts.next().unwrap().to_owned())
    });
    let path = path.unwrap_or_else(|| panic!("no {controller} in {text}"));
    let file = format!("/sys/fs/cgroup/{controller}{path}/{file}");
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}")).trim().to_owned()
}

#[test]
fn limits_are_applied_and_updated() {
    let mut t = test!();
    t.bundle.config["linux"]["resources"] = json!({
        "memory": { "limit": 67_108_864 }, "pids": { "limit": 50 }, "cpu": { "shares": 512 },
        "devices": [{ "allow": false, "access": "rwm" }],
    });
    let id = t.start_sleeping();
    let pid = t.pid(&id);
    assert_eq!(cgroup(pid, "memory", "memory.limit_in_bytes"), "67108864");
    assert_eq!(cgroup(pid, "pids", "pids.max"), "50");
    assert_eq!(cgroup(pid, "cpu", "cpu.shares"), "512");
    t.call(["update", "--memory", "128M", "--pids-limit", "60", "--cpu-share", "256", &id]).ok();
    assert_eq!(cgroup(pid, "memory", "memory.limit_in_bytes"), "134217728");
    assert_eq!(cgroup(pid, "pids", "pids.max"), "60");
    assert_eq!(cgroup(pid, "cpu", "cpu.shares"), "256");
    let file = t.path("resources.json");
    fs::write(&file, json!({ "pids": { "limit": 70 } }).to_string()).unwrap();
    t.brig().args(["update", "--resources"]).arg(&file).arg(&id).run().ok();
    assert_eq!(cgroup(pid, "pids", "pids.max"), "70");
    assert_eq!(cgroup(pid, "memory", "memory.limit_in_bytes"), "134217728", "the rest stays");
    t.brig()
        .args(["update", "--resources", "-", &id])
        .stdin(fs::File::open(&file).unwrap())
        .run()
        .ok();
    t.call(["update", "--pids-limit", "-1", &id]).ok();
    assert_eq!(cgroup(pid, "pids", "pids.max"), "max");
    t.call(["update", &id]).fails_with("nothing to change");
    t.call(["update", "--memory", "x", &id]).fails_with("--memory");
    // the device rules are as they were
    t.exec(&id, ["/bin/sh", "-c", "echo x > /dev/null && echo fine"]).prints("fine");
}

#[test]
fn events_report_an_out_of_memory_kill() {
    let mut t = test!();
    t.bundle.config["linux"]["resources"]["memory"] = json!({ "limit": 16_777_216 });
    t.bundle.script("while :; do if test -e /go; then head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; rm /go; fi; usleep 2000; done");
    let id = t.start();
    let running = t.brig().args(["events", "--interval", "1s", &id]).spawn();
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap_or_default();
    let out = running.stdout.clone();
    let err = running.stderr.clone();
    until("the first statistics", || {
        assert!(read(&err).is_empty(), "{}", read(&err));
        read(&out).contains("\"stats\"").then_some(())
    });
    fs::write(t.bundle.file("/go"), "").unwrap();
    until("an oom event", || read(&out).contains("\"oom\"").then_some(()));
    t.delete(&id);
    // the container's end ends the events
    running.wait().ok();
}

#[test]
fn the_log_of_engines_is_json_lines() {
    let mut t = test!();
    let log = t.path("log.json");
    t.bundle.args(["nothing"]);
    let outcome = {
        t.bundle.write();
        t.brig()
            .arg("--log")
            .arg(&log)
            .args(["--log-format", "json", "create", "--bundle"])
            .arg(&t.bundle.dir)
            .arg(t.id("c"))
            .run()
            .exits(1)
    };
    let lines: Vec<Value> = fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("executable file not found in $PATH"), "{last}");
    assert!(last["time"].as_str().unwrap().contains('T'), "{last}");
    assert!(
        lines.iter().all(|line| line["level"] == "error" || line["level"] == "warning"),
        "{lines:?}"
    );
    assert!(
        outcome.stderr.contains("executable file not found in $PATH"),
        "and for people: {outcome:?}"
    );
    assert_eq!(outcome.stderr.lines().count(), 1);
}

#[test]
fn without_errors_nothing_is_said() {
    let mut t = test!();
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
    let outcome = t.run(["/bin/true"]).ok();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let log = t.path("log");
    t.bundle.write();
    t.brig()
        .arg("--log")
        .arg(&log)
        .args(["run", "--bundle"])
        .arg(&t.bundle.dir)
        .arg(t.id("c"))
        .run()
        .ok();
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    t.brig()
        .arg("--debug")
        .arg("--log")
        .arg(&log)
        .args(["run", "--bundle"])
        .arg(&t.bundle.dir)
        .arg(t.id("c"))
        .run()
        .ok();
    assert!(!fs::read_to_string(&log).unwrap().is_empty(), "and with --debug a lot");
}

#[test]
fn the_root_directory_is_the_owners_alone() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let id = t.create();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&t.root()), 0o700);
    assert_eq!(mode(&t.root().join(&id)), 0o700);
    t.delete(&id);
    // somebody else's is not taken
    let foreign = t.path("foreign");
    fs::create_dir(&foreign).unwrap();
    chown(&foreign, Some(1000), Some(1000)).unwrap();
    t.bundle.write();
    let create = |root: &std::path::Path| {
        t.program(env!("CARGO_BIN_EXE_brig"))
            .arg("--root")
            .arg(root)
            .args(["create", "--bundle"])
            .arg(&t.bundle.dir)
            .arg(t.id("c"))
            .run()
    };
    create(&foreign).exits(1).fails_with("foreign");
    assert!(fs::read_dir(&foreign).unwrap().next().is_none());
    // one of the caller's that others can write neither
    let open = t.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    create(&open).exits(1).fails_with("open");
    // not a directory
    fs::write(t.path("file"), "").unwrap();
    create(&t.path("file")).exits(1).fails_with("file");
    // below a link, as dockerd's
    fs::create_dir(t.path("run")).unwrap();
    symlink(t.path("run"), t.path("var-run")).unwrap();
    t.watch_root(&t.path("run/docker/brig"));
    let root = t.path("var-run/docker/brig");
    create(&root).ok();
    let state = t
        .program(env!("CARGO_BIN_EXE_brig"))
        .arg("--root")
        .arg(&root)
        .args(["state", &t.id("c")])
        .run()
        .ok();
    assert!(state.stdout.contains("created"));
    t.program(env!("CARGO_BIN_EXE_brig"))
        .arg("--root")
        .arg(&root)
        .args(["delete", "--force", &t.id("c")])
        .run()
        .ok();
    t.assert_clean();
}

#[test]
fn the_bundle_is_not_written_to() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
    t.bundle.write();
    let config = t.bundle.dir.join("config.json");
    let before = (fs::read(&config).unwrap(), fs::metadata(&config).unwrap().modified().unwrap());
    let names = |bundle: &std::path::Path| fs::read_dir(bundle).unwrap().count();
    let count = names(&t.bundle.dir);
    t.brig().args(["create", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run().ok();
    t.call(["start", &t.id("c")]).ok();
    t.exec(&t.id("c"), ["/bin/true"]).ok();
    assert_eq!(t.state(&t.id("c"))["bundle"], t.bundle.dir.to_str().unwrap());
    t.delete(&t.id("c"));
    assert_eq!(
        (fs::read(&config).unwrap(), fs::metadata(&config).unwrap().modified().unwrap()),
        before
    );
    assert_eq!(names(&t.bundle.dir), count);
}

#[test]
fn a_reused_pid_is_not_taken_for_the_container() {
    let mut t = test!();
    let id = t.start_sleeping();
    // the record as it would be if the pid had come round to this process
    let record = t.root().join(&id).join("state.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let pid = t.pid(&id);
    process::signal(pid, 9);
    t.await_status(&id, "stopped");
    value["init"]["pid"] = json!(std::process::id());
    fs::write(&record, value.to_string()).unwrap();
    assert_eq!(t.state(&id)["status"], "stopped");
    assert_eq!(t.state(&id)["pid"], 0);
    t.call(["kill", &id, "KILL"]).fails_with("not running");
    t.call(["delete", "--force", &id]).ok();
}

#[test]
fn usage_errors_are_no_panics() {
    let t = test!();
    for args in [
        &[][..],
        &["nope"],
        &["run"],
        &["create"],
        &["exec"],
        &["--log-level", "x", "list"],
        &["--rootless", "maybe", "list"],
        &["kill"],
        &["run", "--bundle"],
        &["update", "--pids-limit", "x", "y"],
    ] {
        let outcome = t.brig().args(args).run();
        assert!(matches!(outcome.status.code(), Some(1 | 2)), "{outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
}
