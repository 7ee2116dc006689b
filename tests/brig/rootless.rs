// SPDX-License-Identifier: Apache-2.0
//! Containers of an unprivileged user without a cgroup of its own: one without an entry in passwd(5),
//! one with subordinate ids, and root of a user namespace that somebody else made.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Runner, Test, process};
use crate::supervisor::{check_seat, supervisor};
use crate::test;

/// A user that nobody else is.
pub const USER: u32 = 12345;

/// Where the user's brig keeps its state.
pub fn home(t: &Test) -> PathBuf {
    let home = t.path("home");
    if !home.exists() {
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&home, Some(USER), Some(USER)).unwrap();
        t.watch_root(&home);
    }
    home
}

/// A program as the user.
fn user(t: &Test) -> Runner {
    let (uid, gid) = (format!("--reuid={USER}"), format!("--regid={USER}"));
    t.program("/usr/bin/setpriv").args([&uid, &gid, "--clear-groups"])
}

/// brig as the user.
pub fn brig(t: &Test) -> Runner {
    user(t).arg(env!("CARGO_BIN_EXE_brig")).arg("--root").arg(home(t))
}

/// The first bundle's configuration, as `brig spec --rootless` writes it for the user.
pub fn rootless(t: &mut Test) {
    let written = t.path("spec");
    fs::create_dir(&written).unwrap();
    chown(&written, Some(USER), Some(USER)).unwrap();
    brig(t).args(["spec", "--rootless", "--bundle"]).arg(&written).run().ok();
    let text = fs::read(written.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(config["linux"]["uidMappings"][0]["hostID"], USER);
    config["process"]["terminal"] = json!(false);
    config["linux"]["cgroupsPath"] = json!(format!("/{}", t.tag()));
    t.bundle.config = config;
    t.bundle.args(["/bin/sleep", "1000"]);
}

/// The files of the first bundle are the user's.
pub fn give_rootfs(t: &Test) {
    let owner = format!("{USER}:{USER}");
    t.program("/bin/chown").args(["-R", &owner]).arg(t.bundle.rootfs()).run().ok();
}

fn start(t: &Test, options: &[&str]) -> String {
    t.bundle.write();
    let id = t.id("c");
    brig(t).args(options).args(["create", "--bundle"]).arg(&t.bundle.dir).arg(&id).run().ok();
    brig(t).args(["start", &id]).run().ok();
    id
}

fn state(t: &Test, id: &str) -> Value {
    serde_json::from_str(&brig(t).args(["state", id]).run().ok().stdout).unwrap()
}

fn pid(t: &Test, id: &str) -> i32 {
    i32::try_from(state(t, id)["pid"].as_i64().unwrap()).unwrap()
}

#[test]
fn an_unprivileged_user_runs_a_container() {
    let mut t = test!();
    rootless(&mut t);
    t.bundle.script("id -u; cat /proc/self/uid_map /proc/self/setgroups; exit 7");
    t.bundle.write();
    let run = brig(&t).args(["run", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run().exits(7);
    let fields: Vec<&str> = run.stdout.split_whitespace().collect();
    assert_eq!(fields, ["0", "0", "12345", "1", "deny"]);
    t.assert_clean();
}

#[test]
fn an_unprivileged_users_container_goes_through_its_life() {
    let mut t = test!();
    rootless(&mut t);
    let id = start(&t, &[]);
    assert_eq!(state(&t, &id)["status"], "running");
    assert_eq!(process::status(pid(&t, &id), "Uid").unwrap(), "12345\t12345\t12345\t12345");
    brig(&t).args(["exec", &id, "/bin/id", "-u"]).run().prints("0");
    brig(&t).args(["exec", &id, "/bin/sh", "-c", "exit 5"]).run().exits(5);
    brig(&t).args(["exec", &id, "/nonexistent"]).run().fails_with("no such file or directory");
    brig(&t).args(["kill", &id, "KILL"]).run().ok();
    crate::harness::until("its end", || (state(&t, &id)["status"] == "stopped").then_some(()));
    brig(&t).args(["delete", &id]).run().ok();
    t.assert_clean();
}

#[test]
fn commands_that_need_a_cgroup_say_that_there_is_none() {
    let mut t = test!();
    rootless(&mut t);
    let id = start(&t, &[]);
    for command in [&["ps"][..], &["pause"], &["events", "--stats"]] {
        let (name, options) = command.split_first().unwrap();
        let outcome = brig(&t).arg(name).args(options).arg(&id).run();
        outcome.fails_with("has no cgroup of its own");
    }
    brig(&t).args(["delete", "--force", &id]).run().ok();
    t.assert_clean();
}

#[test]
fn an_unprivileged_users_container_stays_in_the_callers_cgroup() {
    let mut t = test!();
    rootless(&mut t);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let id = start(&t, &[]);
    let theirs = fs::read_to_string(format!("/proc/{}/cgroup", pid(&t, &id))).unwrap();
    assert_eq!(theirs, fs::read_to_string("/proc/self/cgroup").unwrap());
    assert_eq!(mounts, fs::read_to_string("/proc/self/mountinfo").unwrap());
    brig(&t).args(["delete", "--force", &id]).run().ok();
}

#[test]
fn a_cgroup_that_belongs_to_the_user_is_no_obstacle() {
    let mut t = test!();
    rootless(&mut t);
    let hierarchies = crate::cgroups::hierarchies();
    let own: Vec<PathBuf> = hierarchies.iter().map(|one| one.join(t.tag())).collect();
    for directory in &own {
        fs::create_dir(directory).unwrap();
        chown(directory, Some(USER), Some(USER)).unwrap();
    }
    t.bundle.config["linux"]["cgroupsPath"] = json!(format!("/{}/c", t.tag()));
    t.bundle.args(["/bin/echo", "fine"]);
    t.bundle.write();
    let run = brig(&t).args(["run", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run();
    own.iter().for_each(|directory| fs::remove_dir(directory).unwrap());
    run.prints("fine");
    t.assert_clean();
}

#[test]
fn an_unprivileged_user_needs_a_user_namespace() {
    let mut t = test!();
    rootless(&mut t);
    t.bundle.without_namespace("user");
    t.bundle.write();
    let run = brig(&t).args(["run", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run();
    run.fails_with("linux.namespaces");
    t.assert_clean();
}

#[test]
fn an_unprivileged_user_cannot_map_ids_of_others() {
    let mut t = test!();
    rootless(&mut t);
    t.bundle.config["linux"]["uidMappings"][0]["hostID"] = json!(0);
    t.bundle.write();
    let run = brig(&t).args(["run", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run();
    run.fails_with("linux.uidMappings: newuidmap");
    t.assert_clean();
}

#[test]
fn a_filter_and_a_supervisor_hold_in_an_unprivileged_users_container() {
    let mut t = test!();
    rootless(&mut t);
    t.bundle.config["process"]["noNewPrivileges"] = json!(false);
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("chmod");
    t.bundle.mount(json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }));
    let id = start(&t, &["--testing-continue", "mkdir"]);
    let init = pid(&t, &id);
    let seat = supervisor(&home(&t), &id).expect("there is a supervisor");
    check_seat(seat, init);
    assert_eq!(process::status(init, "Seccomp").unwrap(), "2");
    brig(&t).args(["exec", &id, "/bin/mkdir", "/tmp/x"]).run().ok();
    let denied = brig(&t).args(["exec", &id, "/bin/chmod", "700", "/tmp/x"]).run();
    denied.fails_with("Operation not permitted");
    brig(&t).args(["delete", "--force", &id]).run().ok();
    t.assert_clean();
}

#[test]
fn an_unprivileged_users_container_is_served_where_patterns_decide() {
    for pattern in ["/tmp/**/*.key", "/**/*.key"] {
        let mut t = test!();
        rootless(&mut t);
        t.bundle.mount(json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }));
        let profile = t.path("keys.toml");
        let text = format!("name = \"keys\"\n[files]\ndeny = [\"{pattern}\"]\n");
        std::fs::write(&profile, text).unwrap();
        let user = home(&t).metadata().map_or(0, |it| std::os::unix::fs::MetadataExt::uid(&it));
        std::os::unix::fs::chown(&profile, Some(user), Some(user)).unwrap();
        let id = start(&t, &["--profile", profile.to_str().unwrap()]);
        assert!(supervisor(&home(&t), &id).is_some());
        let script =
            "cd /tmp && echo text > a.txt && mv a.txt b.txt && cat b.txt && ! echo x > b.key";
        brig(&t).args(["exec", &id, "/bin/sh", "-c", script]).run().ok().prints("text");
        brig(&t).args(["delete", "--force", &id]).run().ok();
        t.assert_clean();
    }
}

#[test]
fn an_unprivileged_users_container_ends_with_its_supervisor() {
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        let mut t = test!();
        rootless(&mut t);
        let id = start(&t, &["--testing-continue", "mkdir"]);
        let seat = supervisor(&home(&t), &id).expect("there is a supervisor");
        crate::regions::check_ends(pid(&t, &id), seat, signal);
        brig(&t).args(["delete", "--force", &id]).run().ok();
        t.assert_clean();
    }
}

#[test]
fn an_unprivileged_user_has_a_terminal() {
    let mut t = test!();
    rootless(&mut t);
    let id = start(&t, &[]);
    let (mut pty, inner) = crate::harness::Pty::open();
    let end = || std::process::Stdio::from(inner.try_clone().unwrap());
    let exec = brig(&t).args(["exec", "--tty", &id, "/bin/sh", "-c", "tty; echo end"]);
    let exec = exec.stdio(end(), end(), end()).spawn();
    assert!(pty.expect("end").contains("/dev/pts/0"));
    exec.wait().ok();
    brig(&t).args(["delete", "--force", &id]).run().ok();
}

/// The user has an entry in passwd(5) and subordinate ids, for one shell alone.
pub fn with_subordinate_ids(t: &Test, script: &str) -> Runner {
    let file = |name: &str, text: &str| {
        let path = t.path(name);
        fs::write(&path, text).unwrap();
        format!("mount --bind {} /etc/{name} && ", path.display())
    };
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let entry = format!("{passwd}brigtest:x:{USER}:{USER}::/:/bin/sh\n");
    let mounts = [
        file("passwd", &entry),
        file("subuid", "brigtest:500000:65536\n"),
        file("subgid", "brigtest:600000:65536\n"),
    ];
    let become_user =
        format!("exec setpriv --reuid={USER} --regid={USER} --clear-groups sh -c '{script}'");
    t.program("/usr/bin/unshare").args(["--mount", "sh", "-c"]).arg(mounts.concat() + &become_user)
}

#[test]
fn subordinate_ids_come_by_newuidmap() {
    let mut t = test!();
    rootless(&mut t);
    for (field, first) in [("uidMappings", 500_000), ("gidMappings", 600_000)] {
        t.bundle.config["linux"][field] = json!([
            { "containerID": 0, "hostID": USER, "size": 1 },
            { "containerID": 1, "hostID": first, "size": 65536 },
        ]);
    }
    t.bundle.config["process"]["user"] = json!({ "uid": 33, "gid": 34, "additionalGids": [35] });
    t.bundle.write();
    let brig = format!("{} --root {}", env!("CARGO_BIN_EXE_brig"), home(&t).display());
    let (bundle, id) = (t.bundle.dir.display().to_string(), t.id("c"));
    let script = format!(
        "{brig} create --bundle {bundle} {id} && {brig} start {id} && {brig} exec {id} id && \
         {brig} exec -u 0:0 {id} id -u && {brig} exec {id} cat /proc/1/status && \
         {brig} delete --force {id}"
    );
    let seen = with_subordinate_ids(&t, &script).run().ok().stdout;
    assert!(seen.starts_with("uid=33 gid=34 groups=35\n0\n"), "{seen}");
    assert_eq!(process::field(&seen, "Groups").unwrap(), "35");
    t.assert_clean();
}

#[test]
fn root_of_somebody_elses_user_namespace_has_containers() {
    let mut t = test!();
    rootless(&mut t);
    // as rootless Podman has it: the engine's user namespace, and none in the specification
    t.bundle.without_namespace("user");
    let linux = t.bundle.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");
    t.bundle.write();
    let brig = format!("{} --root {}", env!("CARGO_BIN_EXE_brig"), home(&t).display());
    let (bundle, id) = (t.bundle.dir.display().to_string(), t.id("c"));
    let script = format!(
        "{brig} create --bundle {bundle} {id} && {brig} start {id} && {brig} exec {id} id -u && \
         {brig} state {id} && {brig} kill {id} KILL && {brig} delete --force {id}"
    );
    let outcome = user(&t)
        .args(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(script)
        .run()
        .ok();
    assert!(outcome.stdout.starts_with("0\n"), "{outcome:#?}");
    assert!(outcome.stdout.contains("\"running\""), "{outcome:#?}");
    t.assert_clean();
}
