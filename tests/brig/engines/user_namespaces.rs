// SPDX-License-Identifier: Apache-2.0
//! Engines whose containers have user namespaces, above storage that only the host's root enters, and
//! Podman as an unprivileged user.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use serde_json::json;

use super::{Containerd, Podman, containerd_is_here, podman_is_here};
use crate::harness::{LIMIT, Test, process, until};
use crate::supervisor::{check_seat, supervisor};
use crate::test;

/// As root calls them on the host.
const MAP: [&str; 4] = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];

/// The root filesystem belongs to the namespace's root, and lies below what only the host's root enters.
fn own_storage(t: &Test, owner: u32) {
    give(&t.bundle.rootfs(), owner);
    fs::set_permissions(&t.bundle.dir, fs::Permissions::from_mode(0o700)).unwrap();
}

fn give(directory: &Path, owner: u32) {
    std::os::unix::fs::lchown(directory, Some(owner), Some(owner)).unwrap();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        std::os::unix::fs::lchown(entry.path(), Some(owner), Some(owner)).unwrap();
        if entry.file_type().unwrap().is_dir() {
            give(&entry.path(), owner);
        }
    }
}

fn podman_goes_through_a_life(t: &Test, podman: &Podman<'_>, is_mediating: bool) {
    let with = |options: &[&'static str]| [&MAP[..], options].concat();
    let fields = "cat /proc/self/uid_map; test -s /etc/hosts && id -u";
    let seen = podman.run(&with(&["--rm"]), &["sh", "-c", fields]).ok().stdout;
    let seen: Vec<&str> = seen.split_whitespace().collect();
    assert_eq!(seen, ["0", "100000", "65536", "0"]);
    podman.run(&with(&["--rm"]), &["sh", "-c", "exit 42"]).exits(42);
    podman.run(&with(&["--rm"]), &["nonexistent"]).exits(127);
    podman.run(&with(&["-d", "--name", "d"]), &["sleep", "1000"]).ok();
    let id = podman.id("d");
    let init = t.pid(&id);
    assert_eq!(process::status(init, "Uid").unwrap(), "100000\t100000\t100000\t100000");
    let seat = supervisor(&t.root(), &id);
    assert_eq!(seat.is_some(), is_mediating);
    seat.iter().for_each(|seat| check_seat(*seat, init));
    podman.call(&["exec", "d", "id", "-u"]).prints("0");
    podman.call(&["exec", "--user", "7", "d", "id", "-u"]).prints("7");
    podman.call(&["stop", "--time", "0", "d"]).ok();
    podman.call(&["rm", "d"]).ok();
    assert!(seat.is_none_or(|seat| process::wait_for_end(seat, LIMIT)));
    podman.assert_clean();
}

#[test]
fn podman_has_user_namespaces_above_storage_of_root_alone() {
    if !podman_is_here("podman_has_user_namespaces_above_storage_of_root_alone") {
        return;
    }
    let t = test!();
    own_storage(&t, 100_000);
    podman_goes_through_a_life(&t, &Podman::new(&t), false);
    podman_goes_through_a_life(&t, &Podman::new(&t).mediating("getppid"), true);
}

#[test]
fn podman_mounts_volumes_of_root_alone_into_a_user_namespace() {
    if !podman_is_here("podman_mounts_volumes_of_root_alone_into_a_user_namespace") {
        return;
    }
    let t = test!();
    own_storage(&t, 100_000);
    let volume = t.bundle.dir.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "text").unwrap();
    chown(&volume, Some(100_000), Some(100_000)).unwrap();
    let podman = Podman::new(&t);
    let mount = |options: &str| format!("{}:/vol{options}", volume.display());
    let read_only = mount(":ro");
    let options = [&MAP[..], &["--rm", "-v", &read_only]].concat();
    podman.run(&options, &["cat", "/vol/file"]).prints("text");
    podman.run(&options, &["touch", "/vol/x"]).fails_with("Read-only file system");
    let writable = mount("");
    podman.run(&[&MAP[..], &["--rm", "-v", &writable]].concat(), &["touch", "/vol/new"]).ok();
    assert!(volume.join("new").exists());
    podman.assert_clean();
}

#[test]
fn containerd_has_user_namespaces_above_storage_of_root_alone() {
    if !containerd_is_here("containerd_has_user_namespaces_above_storage_of_root_alone") {
        return;
    }
    let mut t = test!();
    crate::namespaces::add_user_namespace(&mut t.bundle.config);
    t.bundle.config["root"]["path"] = json!(t.bundle.rootfs());
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    own_storage(&t, 100_000);
    for options in ["", "--testing-continue getppid"] {
        let engine = Containerd::start(&t, options);
        let id = t.id("c");
        let run = engine.runner(&["run", "-d", "--runtime", "io.containerd.runc.v2"]);
        let run = run.arg("--runc-binary").arg(&engine.runtime).arg("--runc-root").arg(t.root());
        run.arg("--config").arg(t.bundle.dir.join("config.json")).arg(&id).run().ok();
        let init = engine.pid("c");
        assert_eq!(process::status(init, "Uid").unwrap(), "100000\t100000\t100000\t100000");
        let seat = supervisor(&engine.root(), &id);
        assert_eq!(seat.is_some(), !options.is_empty());
        seat.iter().for_each(|seat| check_seat(*seat, init));
        engine.task(&["exec", "--exec-id", "e"], "c", &["/bin/id", "-u"]).run().prints("0");
        engine.task(&["kill", "--signal", "SIGKILL"], "c", &[]).run().ok();
        until("the task's end", || {
            engine.call(&["task", "ls"]).stdout.contains("STOPPED").then_some(())
        });
        engine.task(&["delete"], "c", &[]).run();
        engine.call(&["container", "delete", &id]).ok();
        engine.assert_clean();
        fs::remove_dir_all(t.path("containerd")).unwrap();
    }
}

#[test]
fn an_unprivileged_users_podman_has_containers() {
    if !podman_is_here("an_unprivileged_users_podman_has_containers") {
        return;
    }
    let t = test!();
    let home = t.path("user");
    fs::create_dir(&home).unwrap();
    give(&home, crate::rootless::USER);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    own_storage(&t, crate::rootless::USER);
    fs::set_permissions(&t.bundle.dir, fs::Permissions::from_mode(0o711)).unwrap();
    let runtime = super::wrapper(&t, &format!("--root {}/brig", home.display()));
    t.watch_root(&home.join("brig"));
    // in Podman's user namespace the host's root is nobody, whose configuration is not trusted
    give(&t.path("operator"), crate::rootless::USER);
    let at = home.display();
    let podman = format!(
        "podman --root {at}/storage --runroot {at}/run --tmpdir {at}/tmp --storage-driver vfs \
         --cgroup-manager cgroupfs --events-backend none --runtime {}",
        runtime.display()
    );
    let run = |options: &str, command: &str| {
        format!(
            "{podman} run --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
             {options} --rootfs {} {command}",
            t.bundle.rootfs().display()
        )
    };
    let script = [
        format!("export HOME={at} XDG_RUNTIME_DIR={at}"),
        run("--rm", "id -u"),
        // a user namespace within Podman's own, whose root is not the owner of the storage
        run("--rm --uidmap 0:1:1000 --gidmap 0:1:1000", "cat /proc/self/uid_map"),
        run("--rm -v /etc/hostname:/vol:ro", "ls /sys/fs/cgroup"),
        run("-d --name d", "sleep 1000"),
        format!("{podman} exec d id -u"),
        format!("{podman} stop --time 0 d && {podman} rm d && {podman} ps --all --quiet"),
        // ends the process that keeps Podman's user namespace
        format!("{podman} system migrate"),
    ];
    let script = script.join(" && ");
    let outcome = crate::rootless::with_subordinate_ids(&t, &script).run().ok();
    let seen: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!(seen[..4], ["0", "0", "1", "1000"], "{outcome:#?}");
    // of the detached one: its identifier, what exec prints, what stop and rm print, and no more
    assert_eq!((seen[4].len(), seen[5], seen.len()), (64, "0", 8), "{outcome:#?}");
    t.assert_clean();
}
