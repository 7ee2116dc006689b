// SPDX-License-Identifier: Apache-2.0
//! Added processes: as confined as the first, with what the options say.

use std::fs;

use serde_json::json;

use crate::harness::{process, until};
use crate::test;

#[test]
fn exec_returns_the_processs_status() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    for status in [0, 1, 42, 255] {
        t.exec(&id, ["/bin/sh", "-c", &format!("exit {status}")]).exits(status);
    }
    t.exec(&id, ["/bin/sh", "-c", "kill -TERM $$"]).exits(143);
    t.exec(&id, ["/bin/sh", "-c", "kill -KILL $$"]).exits(137);
    t.exec(&id, ["/bin/echo", "hello"]).prints("hello");
}

#[test]
fn exec_forwards_signals() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    let script = "trap 'exit 6' TERM; echo r > /ready; while :; do sleep 1000 & wait; done";
    let running = t.brig().args(["exec", &id, "/bin/sh", "-c", script]).spawn();
    until("ready", || t.bundle.file("/ready").exists().then_some(()));
    running.signal(libc::SIGTERM);
    running.wait().exits(6);
}

#[test]
fn an_added_process_is_in_all_of_the_containers_namespaces() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "type": "cgroup" }));
    let id = t.start_sleeping();
    let pid = t.pid(&id);
    for kind in ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user", "time"] {
        let expected = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
        t.exec(&id, ["/bin/readlink", &format!("/proc/self/ns/{kind}")])
            .prints(expected.to_str().unwrap());
    }
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    t.brig()
        .args(["exec", "--detach", "--pid-file"])
        .arg(t.path("pid"))
        .arg(&id)
        .args(["/bin/sleep", "1000"])
        .run()
        .ok();
    let added = fs::read_to_string(t.path("pid")).unwrap();
    assert_eq!(fs::read_to_string(format!("/proc/{added}/cgroup")).unwrap(), cgroup);
    assert_eq!(
        fs::read_link(format!("/proc/{added}/root")).unwrap(),
        fs::read_link(format!("/proc/{pid}/root")).unwrap()
    );
}

#[test]
fn an_added_process_has_the_first_ones_confinement() {
    let mut t = test!().plain();
    t.bundle.config["process"]["rlimits"] =
        json!([{ "type": "RLIMIT_NOFILE", "soft": 111, "hard": 222 }]);
    t.bundle.config["process"]["user"] =
        json!({ "uid": 1000, "gid": 1000, "additionalGids": [7, 8], "umask": 0o77 });
    t.bundle.config["process"]["oomScoreAdj"] = json!(123);
    t.bundle.capabilities(&["CAP_KILL"]);
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
    let id = t.start_sleeping();
    let pid = t.pid(&id);
    for no_new_privileges in [true, false] {
        let added = t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout;
        for line in [
            "Uid",
            "Gid",
            "Groups",
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
            "Seccomp_filters",
            "SigIgn",
            "SigBlk",
            "Umask",
        ] {
            assert_eq!(
                process::field(&added, line),
                process::status(pid, line),
                "{line} {no_new_privileges}"
            );
        }
    }
    let limits = t.exec(&id, ["/bin/cat", "/proc/self/limits"]).ok().stdout;
    assert_eq!(limits, fs::read_to_string(format!("/proc/{pid}/limits")).unwrap());
    t.exec(&id, ["/bin/cat", "/proc/self/oom_score_adj"]).prints("123");
    t.exec(&id, ["/bin/sh", "-c", "umask"]).prints("0077");
}

#[test]
fn a_user_is_plain_decimal_digits() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    let show = "id -u; id -g";
    for (user, expected) in
        [("1", "1\n0"), ("1:2", "1\n2"), ("1000:0", "1000\n0"), ("0", "0\n0"), ("00", "0\n0")]
    {
        t.brig().args(["exec", "--user", user, &id, "/bin/sh", "-c", show]).run().prints(expected);
    }
    for user in [
        "0x0",
        "4294967296",
        "4294967295",
        " 1",
        "1 ",
        "+1",
        "-1",
        "",
        "1:",
        ":1",
        "root",
        "1:2:3",
        "1:-1",
    ] {
        t.brig()
            .arg("exec")
            .arg(format!("--user={user}"))
            .arg(&id)
            .arg("/bin/id")
            .run()
            .exits(255)
            .fails_with("--user");
    }
}

#[test]
fn groups_environment_and_directory_are_the_options() {
    let mut t = test!().plain();
    t.bundle.config["process"]["env"] = json!(["PATH=/bin", "A=1", "B=2"]);
    t.bundle.config["process"]["user"] = json!({ "uid": 0, "gid": 0, "additionalGids": [5] });
    let id = t.start_sleeping();
    t.brig()
        .args(["exec", "-g", "6", "-g", "7", &id, "/bin/grep", "Groups", "/proc/self/status"])
        .run()
        .prints("Groups:\t5 6 7");
    t.brig()
        .args([
            "exec",
            "--env",
            "A=9",
            "-e",
            "C=x=y",
            "--cwd",
            "/tmp",
            &id,
            "/bin/sh",
            "-c",
            "echo $A $B $C; pwd",
        ])
        .run()
        .prints("9 2 x=y\n/tmp");
    t.brig().args(["exec", "--cwd", "relative", &id, "/bin/pwd"]).run().fails_with("process.cwd");
    t.brig().args(["exec", "--cwd", "/none", &id, "/bin/pwd"]).run().fails_with("process.cwd");
    t.brig().args(["exec", "--env", "NOVALUE", &id, "/bin/pwd"]).run().fails_with("NOVALUE");
}

#[test]
fn capabilities_can_be_added_but_not_to_the_inheritable_set() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    let status = t
        .brig()
        .args(["exec", "--cap", "CAP_NET_RAW", &id, "/bin/cat", "/proc/self/status"])
        .run()
        .ok()
        .stdout;
    let mask =
        |line: &str| u64::from_str_radix(&process::field(&status, line).unwrap(), 16).unwrap();
    for line in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(mask(line), 1 << 13 | 1 << 5 | 1 << 10 | 1 << 29, "{line}");
    }
    assert_eq!((mask("CapInh"), mask("CapAmb")), (0, 0));
    t.brig()
        .args(["exec", "--cap", "CAP_NOPE", &id, "/bin/true"])
        .run()
        .exits(255)
        .fails_with("CAP_NOPE");
    let plain = t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout;
    assert_eq!(process::field(&plain, "CapInh").unwrap(), "0000000000000000");
    assert_eq!(process::field(&plain, "CapAmb").unwrap(), "0000000000000000");
}

#[test]
fn no_new_privileges_can_be_added_and_not_taken_away() {
    let mut t = test!().plain();
    t.bundle.config["process"]["noNewPrivileges"] = json!(false);
    let id = t.start_sleeping();
    let show = ["/bin/grep", "NoNewPrivs", "/proc/self/status"];
    t.exec(&id, show).prints("NoNewPrivs:\t0");
    t.brig().args(["exec", "--no-new-privs", &id]).args(show).run().prints("NoNewPrivs:\t1");
}

#[test]
fn a_process_file_says_everything() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
    let id = t.start_sleeping();
    let file = t.path("process.json");
    let mut process = json!({
        "args": ["/bin/sh", "-c", "id -u; pwd; echo $X; mkdir /x 2>&1; cat /proc/self/status"],
        "cwd": "/tmp", "env": ["PATH=/bin", "X=y"], "user": { "uid": 7, "gid": 8, "additionalGids": [9] },
    });
    fs::write(&file, process.to_string()).unwrap();
    let outcome = t.brig().args(["exec", "--process"]).arg(&file).arg(&id).run().ok();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[..3], ["7", "/tmp", "y"]);
    assert!(lines[3].contains("Operation not permitted"), "{lines:?}");
    assert_eq!(process::field(&outcome.stdout, "Groups").unwrap(), "9");
    assert_eq!(process::field(&outcome.stdout, "Seccomp").unwrap(), "2");
    t.brig()
        .args(["exec", "--process"])
        .arg(&file)
        .args([&id, "/bin/true"])
        .run()
        .fails_with("--process");
    for (field, value, text) in [
        ("args", json!([]), "process.args"),
        ("cwd", json!("x"), "process.cwd"),
        ("cwd", json!("/proc/self/fd/7"), "process.cwd"),
        ("env", json!(["X"]), "process.env[0]"),
    ] {
        let old = process[field].take();
        process[field] = value;
        fs::write(&file, process.to_string()).unwrap();
        t.brig().args(["exec", "--process"]).arg(&file).arg(&id).run().exits(255).fails_with(text);
        process[field] = old;
    }
    fs::write(&file, "{").unwrap();
    t.brig()
        .args(["exec", "--process"])
        .arg(&file)
        .arg(&id)
        .run()
        .exits(255)
        .fails_with("process.json");
}

#[test]
fn a_detached_process_outlives_exec() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    let file = t.path("pid");
    t.brig()
        .args(["exec", "-d", "--pid-file"])
        .arg(&file)
        .arg(&id)
        .args(["/bin/sleep", "999"])
        .run()
        .ok();
    let pid: i32 = fs::read_to_string(&file).unwrap().parse().unwrap();
    assert!(process::is_alive(pid));
    let cmdline = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(cmdline, "/bin/sleep\0999\0", "its program has been executed when exec returns");
    t.delete(&id);
    t.assert_clean();
}

#[test]
fn exec_works_in_a_running_container_alone() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/sleep", "1000"]);
    let id = t.create();
    t.exec(&id, ["/bin/true"]).exits(255).fails_with("not been started");
    t.call(["start", &id]).ok();
    t.call(["pause", &id]).ok();
    t.exec(&id, ["/bin/true"]).exits(255).fails_with("paused");
    let running = t.brig().args(["exec", "--ignore-paused", &id, "/bin/true"]).spawn();
    t.call(["resume", &id]).ok();
    running.wait().exits(0);
    t.call(["kill", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    t.exec(&id, ["/bin/true"]).exits(255).fails_with("stopped");
    t.delete(&id);
    t.assert_clean();
}

#[test]
fn what_exec_does_is_decided_at_create() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("mkdir");
    let id = t.start_sleeping();
    // the bundle is edited afterwards
    t.bundle.config["linux"]["seccomp"] = json!(null);
    t.bundle.config["process"]["user"]["uid"] = json!(7);
    t.bundle.write();
    t.exec(&id, ["/bin/mkdir", "/x"]).fails_with("Operation not permitted");
    t.exec(&id, ["/bin/id", "-u"]).prints("0");
    fs::remove_file(t.bundle.dir.join("config.json")).unwrap();
    t.exec(&id, ["/bin/true"]).ok();
    assert_eq!(t.state(&id)["status"], "running");
    t.delete(&id);
}

#[test]
fn exec_without_a_command_says_so() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    t.brig().args(["exec", &id]).run().fails_with("no command");
}

#[test]
fn a_cgroup_below_the_containers_is_the_only_other_one() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    for path in ["../x", "/../x", "a/../../b"] {
        t.brig()
            .args(["exec", "--cgroup", path, &id, "/bin/true"])
            .run()
            .exits(255)
            .fails_with("--cgroup");
    }
}
