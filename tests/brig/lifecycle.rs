// SPDX-License-Identifier: Apache-2.0
//! create, start, state, kill, delete, run, pause, resume; exit statuses and signals.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Feature, Test, process, require, until};
use crate::test;

#[test]
fn run_prints_what_the_workload_prints_and_leaves_nothing() {
    let mut t = test!();
    t.run(["/bin/echo", "hello"]).prints("hello");
    t.assert_clean();
}

#[test]
fn a_container_goes_from_created_to_running_to_stopped() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let id = t.create();
    assert_eq!(t.state(&id)["status"], "created");
    let pid = t.pid(&id);
    assert!(process::is_alive(pid));
    t.call(["start", &id]).ok();
    assert_eq!(t.state(&id)["status"], "running");
    assert_eq!(t.pid(&id), pid, "the process that waited becomes the workload");
    t.call(["kill", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    assert_eq!(t.state(&id)["pid"], 0);
    t.call(["delete", &id]).ok();
    t.assert_clean();
    t.call(["state", &id]).fails_with("does not exist");
}

#[test]
fn the_workload_begins_with_start_and_not_before() {
    let mut t = test!();
    t.bundle.script("echo begun > /begun; exec sleep 1000");
    let id = t.create();
    // the process has got as far as it gets without start: it waits for a connection
    assert!(!t.bundle.file("/begun").exists());
    t.call(["start", &id]).ok();
    until("the workload's file", || t.bundle.file("/begun").exists().then_some(()));
}

#[test]
fn run_returns_the_workloads_exit_status() {
    let mut t = test!();
    for status in [0, 1, 2, 42, 127, 128, 255] {
        t.script(&format!("exit {status}")).exits(status);
    }
    t.assert_clean();
}

#[test]
fn run_returns_128_and_the_signals_number_where_a_signal_kills() {
    let mut t = test!();
    // the first process of a pid namespace is immune to its own signals: its child is not, and an
    // outer one with a default action is only ever SIGKILL or SIGSTOP
    t.script("sh -c 'kill -TERM $$'; exit $?").exits(143);
    t.bundle.args(["/bin/sleep", "1000"]);
    let running = t.run_command("run").spawn();
    t_await_running(&t);
    t.call(["kill", &t.id("c"), "KILL"]).ok();
    running.wait().exits(137);
    t.bundle.without_namespace("pid");
    let mut mounts = t.bundle.config["mounts"].as_array().unwrap().clone();
    mounts.retain(|mount| mount["destination"] != "/proc");
    t.bundle.config["mounts"] = mounts.into();
    t.bundle.config["linux"]["maskedPaths"] = serde_json::json!([]);
    t.bundle.config["linux"]["readonlyPaths"] = serde_json::json!([]);
    for (name, number) in [("TERM", 15), ("INT", 2), ("SEGV", 11), ("USR1", 10), ("34", 34)] {
        t.script(&format!("kill -{name} $$; exit 7")).exits(128 + number);
    }
    t.assert_clean();
}

fn t_await_running(t: &crate::harness::Test) {
    until("running", || {
        let outcome = t.call(["state", &t.id("c")]);
        outcome.stdout.contains("\"running\"").then_some(())
    });
}

#[test]
fn a_foreground_run_forwards_signals() {
    let mut t = test!();
    for (name, number) in [("HUP", 1), ("INT", 2), ("TERM", 15), ("USR1", 10), ("USR2", 12)] {
        t.bundle.script(&format!(
            "trap 'echo got {name}; exit 3' {name}; echo r > /ready; while :; do sleep 1000 & wait; done"
        ));
        let running = t.run_command("run").spawn();
        let ready = t.bundle.file("/ready");
        until("the trap", || fs::read(&ready).ok().filter(|text| !text.is_empty()));
        running.signal(number);
        let outcome = running.wait().exits(3);
        assert_eq!(outcome.text(), format!("got {name}"));
        fs::remove_file(ready).unwrap();
    }
    t.assert_clean();
}

#[test]
fn kill_sends_the_signal_that_it_names() {
    let mut t = test!();
    t.bundle.script(
        "for s in HUP USR1 USR2 TERM; do trap \"echo $s >> /got\" $s; done; echo r > /ready
         while :; do sleep 1000 & wait; kill $!; done",
    );
    let id = t.start();
    until("ready", || t.bundle.file("/ready").exists().then_some(()));
    let got = t.bundle.file("/got");
    let forms =
        [("HUP", "HUP"), ("SIGUSR1", "USR1"), ("sigusr2", "USR2"), ("15", "TERM"), ("", "TERM")];
    for (count, (form, name)) in forms.iter().enumerate() {
        let args = ["kill", &id, form];
        t.call(args.iter().filter(|one| !one.is_empty())).ok();
        until(name, || {
            let text = fs::read_to_string(&got).unwrap_or_default();
            (text.lines().count() == count + 1 && text.lines().last() == Some(name)).then_some(())
        });
    }
    t.call(["kill", &id, "NOPE"]).fails_with("unknown signal");
    t.call(["kill", &id, "65"]).fails_with("unknown signal");
}

#[test]
fn kill_all_reaches_every_process() {
    let mut t = test!();
    t.bundle.script("sleep 1000 & sleep 1001 & echo r > /ready; wait");
    let id = t.start();
    until("ready", || t.bundle.file("/ready").exists().then_some(()));
    t.call(["kill", "--all", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    t.call(["delete", &id]).ok();
    t.assert_clean();
}

#[test]
fn kill_of_a_stopped_container_says_that_it_is_not_running() {
    let mut t = test!();
    t.bundle.args(["/bin/true"]);
    let id = t.start();
    t.await_status(&id, "stopped");
    t.call(["kill", &id, "TERM"]).fails_with("container not running");
}

#[test]
fn a_running_container_is_deleted_by_force_alone() {
    let mut t = test!();
    let id = t.start_sleeping();
    t.call(["delete", &id]).fails_with("not stopped");
    assert_eq!(t.state(&id)["status"], "running");
    t.call(["delete", "--force", &id]).ok();
    t.assert_clean();
    t.call(["delete", "--force", &id]).ok();
    t.call(["delete", &id]).fails_with("does not exist");
}

#[test]
fn a_container_is_started_once() {
    let mut t = test!();
    let id = t.start_sleeping();
    t.call(["start", &id]).fails_with("cannot start an already running container");
    t.call(["kill", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    t.call(["start", &id]).fails_with("cannot start a container that has stopped");
}

#[test]
fn an_id_is_used_once() {
    let mut t = test!();
    let id = t.start_sleeping();
    t.run_command("create").run().fails_with("already exists");
    t.run_command("run").run().fails_with("already exists");
    assert_eq!(t.state(&id)["status"], "running", "the failed create changed nothing");
}

#[test]
fn run_detached_returns_at_once_and_keeps_the_container() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.run_command("run").arg("--detach").run().ok();
    assert_eq!(t.state(&t.id("c"))["status"], "running");
    t.delete(&t.id("c"));
    t.assert_clean();
}

#[test]
fn run_with_keep_leaves_the_stopped_container() {
    let mut t = test!();
    t.bundle.args(["/bin/true"]);
    t.run_command("run").arg("--keep").run().ok();
    assert_eq!(t.state(&t.id("c"))["status"], "stopped");
    t.call(["delete", &t.id("c")]).ok();
    t.assert_clean();
}

#[test]
fn a_paused_container_does_not_run_and_resumes() {
    let mut t = test!();
    t.bundle.script("while :; do echo x >> /ticks; usleep 1000; done");
    let id = t.start();
    let ticks = t.bundle.file("/ticks");
    let size = || fs::metadata(&ticks).map_or(0, |found| found.len());
    until("ticks", || (size() > 0).then_some(()));
    t.call(["pause", &id]).ok();
    assert_eq!(t.state(&id)["status"], "paused");
    let before = size();
    for _ in 0..50 {
        process::pause();
    }
    assert_eq!(size(), before, "nothing ran");
    t.call(["pause", &id]).fails_with("paused");
    t.call(["resume", &id]).ok();
    assert_eq!(t.state(&id)["status"], "running");
    until("ticks", || (size() > before).then_some(()));
    t.call(["resume", &id]).fails_with("not paused");
}

#[test]
fn a_paused_container_can_be_killed_and_deleted() {
    let mut t = test!();
    let id = t.start_sleeping();
    t.call(["pause", &id]).ok();
    t.call(["kill", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    t.call(["delete", &id]).ok();
    t.assert_clean();
    let id = t.start_sleeping();
    t.call(["pause", &id]).ok();
    t.call(["delete", "--force", &id]).ok();
    t.assert_clean();
}

#[test]
fn a_container_without_pid_namespace_leaves_no_process() {
    let mut t = test!();
    t.bundle.without_namespace("pid");
    t.bundle.script("sleep 1000 & sleep 1001 & exec sleep 1002");
    let id = t.start();
    t.call(["delete", "--force", &id]).ok();
    t.assert_clean();
}

#[test]
fn what_does_not_exist_is_said_not_to_exist() {
    let t = test!();
    let id = t.id("none");
    for command in
        ["state", "start", "kill", "delete", "ps", "pause", "resume", "events", "checkpoint"]
    {
        t.call([command, &id]).fails_with("does not exist");
    }
    t.call(["exec", &id, "true"]).fails_with("does not exist");
    t.call(["update", "--pids-limit", "7", &id]).fails_with("does not exist");
}

/// A hierarchy's directory for a path.
fn cgroup_directory(path: &str) -> PathBuf {
    ["memory", "pids", ""]
        .iter()
        .map(|one| Path::new("/sys/fs/cgroup").join(one))
        .find(|one| one.exists())
        .unwrap()
        .join(path)
}

#[test]
fn directories_above_a_containers_cgroup_go_with_the_last_container_that_needs_them() {
    let name = "directories_above_a_containers_cgroup_go_with_the_last_container_that_needs_them";
    if !require(Feature::Hierarchies, module_path!(), name) {
        return;
    }
    let mut t = test!();
    let parent = format!("{}-parent", t.tag());
    t.bundle.args(["/bin/sleep", "1000"]);
    let start = |t: &Test, name: &str| {
        let id = t.id(name);
        t.brig().args(["run", "--detach", "--bundle"]).arg(&t.bundle.dir).arg(&id).run().ok();
        id
    };
    let mut ids = Vec::new();
    for name in ["a", "b"] {
        t.bundle.config["linux"]["cgroupsPath"] = json!(format!("/{parent}/inner/{name}"));
        t.bundle.write();
        ids.push(start(&t, name));
    }
    t.delete(&ids[0]);
    assert!(cgroup_directory(&format!("{parent}/inner/b")).exists());
    t.delete(&ids[1]);
    assert!(!cgroup_directory(&parent).exists());
    // what somebody else has made stays
    let theirs = cgroup_directory(&parent);
    fs::create_dir(&theirs).unwrap();
    let id = start(&t, "b");
    t.delete(&id);
    assert!(theirs.exists() && !theirs.join("inner").exists());
    fs::remove_dir(&theirs).unwrap();
    t.assert_clean();
}
