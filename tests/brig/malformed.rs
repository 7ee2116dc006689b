// SPDX-License-Identifier: Apache-2.0
//! Specifications that brig refuses: the error names the field, and nothing is left.

use serde_json::{Value, json};

use crate::test;

/// Sets the value at a JSON pointer, and what the error has to contain.
#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/ociVersion", json!("2.0.0"), "ociVersion: \"2.0.0\" is not supported"),
        ("/ociVersion", json!("1.0"), "ociVersion: \"1.0\" is not a semantic version"),
        ("/ociVersion", json!(1), "ociVersion"),
        ("/process", json!(null), "process: is missing"),
        ("/process", json!([]), "process"),
        ("/process/args", json!([]), "process.args: is empty"),
        ("/process/args", json!(null), "process.args: is empty"),
        ("/process/args", json!([""]), "process.args[0]: is empty"),
        ("/process/args", json!(["a\u{0}b"]), "process.args[0]: contains a NUL byte"),
        ("/process/args", json!("true"), "process.args"),
        ("/process/args", json!([7]), "process.args[0]"),
        ("/process/env", json!(["NAME"]), "process.env[0]: \"NAME\" has no \"=\""),
        ("/process/env", json!(["A=1", "B=\u{0}"]), "process.env[1]: contains a NUL byte"),
        ("/process/cwd", json!("relative"), "process.cwd: \"relative\" is not an absolute path"),
        ("/process/cwd", json!(""), "process.cwd"),
        ("/process/cwd", json!("/proc/self/fd/3"), "process.cwd: \"/proc/self/fd/3\" leads through"),
        ("/process/cwd", json!("/a\u{0}"), "process.cwd"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        ("/process/user/uid", json!(4_294_967_295_u32), "process.user.uid: 4294967295 is no identifier"),
        ("/process/user/gid", json!(4_294_967_295_u32), "process.user.gid: 4294967295 is no identifier"),
        ("/process/user/uid", json!("0"), "process.user.uid"),
        ("/process/user", json!({ "uid": 0, "gid": 0, "umask": 4096 }), "process.user.umask"),
        ("/process/user", json!({ "uid": 0, "gid": 0, "additionalGids": [4_294_967_296_u64] }), "process.user.additionalGids[0]"),
        ("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 2, "hard": 1 }]), "process.rlimits[0].soft"),
        ("/process/rlimits", json!([{ "type": "RLIMIT_NOPE", "soft": 1, "hard": 1 }]), "process.rlimits[0].type"),
        ("/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }, { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }]), "process.rlimits[1].type: RLIMIT_CORE is given twice"),
        ("/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": -1, "hard": 0 }]), "process.rlimits[0].soft"),
        ("/linux/resources/hugepageLimits", json!([{ "pageSize": "3MB", "limit": 0 }]), "linux.resources.hugepageLimits[0].pageSize: \"3MB\""),
        ("/process/capabilities", json!({ "bounding": ["CAP_NOPE"] }), "process.capabilities.bounding"),
        ("/process/capabilities", json!({ "effective": ["CAP_KILL"] }), "process.capabilities.effective"),
        ("/process/oomScoreAdj", json!(1001), "process.oomScoreAdj: 1001 is not between"),
        ("/process/oomScoreAdj", json!("1"), "process.oomScoreAdj"),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 }), "process.ioPriority.priority"),
        ("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_NOPE", "priority": 1 }), "process.ioPriority.class"),
        ("/process/scheduler", json!({ "policy": "SCHED_OTHER", "nice": 20 }), "process.scheduler.nice"),
        ("/process/scheduler", json!({ "policy": "SCHED_OTHER", "priority": 1 }), "process.scheduler.priority"),
        ("/process/scheduler", json!({ "policy": "SCHED_FIFO", "priority": 1, "runtime": 1 }), "process.scheduler.runtime"),
        ("/process/scheduler", json!({ "policy": "SCHED_NOPE" }), "process.scheduler.policy"),
        ("/process/terminal", json!("yes"), "process.terminal"),
        ("/process/noNewPrivileges", json!(1), "process.noNewPrivileges"),
        ("/root", json!(null), "root: is missing"),
        ("/root/path", json!(""), "root.path: is empty"),
        ("/root/path", json!("none"), "root.path"),
        ("/root/path", json!("config.json"), "root.path"),
        ("/root/path", json!("/"), "root.path"),
        ("/root/readonly", json!("no"), "root.readonly"),
        ("/hostname", json!("x".repeat(65)), "hostname: is longer than 64 bytes"),
        ("/hostname", json!("a\u{0}"), "hostname: contains a NUL byte"),
        ("/mounts", json!({}), "mounts"),
        ("/mounts/0/destination", json!(""), "mounts[0].destination: is empty"),
        ("/mounts/0/destination", json!("/a/../../b"), "mounts[0].destination: \"/a/../../b\" has a \"..\" component"),
        ("/mounts/0/destination", json!(7), "mounts[0].destination"),
        ("/mounts/1/options", json!("ro"), "mounts[1].options"),
        ("/mounts/1/options", json!(["idmap"]), "mounts[1].options[0]: \"idmap\" is not supported"),
        ("/mounts/1", json!({ "destination": "/x", "type": "bind" }), "mounts[1].source: is missing"),
        ("/linux", json!(null), "linux: is missing"),
        ("/linux/namespaces", json!([{ "type": "pid" }, { "type": "pid" }]), "linux.namespaces[1]: pid is given twice"),
        ("/linux/namespaces", json!([{ "type": "nope" }]), "linux.namespaces[0].type"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "time" }]), "linux.namespaces[1]: time namespaces"),
        ("/linux/namespaces", json!([{ "type": "net" }]), "linux.namespaces[0].type"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "uts", "path": "x" }]), "linux.namespaces[1].path: \"x\" is not an absolute path"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "uts", "path": "/no/such" }]), "/no/such"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "uts", "path": "/proc/self/ns/net" }]), "/proc/self/ns/net"),
        ("/linux/namespaces", json!([{ "type": "mount" }, { "type": "user" }]), "linux.uidMappings: is empty"),
        ("/linux/namespaces", json!([{ "type": "mount" }]), "hostname: is set without a UTS namespace"),
        ("/linux/uidMappings", json!([{ "containerID": 0, "hostID": 1, "size": 0 }]), "linux.uidMappings[0].size: is 0"),
        ("/linux/gidMappings", json!([{ "containerID": 0, "hostID": 4_294_967_290_u32, "size": 100 }]), "linux.gidMappings[0]: the range ends above"),
        ("/linux/maskedPaths", json!(["relative"]), "linux.maskedPaths[0]: \"relative\" is not an absolute path"),
        ("/linux/readonlyPaths", json!(["/a", "b"]), "linux.readonlyPaths[1]: \"b\" is not an absolute path"),
        ("/linux/maskedPaths", json!([1]), "linux.maskedPaths[0]"),
        ("/linux/rootfsPropagation", json!("nope"), "linux.rootfsPropagation: \"nope\" is none of"),
        ("/linux/cgroupsPath", json!("/a/../../b"), "linux.cgroupsPath: \"/a/../../b\" has a \"..\" component"),
        ("/linux/timeOffsets", json!({ "monotonic": { "secs": 1 } }), "linux.timeOffsets"),
        ("/linux/sysctl", json!({ "kernel.panic": "1" }), "linux.sysctl[\"kernel.panic\"]: is not a parameter of a namespace"),
        ("/linux/devices", json!([{ "type": "c", "path": "dev/x", "major": 1, "minor": 3 }]), "linux.devices[0].path"),
        ("/linux/devices", json!([{ "type": "c", "path": "/dev/../etc/x", "major": 1, "minor": 3 }]), "linux.devices[0].path"),
        ("/linux/resources", json!({ "memory": { "limit": "1G" } }), "linux.resources.memory.limit"),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_NOPE" }), "linux.seccomp.defaultAction"),
        ("/linux/seccomp", json!({}), "linux.seccomp"),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_NOPE" }] }), "linux.seccomp.syscalls[0].action"),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" }] }] }), "linux.seccomp.syscalls[0].args[0].index"),
        ("/linux/seccomp", json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NOPE"] }), "linux.seccomp.architectures[0]"),
        ("/hooks", json!({ "prestart": [{ "path": "relative" }] }), "hooks.prestart[0].path: \"relative\" is not an absolute path"),
        ("/hooks", json!({ "poststop": [{ "path": "/bin/true", "timeout": 0 }] }), "hooks.poststop[0].timeout: is not positive"),
        ("/hooks", json!({ "createRuntime": [{}] }), "hooks.createRuntime[0]"),
        ("/annotations", json!({ "a": 7 }), "annotations.a"),
    ]
}

#[test]
fn a_malformed_field_is_named_and_nothing_is_left() {
    let mut t = test!();
    let sound = t.bundle.config.clone();
    let mut wrong = Vec::new();
    let all = cases();
    assert!(all.len() >= 40);
    for (pointer, value, expected) in all {
        t.bundle.config = sound.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match t.bundle.config.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
            Value::Object(fields) => drop(fields.insert(name.to_owned(), value.clone())),
            other => panic!("{parent}: {other}"),
        }
        let outcome = t.run_command("create").run();
        let failed = outcome.status.code() == Some(1);
        let one_line = outcome.stderr.lines().count() == 1;
        if !failed || !one_line || !outcome.stderr.contains(expected) {
            wrong.push(format!(
                "{pointer} = {value}: expected {expected:?}, got {}",
                outcome.stderr
            ));
        }
        if !t.root().join(t.id("c")).exists() {
            continue;
        }
        wrong.push(format!("{pointer} = {value}: state is left"));
        t.delete(&t.id("c"));
    }
    t.assert_clean();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_faults_are_named_at_once() {
    let mut t = test!();
    t.bundle.config["process"]["cwd"] = json!("x");
    t.bundle.config["process"]["env"] = json!(["X"]);
    t.bundle.config["hostname"] = json!("x".repeat(65));
    let outcome = t.run(["/bin/true"]);
    for field in ["process.cwd", "process.env[0]", "hostname"] {
        assert!(outcome.stderr.contains(field), "{outcome:?}");
    }
}

#[test]
fn a_config_that_is_no_specification_is_refused() {
    let t = test!();
    let deep = "[".repeat(100_000);
    let texts =
        ["", "{", "null", "[]", "7", "\u{feff}{}", "{}", "{\"ociVersion\":\"1.0.2\"}", &deep];
    for text in texts {
        std::fs::write(t.bundle.dir.join("config.json"), text).unwrap();
        let create = t.brig().arg("create").arg("--bundle").arg(&t.bundle.dir).arg(t.id("c")).run();
        create.exits(1).fails_with("config.json");
    }
    let bytes = [0xff_u8, 0xfe, 0, 1];
    std::fs::write(t.bundle.dir.join("config.json"), bytes).unwrap();
    t.brig()
        .arg("run")
        .arg("--bundle")
        .arg(&t.bundle.dir)
        .arg(t.id("c"))
        .run()
        .exits(1)
        .fails_with("JSON");
    std::fs::remove_file(t.bundle.dir.join("config.json")).unwrap();
    t.brig()
        .arg("run")
        .arg("--bundle")
        .arg(&t.bundle.dir)
        .arg(t.id("c"))
        .run()
        .fails_with("No such file");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        t.bundle.dir.join("config.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    t.brig()
        .arg("run")
        .arg("--bundle")
        .arg(&t.bundle.dir)
        .arg(t.id("c"))
        .run()
        .fails_with("not a regular file");
    t.brig().args(["run", "--bundle", "/no/such/bundle", &t.id("c")]).run().fails_with("--bundle");
    t.assert_clean();
}

#[test]
fn ids_that_are_no_names_are_refused_by_every_command() {
    let t = test!();
    t.bundle.write();
    let long = "x".repeat(4096);
    let outside = t.path("outside");
    std::fs::create_dir(&outside).unwrap();
    for id in
        ["../outside", "../../x", "a/b", ".", "..", "a\nb", "a b", "a\u{e9}", "/x", &long, "a~b"]
    {
        for command in
            ["state", "start", "kill", "delete", "ps", "pause", "resume", "events", "checkpoint"]
        {
            t.brig().arg(command).arg("--").arg(id).run().fails_with("container id");
        }
        t.brig().args(["delete", "--force", "--", id]).run();
        t.brig().args(["exec", "--", id, "true"]).run().fails_with("container id");
        for command in ["create", "run"] {
            t.brig()
                .arg(command)
                .arg("--bundle")
                .arg(&t.bundle.dir)
                .arg("--")
                .arg(id)
                .run()
                .fails_with("container id");
        }
    }
    assert!(outside.is_dir(), "nothing outside the root is touched");
    t.assert_clean();
}
