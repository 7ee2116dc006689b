// SPDX-License-Identifier: Apache-2.0
//! Where patterns tell apart what the kernel cannot: the supervisor opens, makes, moves and removes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use crate::confinement::{Puppet, thread};
use crate::harness::{Feature, LIMIT, Outcome, Runner, Test, process, require, until, victims};
use crate::supervisor::{check_seat, supervisor};
use crate::test;

/// Everything in /work but keys.
pub const KEYS: &str = "[files]\ndeny = [\"/work/**/*.key\"]\n";

fn prepare(t: &mut Test, profile: &str) -> Runner {
    fs::create_dir_all(t.bundle.file("/work/sub")).unwrap();
    fs::write(t.bundle.file("/work/sub/a.key"), "secret\n").unwrap();
    fs::write(t.bundle.file("/work/a.txt"), "text\n").unwrap();
    let file = t.profile("regions.toml", profile);
    t.bundle.write();
    t.brig().arg("--profile").arg(file)
}

pub fn script(t: &mut Test, profile: &str, script: &str) -> Outcome {
    t.bundle.script(script);
    let brig = prepare(t, profile).args(["run", "--bundle"]);
    brig.arg(&t.bundle.dir).last_arg(t.id("c")).run()
}

fn start(t: &mut Test, profile: &str) -> (String, i32) {
    t.bundle.args(["/bin/sleep", "1000"]);
    let brig = prepare(t, profile).args(["create", "--bundle"]);
    brig.arg(&t.bundle.dir).last_arg(t.id("c")).run().ok();
    let id = t.id("c");
    t.call(["start", &id]).ok();
    let pid = supervisor(&t.root(), &id).expect("there is a supervisor");
    (id, pid)
}

#[test]
fn what_the_policy_allows_beside_a_pattern_works() {
    let mut t = test!();
    let out = script(
        &mut t,
        KEYS,
        "cd /work && cat a.txt && echo new > b.txt && cat b.txt && mkdir d && mv b.txt d/c.txt && \
         ln d/c.txt d/e.txt && ln -s c.txt d/f && cat d/f && chmod 600 d/c.txt && \
         rm d/c.txt d/e.txt d/f && rmdir d && ls",
    );
    out.ok().prints("text\nnew\nnew\na.txt\nsub");
}

#[test]
fn what_the_pattern_denies_cannot_be_had_by_any_call() {
    let mut t = test!();
    for attempt in [
        "cat /work/sub/a.key",
        "cd /work/sub && cat a.key",
        "echo x >> /work/sub/a.key",
        "echo x > /work/new.key",
        "rm /work/sub/a.key",
        "chmod 777 /work/sub/a.key",
        "touch /work/sub/a.key",
        "chown 1:1 /work/sub/a.key",
        "mv /work/sub/a.key /work/sub/a.txt",
        "mv /work/a.txt /work/a.key",
        "ln /work/sub/a.key /work/b.txt",
        "mkdir /work/dir.key",
        "ln -s x /work/link.key",
        "mknod /work/fifo.key p",
        "ln -s /work/sub/a.key /work/l && cat /work/l",
        "cd /work && cat ./sub/../sub/a.key",
        "cat /proc/self/root/work/sub/a.key",
        "cd /work/sub && cat /proc/self/cwd/a.key",
        "mv /work /elsewhere && cat /elsewhere/sub/a.key",
        "mv /work/sub /tmp/sub && cat /tmp/sub/a.key",
    ] {
        let out = script(&mut t, KEYS, attempt);
        assert!(!out.status.success(), "{attempt}: {out:?}");
        assert!(!out.stdout.contains("secret"), "{attempt}: {out:?}");
        let key = t.bundle.file("/work/sub/a.key");
        assert_eq!(fs::read_to_string(&key).unwrap(), "secret\n", "{attempt}");
        assert_eq!(fs::metadata(&key).unwrap().nlink(), 1, "{attempt}");
        assert!(!t.bundle.file("/work/new.key").exists(), "{attempt}");
        for leftover in ["/work/l", "/elsewhere", "/tmp/sub"] {
            fs::remove_file(t.bundle.file(leftover)).unwrap_or_default();
        }
    }
}

#[test]
fn descriptors_and_links_of_the_callers_own_lead_where_they_lead() {
    let mut t = test!();
    let out = script(
        &mut t,
        KEYS,
        "cd /work && cat /dev/stdin < a.txt && exec 5< a.txt && cat /proc/self/fd/5 && \
         cat /proc/self/cwd/a.txt && cat /proc/$$/cwd/a.txt /proc/self/root/work/a.txt",
    );
    out.ok().prints("text\ntext\ntext\ntext\ntext");
}

#[test]
fn who_waits_for_a_lease_holds_up_nobody_and_can_be_interrupted() {
    let mut t = test!();
    t.bundle.capabilities(&["CAP_LEASE"]);
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    fs::write(t.bundle.file("/work/leased"), "text\n").unwrap();
    std::os::unix::fs::symlink("leased", t.bundle.file("/work/link")).unwrap();
    fs::copy(victims::lease(), t.bundle.file("/lease")).unwrap();
    script(&mut t, KEYS, "/lease /work/leased /work/link /work/a.txt").ok().prints("held");
    // as the kernel has it
    script(&mut t, "[process]\n", "/lease /work/leased /work/link /work/a.txt").ok().prints("held");
}

#[test]
fn an_added_process_has_the_same_supervisor_and_the_same_answers() {
    let mut t = test!();
    let (id, pid) = start(&mut t, KEYS);
    check_seat(pid, t.pid(&id));
    t.exec(&id, ["/bin/cat", "/work/a.txt"]).ok().prints("text");
    t.exec(&id, ["/bin/cat", "/work/sub/a.key"]).fails_with("Permission denied");
    t.delete(&id);
    assert!(process::wait_for_end(pid, LIMIT));
}

/// A supervisor that ends, or hangs, does not leave its container for longer than a second.
#[track_caller]
fn check_ends_with(t: &Test, id: &str, supervisor: i32, signal: i32) {
    check_ends(t.pid(id), supervisor, signal);
    t.await_status(id, "stopped");
}

/// The same of processes.
#[track_caller]
pub fn check_ends(init: i32, supervisor: i32, signal: i32) {
    process::signal(supervisor, signal);
    let begun = Instant::now();
    until("the end of the container", || (!process::is_alive(init)).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    until("the end of the supervisor", || (!process::is_alive(supervisor)).then_some(()));
}

#[test]
fn devices_are_denied_to_the_supervisor_as_to_the_container() {
    // every way that a path is opened, and of every kind of name
    let tries = |kind: &str, major: u32, minor: u32| {
        format!(
            "cd /work && mknod d {kind} {major} {minor} && ln -s d link;
             for path in d link /work/d /work/link ./d; do
                 dd if=$path of=/dev/null count=1 2>/dev/null && echo read $path
                 (: > $path) 2>/dev/null && echo cut $path
                 (: >> $path) 2>/dev/null && echo appended to $path
             done; echo tried"
        )
    };
    // a disk, the kernel's log, memory
    for (kind, major, minor) in [("b", 254, 0), ("b", 7, 0), ("c", 1, 11), ("c", 1, 1)] {
        let mut t = test!();
        t.bundle.capabilities(&["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_SYSLOG", "CAP_SYS_RAWIO"]);
        script(&mut t, KEYS, &tries(kind, major, minor)).ok().prints("tried");
    }
    let mut t = test!();
    t.bundle.capabilities(&["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
    let harmless = "cd /work && mknod null c 1 3 && echo x > null && cat null && echo empty";
    script(&mut t, KEYS, harmless).ok().prints("empty");
    // without the right to make them
    let mut t = test!();
    t.bundle.config["linux"]["resources"]["devices"] =
        serde_json::json!([{ "allow": false, "access": "rwm" }]);
    t.bundle.capabilities(&["CAP_DAC_OVERRIDE"]);
    script(&mut t, KEYS, "mknod /work/d b 254 0 2>/dev/null || echo refused").prints("refused");
}

#[test]
fn what_the_supervisor_does_is_charged_to_the_container() {
    if !require(Feature::Hierarchies, module_path!(), "what_the_supervisor_does_is_charged") {
        return;
    }
    let mut t = test!();
    let (id, pid) = start(&mut t, KEYS);
    let cgroups = |pid: i32| -> std::collections::BTreeMap<String, String> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let split = |line: &str| {
            line.split_once(':')
                .unwrap()
                .1
                .split_once(':')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
        };
        text.lines().filter_map(split).collect()
    };
    let (own, containers) = (cgroups(pid), cgroups(t.pid(&id)));
    for controller in ["devices", "memory", "cpu", "blkio"] {
        assert_eq!(own[controller], containers[controller], "{controller}");
    }
    for controller in ["pids", "freezer"] {
        assert_ne!(own[controller], containers[controller], "{controller}");
    }
    // it is none of the container's processes all the same
    let listed = t.call(["ps", "--format", "json", &id]).ok().stdout;
    assert_eq!(listed.trim(), format!("[{}]", t.pid(&id)));
    t.call(["pause", &id]).ok();
    std::thread::sleep(Duration::from_secs(1));
    t.call(["resume", &id]).ok();
    t.exec(&id, ["/bin/cat", "/work/a.txt"]).ok().prints("text");
    t.call(["kill", "--all", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    assert!(process::wait_for_end(pid, LIMIT));
    t.call(["delete", &id]).ok();
}

#[test]
fn a_container_does_not_outlive_its_supervisor() {
    let mut t = test!();
    let (id, pid) = start(&mut t, KEYS);
    check_ends_with(&t, &id, pid, libc::SIGKILL);
}

#[test]
fn a_supervisor_that_hangs_is_ended_with_its_container() {
    let mut t = test!();
    let (id, pid) = start(&mut t, KEYS);
    check_ends_with(&t, &id, pid, libc::SIGSTOP);
}

#[test]
fn in_a_user_namespace_a_container_ends_with_its_supervisor_too() {
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        let mut t = test!();
        crate::namespaces::add_user_namespace(&mut t.bundle.config);
        let (id, pid) = start(&mut t, KEYS);
        check_ends_with(&t, &id, pid, signal);
    }
}

#[test]
fn without_a_pid_namespace_added_processes_end_with_the_supervisor_too() {
    let mut t = test!();
    t.bundle.without_namespace("pid");
    let (id, pid) = start(&mut t, KEYS);
    let own = t.path("added.pid");
    let exec = t.brig().args(["exec", "--detach", "--pid-file"]).arg(&own);
    exec.args([&id, "/bin/sleep", "1000"]).run().ok();
    let added: i32 = fs::read_to_string(own).unwrap().parse().unwrap();
    check_ends_with(&t, &id, pid, libc::SIGKILL);
    until("the end of the added process", || (!process::is_alive(added)).then_some(()));
}

#[test]
fn a_supervisor_whose_workers_nobody_looks_after_is_ended_with_its_container() {
    let mut t = test!();
    let (id, pid) = start(&mut t, KEYS);
    let init = t.pid(&id);
    let minder = Puppet::hold(thread(pid, "brig-minder"));
    let begun = Instant::now();
    // somebody calls, who is answered, but not looked after
    let asked = t.brig().args(["exec", &id, "/bin/cat", "/work/a.txt"]).spawn();
    until("the end of the container", || (!process::is_alive(init)).then_some(()));
    assert!(begun.elapsed() > Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(minder);
    asked.wait();
    t.await_status(&id, "stopped");
}

#[test]
fn a_supervisor_does_not_stay_without_its_watcher() {
    let mut t = test!();
    let (id, pid) = start(&mut t, KEYS);
    let init = t.pid(&id);
    let watcher: i32 = process::status(pid, "PPid").unwrap().parse().unwrap();
    process::signal(watcher, libc::SIGKILL);
    until("the end of the container", || (!process::is_alive(init)).then_some(()));
    until("the end of the supervisor", || (!process::is_alive(pid)).then_some(()));
    t.await_status(&id, "stopped");
}

#[test]
fn a_link_that_leads_to_what_was_not_planned_for_keeps_the_container_from_starting() {
    let mut t = test!();
    let profile = "[files]\nwrite = [\"/work\", \"/tmp\", \"/dev\"]\ndeny = [\"/link/*.key\"]\n";
    std::os::unix::fs::symlink("work", t.bundle.file("/link")).unwrap();
    let out = script(&mut t, profile, "chmod 777 /work/sub/a.key");
    // what the rule needs where it is written, or an error that names it
    if out.status.success() {
        panic!("{out:?}");
    }
    let said = format!("{}{}", out.stdout, out.stderr);
    let refused = said.contains("symbolic link") || said.contains("Permission denied");
    assert!(refused || said.contains("Read-only"), "{out:?}");
}

#[test]
fn after_a_change_of_groups_or_root_a_caller_is_who_it_has_become() {
    let mut t = test!();
    fs::create_dir_all(t.bundle.file("/jail/work")).unwrap();
    fs::create_dir_all(t.bundle.file("/jail/bin")).unwrap();
    fs::write(t.bundle.file("/jail/work/a.txt"), "in the jail\n").unwrap();
    fs::write(t.bundle.file("/jail/work/a.key"), "secret\n").unwrap();
    fs::copy(t.bundle.file("/bin/busybox"), t.bundle.file("/jail/bin/cat")).unwrap();
    t.bundle.capabilities(&["CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"]);
    let both = "[files]\ndeny = [\"/work/**/*.key\", \"/jail/work/**/*.key\"]\n";
    let jailed = "chroot /jail /bin/cat";
    let tries = format!("cat /work/a.txt && {jailed} /work/a.txt && ! {jailed} /work/a.key");
    script(&mut t, both, &tries).ok().prints("text\nin the jail");
}

/// Names in /work come and go; what may be changed there is one file.
const ONE_FILE: &str = r#"
[files]
write = [{ path = "/work", access = ["create", "delete"] }, { path = "/work/a.txt", access = ["modify"] }]
"#;

#[test]
fn metadata_are_not_changed_by_a_name_that_the_workload_gave() {
    let mut t = test!();
    let out = script(
        &mut t,
        ONE_FILE,
        "cd /work && chmod 600 a.txt && ! chmod 777 sub/a.key && mv a.txt old && mv sub on && \
         ! ln on/a.key a.txt && ! mv on/a.key a.txt; chmod 777 a.txt; ! chmod 777 old; \
         stat -c '%a' on/a.key old",
    );
    out.ok().prints("644\n600");
}

/// Makes, moves, opens and tries what is denied, in a file system that the container owns.
const IN_TMP: &str = "cd /tmp && mkdir d && echo text > d/a.txt && mv d/a.txt d/b.txt && \
    cat d/b.txt && chmod 600 d/b.txt && stat -c '%a %u' d/b.txt && ! echo x > d/b.key && \
    ! mv d/b.txt d/c.key && ls d";
const KEYS_IN_TMP: &str = "[files]\ndeny = [\"/tmp/**/*.key\"]\n";

#[test]
fn a_container_with_a_user_namespace_of_its_own_is_served_as_any_other() {
    let mut t = test!();
    crate::namespaces::add_user_namespace(&mut t.bundle.config);
    script(&mut t, KEYS_IN_TMP, IN_TMP).ok().prints("text\n600 0\nb.txt");
    let mut t = test!();
    crate::namespaces::add_user_namespace(&mut t.bundle.config);
    t.bundle.config["process"]["user"] = serde_json::json!({ "uid": 1000, "gid": 1000 });
    script(&mut t, KEYS_IN_TMP, IN_TMP).ok().prints("text\n600 1000\nb.txt");
}

#[test]
fn a_user_without_privileges_is_served_as_itself() {
    let mut t = test!();
    t.bundle.config["process"]["user"] =
        serde_json::json!({ "uid": 1000, "gid": 1000, "additionalGids": [5, 6] });
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    fs::write(t.bundle.file("/work/roots.txt"), "roots\n").unwrap();
    fs::write(t.bundle.file("/work/groups.txt"), "groups\n").unwrap();
    let owned = |name: &str, uid, gid, mode| {
        let path = t.bundle.file(name);
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    owned("/work/roots.txt", 0, 0, 0o600);
    owned("/work/groups.txt", 0, 6, 0o640);
    let tries = "cat /work/groups.txt; cat /work/roots.txt; echo x > /work/new.txt; \
                 chmod 777 /work/groups.txt; rm /work/roots.txt; id -G";
    let out = script(&mut t, KEYS, tries);
    assert_eq!(out.stdout, "groups\n1000 5 6\n", "{out:?}");
    assert!(out.stderr.matches("denied").count() >= 3, "{out:?}");
    assert_eq!(fs::metadata(t.bundle.file("/work/groups.txt")).unwrap().mode() & 0o777, 0o640);
    assert!(t.bundle.file("/work/roots.txt").exists());
}
