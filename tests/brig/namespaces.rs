// SPDX-License-Identifier: Apache-2.0
//! User namespaces of a container that root makes.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::harness::{Console, process};
use crate::seccomp::denying;
use crate::test;

/// A new user namespace, of two ranges.
pub fn add_user_namespace(config: &mut Value) {
    let mappings = json!([
        { "containerID": 0, "hostID": 100_000, "size": 1000 },
        { "containerID": 1000, "hostID": 300_000, "size": 1000 },
    ]);
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    config["linux"]["uidMappings"] = mappings.clone();
    config["linux"]["gidMappings"] = mappings;
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"],
    }));
}

#[test]
fn a_user_namespace_has_exactly_the_mappings_of_the_specification() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    let seen = t.script("cat /proc/self/uid_map; cat /proc/self/gid_map; id -u").ok();
    let fields: Vec<&str> = seen.stdout.split_whitespace().collect();
    let map = ["0", "100000", "1000", "1000", "300000", "1000"];
    assert_eq!(fields, [&map[..], &map[..], &["0"]].concat());
    let id = t.start_sleeping();
    let owner = fs::metadata(format!("/proc/{}/root/proc/1", t.pid(&id))).unwrap().uid();
    assert_eq!(owner, 100_000);
}

#[test]
fn users_groups_and_capabilities_are_the_specifications_in_a_user_namespace() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    t.bundle.config["process"]["user"] =
        json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 1999] });
    t.bundle.capabilities(&["CAP_NET_RAW"]);
    let id = t.start_sleeping();
    let added = t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout;
    let first = fs::read_to_string(format!("/proc/{}/status", t.pid(&id))).unwrap();
    // seen from inside and from outside
    assert_eq!(process::field(&added, "Uid").unwrap(), "1000\t1000\t1000\t1000");
    assert_eq!(process::field(&first, "Uid").unwrap(), "300000\t300000\t300000\t300000");
    assert_eq!(process::field(&added, "Gid").unwrap(), "1001\t1001\t1001\t1001");
    assert_eq!(process::field(&added, "Groups").unwrap(), "5 1999");
    assert_eq!(process::field(&first, "Groups").unwrap(), "100005 300999");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(process::field(&added, set).unwrap(), "0000000000002000", "{set}");
        assert_eq!(process::field(&first, set).unwrap(), "0000000000002000", "{set}");
    }
}

#[test]
fn an_added_process_is_in_every_namespace_of_the_container() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    let id = t.start_sleeping();
    let pid = t.pid(&id);
    let names = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"];
    let script = names.map(|name| format!("readlink /proc/self/ns/{name};")).concat();
    let seen = t.exec(&id, ["/bin/sh", "-c", &script]).ok().stdout;
    for (name, seen) in names.iter().zip(seen.lines()) {
        let first = fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
        assert_eq!(seen, first.display().to_string());
    }
    let mut other = t.bundle.config["process"].clone();
    other["args"] = json!(["/bin/id", "-u"]);
    other["user"] = json!({ "uid": 1500, "gid": 1500 });
    let file = t.path("process.json");
    fs::write(&file, other.to_string()).unwrap();
    t.brig().args(["exec", "--process"]).arg(&file).arg(&id).run().prints("1500");
}

#[test]
fn a_filter_without_no_new_privileges_holds_in_a_user_namespace() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    t.bundle.config["process"]["noNewPrivileges"] = json!(false);
    t.bundle.config["linux"]["seccomp"] = denying("mkdir");
    t.bundle.capabilities(&[]);
    t.run(["/bin/mkdir", "/tmp/x"]).fails_with("Operation not permitted");
    let id = t.start_sleeping();
    for status in [
        t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout,
        fs::read_to_string(format!("/proc/{}/status", t.pid(&id))).unwrap(),
    ] {
        assert_eq!(process::field(&status, "NoNewPrivs").unwrap(), "0");
        assert_eq!(process::field(&status, "Seccomp").unwrap(), "2");
        assert_eq!(process::field(&status, "CapPrm").unwrap(), "0000000000000000");
    }
    t.exec(&id, ["/bin/mkdir", "/tmp/x"]).fails_with("Operation not permitted");
}

#[test]
fn a_terminal_belongs_to_the_workloads_user_in_a_user_namespace() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    t.bundle.config["process"]["terminal"] = json!(true);
    t.bundle.config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    t.bundle.script("tty; stat -c '%u' $(tty); echo end; sleep 1000");
    let console = Console::listen(&t.path("console"));
    t.run_command("create").arg("--console-socket").arg(&console.path).run().ok();
    t.call(["start", &t.id("c")]).ok();
    let seen = console.accept().expect("end");
    let fields: Vec<&str> = seen.split_whitespace().collect();
    assert_eq!(fields, ["/dev/pts/0", "1000", "end"]);
}

#[test]
fn hooks_run_on_both_sides_of_a_user_namespace() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    let hook = |name: &str, directory: &str| {
        let script = format!("cat /proc/self/uid_map > {directory}/{name}");
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }])
    };
    let dir = t.dir().display().to_string();
    t.bundle.config["hooks"] = json!({
        "createRuntime": hook("createRuntime", &dir),
        "startContainer": hook("startContainer", "/tmp"),
        "poststart": hook("poststart", &dir),
        "poststop": hook("poststop", &dir),
    });
    let outer = fs::read_to_string("/proc/self/uid_map").unwrap();
    let id = t.start_sleeping();
    assert!(t.exec(&id, ["/bin/cat", "/tmp/startContainer"]).ok().stdout.contains("100000"));
    t.delete(&id);
    for name in ["createRuntime", "poststart", "poststop"] {
        assert_eq!(fs::read_to_string(t.path(name)).unwrap(), outer, "{name}");
    }
}

#[test]
fn a_user_namespace_is_joined_by_its_path() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    let first = t.start_sleeping();
    let pid = t.pid(&first);
    let mut other = t.another_bundle("other");
    let path = format!("/proc/{pid}/ns/user");
    let namespaces = other.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({ "type": "user", "path": path }));
    other.script("cat /proc/self/uid_map; sleep 1000");
    other.write();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let id = t.id("joined");
    let run = t.brig().args(["run", "--detach", "--bundle"]).arg(&other.dir).last_arg(&id);
    let stdio = |fd: &OwnedFd| std::process::Stdio::from(fd.try_clone().unwrap());
    let (stdout, stderr) = (stdio(&writer), stdio(&writer));
    run.stdio(std::process::Stdio::null(), stdout, stderr).run().ok();
    // a pipe is given to the workload's user
    assert_eq!(rustix::fs::fstat(&reader).unwrap().st_uid, 100_000);
    let joined = fs::read_link(format!("/proc/{}/ns/user", t.pid(&id))).unwrap();
    assert_eq!(joined, fs::read_link(&path).unwrap());
    t.exec(&id, ["/bin/id", "-u"]).prints("0");
    t.delete(&id);
}

#[test]
fn a_mapping_that_the_kernel_refuses_fails_create_and_leaves_nothing() {
    let mut t = test!().plain();
    add_user_namespace(&mut t.bundle.config);
    t.bundle.config["linux"]["gidMappings"][1]["containerID"] = json!(500);
    t.run(["/bin/true"]).fails_with("linux.gidMappings");
    t.assert_clean();
}
