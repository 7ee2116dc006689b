// SPDX-License-Identifier: Apache-2.0
//! Nothing is left: by failures at every step, by kill -9 at any moment.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{process, until};
use crate::test;

#[test]
fn a_missing_rootfs_or_bundle_leaves_nothing() {
    let mut t = test!();
    t.bundle.config["root"]["path"] = json!("missing");
    for command in ["create", "run"] {
        t.run_command(command).run().exits(1).fails_with("root.path");
        t.assert_clean();
    }
}

#[test]
fn a_cgroup_that_cannot_be_made_leaves_nothing() {
    let mut t = test!();
    let sound = t.bundle.config["linux"].clone();
    let cases = [
        json!({ "memory": { "limit": 1 } }),
        json!({ "cpu": { "quota": 1, "period": 7 } }),
        json!({ "cpu": { "cpus": "4000-5000" } }),
    ];
    for resources in cases {
        t.bundle.config["linux"] = sound.clone();
        t.bundle.config["linux"]["resources"] = resources.clone();
        for command in ["create", "run"] {
            let outcome = t.run_command(command).run();
            assert_eq!(outcome.status.code(), Some(1), "{resources}: {outcome:?}");
            t.assert_clean();
        }
    }
}

#[test]
fn a_pid_file_that_cannot_be_written_leaves_nothing() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    for command in ["create", "run"] {
        t.run_command(command)
            .args(["--pid-file", "/proc/none"])
            .run()
            .exits(1)
            .fails_with("--pid-file");
        t.assert_clean();
    }
}

#[test]
fn a_console_that_closes_leaves_nothing() {
    let mut t = test!();
    t.bundle.config["process"]["terminal"] = json!(true);
    let path = t.path("console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let running = t.run_command("create").arg("--console-socket").arg(&path).spawn();
    drop(listener.accept().unwrap());
    drop(listener);
    let outcome = running.wait();
    if outcome.status.success() {
        t.delete(&t.id("c"));
    }
    t.assert_clean();
}

/// Kills brig at one moment of a command and lets `delete --force` clean up.
fn kill_at(t: &crate::harness::Test, command: &str, delay: Duration) {
    let running = if command == "start" {
        t.brig().args(["start", &t.id("c")]).spawn()
    } else {
        t.run_command(command).spawn()
    };
    let deadline = Instant::now() + delay;
    while Instant::now() < deadline {
        std::hint::spin_loop();
    }
    running.signal(9);
    running.wait();
    t.call(["delete", "--force", &t.id("c")]).ok();
    t.assert_clean();
}

fn rounds(default: u32) -> u32 {
    std::env::var("BRIG_TESTS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn kill_9_of_create_at_any_moment_leaves_what_delete_removes() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let begun = Instant::now();
    t.create();
    let whole = begun.elapsed();
    t.delete(&t.id("c"));
    let steps = rounds(40);
    for step in 0..steps {
        kill_at(&t, "create", whole * step / steps * 5 / 4);
    }
}

#[test]
fn kill_9_of_run_at_any_moment_leaves_what_delete_removes() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let begun = Instant::now();
    t.run_command("run").arg("--detach").run().ok();
    let whole = begun.elapsed();
    t.delete(&t.id("c"));
    let steps = rounds(30);
    for step in 0..steps {
        kill_at(&t, "run", whole * step / steps * 5 / 4);
    }
}

#[test]
fn kill_9_of_start_at_any_moment_leaves_what_delete_removes() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let steps = rounds(20);
    for step in 0..steps {
        t.create();
        kill_at(&t, "start", Duration::from_millis(60) * step / steps);
    }
}

#[test]
fn kill_9_of_a_create_before_its_record_leaves_no_process() {
    // the same, but nobody deletes: the container's process must end by itself while create has not
    // finished, or be a created container that delete without --force removes
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let begun = Instant::now();
    t.create();
    let whole = begun.elapsed();
    t.delete(&t.id("c"));
    let steps = rounds(30);
    for step in 0..steps {
        let running = t.run_command("create").spawn();
        let deadline = Instant::now() + whole * step / steps * 5 / 4;
        while Instant::now() < deadline {
            std::hint::spin_loop();
        }
        running.signal(9);
        running.wait();
        let me = i32::try_from(std::process::id()).unwrap();
        until("a recorded process or none", || {
            process::reap_orphans();
            let orphans: Vec<i32> = process::children_of(me)
                .into_iter()
                .filter(|pid| process::is_alive(*pid))
                .collect();
            let text =
                fs::read_to_string(t.root().join(t.id("c")).join("state.json")).unwrap_or_default();
            let state: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let recorded = state["init"]["pid"].as_i64();
            orphans.iter().all(|pid| Some(i64::from(*pid)) == recorded).then_some(())
        });
        t.delete(&t.id("c"));
        t.assert_clean();
    }
}

#[test]
fn kill_9_of_exec_leaves_the_container_alone() {
    let mut t = test!();
    let id = t.start_sleeping();
    for step in 0..rounds(20) {
        let running = t.brig().args(["exec", &id, "/bin/true"]).spawn();
        let deadline = Instant::now() + Duration::from_millis(4) * step;
        while Instant::now() < deadline {
            std::hint::spin_loop();
        }
        running.signal(9);
        running.wait();
        assert_eq!(t.state(&id)["status"], "running");
    }
    t.exec(&id, ["/bin/echo", "fine"]).prints("fine");
    t.delete(&id);
    t.assert_clean();
}

#[test]
fn a_killed_foreground_run_leaves_a_container_that_delete_removes() {
    let mut t = test!();
    t.bundle.script("echo r > /ready; exec sleep 1000");
    let running = t.run_command("run").spawn();
    until("ready", || t.bundle.file("/ready").exists().then_some(()));
    running.signal(9);
    running.wait();
    assert_eq!(t.state(&t.id("c"))["status"], "running");
    t.delete(&t.id("c"));
    t.assert_clean();
}

#[test]
fn a_first_process_killed_between_create_and_start_is_noticed() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let id = t.create();
    process::signal(t.pid(&id), 9);
    t.await_status(&id, "stopped");
    t.call(["start", &id]).exits(1).fails_with("stopped");
    t.call(["delete", &id]).ok();
    t.assert_clean();
}

#[test]
fn a_torn_state_directory_is_removed_by_force() {
    let mut t = test!();
    for damage in ["empty", "no record", "torn record", "no spec", "no plan"] {
        t.bundle.args(["/bin/sleep", "1000"]);
        let id = t.create();
        let directory = t.root().join(&id);
        let pid = t.pid(&id);
        match damage {
            "no spec" => fs::remove_file(directory.join("config.json")).unwrap(),
            "no plan" => fs::remove_file(directory.join("plan.json")).unwrap(),
            _ => {
                // what a create that was killed early leaves: nobody knows of a process
                t.call(["kill", &id, "KILL"]).ok();
                until("its end", || (!process::is_alive(pid)).then_some(()));
                // its supervisor, which is in them, too, ends when it notices
                until("the end of its cgroups", || {
                    let all = fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
                    let left = all.map(|one| one.path().join(t.tag())).filter(|own| own.exists());
                    left.map(fs::remove_dir).all(|removed| removed.is_ok()).then_some(())
                });
                fs::remove_dir_all(&directory).unwrap();
                fs::create_dir(&directory).unwrap();
                if damage == "torn record" {
                    fs::write(directory.join("state.json"), "{\"id\":").unwrap();
                }
            }
        }
        t.call(["list"]).ok();
        t.call(["delete", "--force", &id]).ok();
        t.assert_clean();
    }
}
