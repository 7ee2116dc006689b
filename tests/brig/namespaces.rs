// SPDX-License-Identifier: Apache-2.0
//! User namespaces of a container that root makes.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Console, Test, process};
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

/// The bundle, with a root filesystem of the namespace's root, below a directory of the host's root alone.
fn closed_storage(t: &mut Test) -> PathBuf {
    add_user_namespace(&mut t.bundle.config);
    let closed = t.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let bundle = closed.join("bundle");
    fs::rename(&t.bundle.dir, &bundle).unwrap();
    t.bundle.dir = bundle;
    for directory in ["", "etc", "run"] {
        chown(t.bundle.file(directory), Some(100_000), Some(100_000)).unwrap();
    }
    closed
}

#[test]
fn what_only_the_hosts_root_reaches_is_mounted_into_a_user_namespace() {
    let mut t = test!();
    let closed = closed_storage(&mut t);
    let volume = closed.join("deep/volume");
    fs::create_dir_all(&volume).unwrap();
    fs::write(volume.join("file"), "text").unwrap();
    t.bundle.mount(json!({ "destination": "/dir", "type": "bind", "source": volume, "options": ["rbind", "ro"] }));
    t.bundle.mount(json!({ "destination": "/etc/file", "type": "bind", "source": volume.join("file"), "options": ["bind"] }));
    // relative to the bundle, and above the other sources
    t.bundle.mount(
        json!({ "destination": "/above", "type": "bind", "source": "../deep", "options": ["rbind"] }),
    );
    let seen = closed_hook(&mut t);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    t.bundle.script("cat /dir/file /etc/file /above/volume/file; touch /dir/x; sleep 1000");
    t.bundle.config["process"]["terminal"] = json!(false);
    let id = t.start();
    assert_eq!(t.state(&id)["bundle"], json!(t.bundle.dir));
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    let read = t.exec(&id, ["/bin/cat", "/dir/file", "/etc/file", "/above/volume/file"]);
    read.prints("texttexttext");
    t.exec(&id, ["/bin/touch", "/dir/x"]).fails_with("Read-only file system");
    let inside = t.exec(&id, ["/bin/cat", "/proc/self/mountinfo"]).ok().stdout;
    assert!(!inside.contains("brig-source"), "{inside}");
    let rootfs = t.bundle.rootfs().display().to_string();
    assert_eq!(fs::read_to_string(seen).unwrap().trim(), rootfs);
    t.delete(&id);
    t.assert_clean();
}

/// A hook on the container's side notes under which path it sees the root filesystem mounted.
fn closed_hook(t: &mut Test) -> PathBuf {
    let seen = t.bundle.file("/run/hook");
    let rootfs = t.bundle.rootfs();
    let script = format!("cd {0} && pwd -P > {0}/run/hook", rootfs.display());
    t.bundle.config["hooks"] =
        json!({ "createContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    seen
}

/// A host's mount that is read-only and nosuid, with another one that covers a file of it.
fn guarded_volume(t: &Test, closed: &Path) -> PathBuf {
    let volume = closed.join("volume");
    fs::create_dir(&volume).unwrap();
    let script = "mount -t tmpfs tmpfs $0 && mkdir $0/sub && echo secret > $0/sub/secret && \
                  mount -t tmpfs tmpfs $0/sub && mount -o remount,bind,ro,nosuid,nodev $0";
    t.program("/bin/sh").args(["-c", script]).arg(&volume).run().ok();
    volume
}

#[test]
fn a_user_namespaces_root_cannot_change_what_the_hosts_mounts_forbid() {
    let mut t = test!().plain();
    let closed = closed_storage(&mut t);
    let volume = guarded_volume(&t, &closed);
    t.bundle.mount(
        json!({ "destination": "/v", "type": "bind", "source": volume, "options": ["rbind"] }),
    );
    t.bundle.capabilities(&["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    t.bundle.config["linux"]["seccomp"] = denying("swapon");
    let id = t.start_sleeping();
    let line = t.exec(&id, ["/bin/grep", " /v ", "/proc/mounts"]).ok().stdout;
    assert!(line.contains("ro,nosuid,nodev"), "{line}");
    for options in ["remount,bind,rw,nosuid,nodev", "remount,bind,ro,suid,nodev"] {
        t.exec(&id, ["/bin/mount", "-o", options, "/v"]).fails_with("ermission denied");
    }
    t.exec(&id, ["/bin/umount", "/v/sub"]).fails_with("Invalid argument");
    t.exec(&id, ["/bin/cat", "/v/sub/secret"]).fails_with("No such file");
    t.delete(&id);
    let undo = "umount $0/sub $0";
    t.program("/bin/sh").args(["-c", undo]).arg(&volume).run().ok();
    t.assert_clean();
}

#[test]
fn a_joined_user_namespace_reaches_what_only_the_hosts_root_does() {
    let mut t = test!();
    let closed = closed_storage(&mut t);
    let first = t.start_sleeping();
    let mut other = t.another_bundle("other");
    let path = format!("/proc/{}/ns/user", t.pid(&first));
    let namespaces = other.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.push(json!({ "type": "user", "path": path }));
    other.config["root"]["path"] = json!(t.bundle.rootfs());
    other.args(["/bin/cat", "/proc/self/uid_map"]);
    other.write();
    assert!(t.bundle.rootfs().starts_with(closed));
    let run = t.brig().args(["run", "--bundle"]).arg(&other.dir).last_arg(t.id("joined")).run();
    assert!(run.ok().stdout.contains("100000"));
}

#[test]
fn a_create_that_fails_before_or_after_its_mounts_are_staged_leaves_nothing() {
    let mut t = test!();
    let closed = closed_storage(&mut t);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    t.bundle.mount(
        json!({ "destination": "/dir", "type": "bind", "source": closed, "options": ["rbind"] }),
    );
    t.run(["/nonexistent"]).fails_with("no such file or directory");
    t.assert_clean();
    let index = t.bundle.config["mounts"].as_array().unwrap().len() - 1;
    t.bundle.config["mounts"][index]["source"] = json!(closed.join("missing"));
    t.run(["/bin/true"]).fails_with(&format!("mounts[{index}].source: "));
    t.assert_clean();
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
}
