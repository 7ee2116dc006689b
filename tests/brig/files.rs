// SPDX-License-Identifier: Apache-2.0
//! `[files]` and TCP ports, live: what the agreement of policy and kernel does not cover.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::harness::{Outcome, Runner, Test, process, victims};
use crate::test;

/// brig with a profile of this text.
fn with_profile(t: &Test, text: &str) -> Runner {
    let file = t.path("files.toml");
    fs::write(&file, format!("name = \"test\"\n{text}")).unwrap();
    t.brig().arg("--profile").arg(file)
}

fn run(t: &Test, profile: &str) -> Outcome {
    t.bundle.write();
    with_profile(t, profile).args(["run", "--bundle"]).arg(&t.bundle.dir).arg(t.id("c")).run()
}

/// Runs a shell script under a profile.
fn script(t: &mut Test, profile: &str, script: &str) -> Outcome {
    t.bundle.script(script);
    run(t, profile)
}

/// Creates and starts a container that sleeps.
fn start(t: &mut Test, profile: &str) -> String {
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let id = t.id("c");
    with_profile(t, profile).args(["create", "--bundle"]).arg(&t.bundle.dir).arg(&id).run().ok();
    t.call(["start", &id]).ok();
    id
}

#[test]
fn files_and_ports_need_no_supervisor() {
    let mut t = test!();
    let profile = "[files]\nread = [\"/\"]\nwrite = [\"/tmp\"]\nexecute = [\"/bin\"]\n\
        deny = [\"/etc/group\"]\n[network]\nconnect = [\"tcp *:443\"]\nbind = []\n";
    let id = start(&mut t, profile);
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(t.root().join(&id).join("state.json")).unwrap()).unwrap();
    assert!(record["supervisor"].is_null(), "{record}");
    assert_eq!(process::children_of(t.pid(&id)).len(), 0);
    t.exec(&id, ["/bin/cat", "/etc/passwd"]).ok();
    t.exec(&id, ["/bin/cat", "/etc/group"]).fails_with("Permission denied");
}

#[test]
fn an_added_process_is_under_the_same_rules() {
    let mut t = test!();
    fs::create_dir(t.bundle.file("/srv")).unwrap();
    fs::write(t.bundle.file("/srv/data"), "x").unwrap();
    let id = start(&mut t, "[files]\nread = [\"/bin\", \"/srv/data\"]\nwrite = [\"/tmp\"]\n");
    t.exec(&id, ["/bin/cat", "/srv/data"]).ok().prints("x");
    t.exec(&id, ["/bin/cat", "/etc/passwd"]).fails_with("Permission denied");
    t.exec(&id, ["/bin/touch", "/etc/x"]).fails_with("Read-only file system");
    t.exec(&id, ["/bin/chmod", "0600", "/etc/passwd"]).fails_with("Read-only file system");
    t.exec(&id, ["/bin/touch", "/tmp/x"]).ok();
}

#[test]
fn what_has_taken_a_granted_files_place_is_not_granted_to_an_added_process() {
    let mut t = test!();
    fs::create_dir(t.bundle.file("/srv")).unwrap();
    fs::write(t.bundle.file("/srv/data"), "granted").unwrap();
    let id = start(&mut t, "[files]\nread = [\"/bin\", \"/srv/data\"]\n");
    t.exec(&id, ["/bin/cat", "/srv/data"]).ok().prints("granted");
    // by the workload or from outside: another file by this name was never meant
    fs::rename(t.bundle.file("/srv/data"), t.bundle.file("/srv/old")).unwrap();
    fs::copy(t.bundle.file("/etc/passwd"), t.bundle.file("/srv/data")).unwrap();
    t.exec(&id, ["/bin/cat", "/srv/data"]).fails_with("Permission denied");
    fs::remove_file(t.bundle.file("/srv/data")).unwrap();
    symlink("/etc/passwd", t.bundle.file("/srv/data")).unwrap();
    t.exec(&id, ["/bin/cat", "/srv/data"]).fails_with("Permission denied");
}

#[test]
fn rules_reach_below_directories_that_the_workloads_user_cannot_enter() {
    let mut t = test!();
    let closed = t.bundle.file("/closed");
    fs::create_dir_all(closed.join("inner")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    t.bundle.config["process"]["user"] = serde_json::json!({ "uid": 1000, "gid": 1000 });
    let profile =
        "[files]\nread = [\"/bin\", \"/proc\", { path = \"/closed/inner\", required = true }]\n";
    let out = script(&mut t, profile, "grep -E '^Cap(Eff|Prm|Inh|Amb)' /proc/self/status").ok();
    for line in out.stdout.lines() {
        assert!(line.ends_with("0000000000000000"), "what was borrowed is gone: {line}");
    }
}

#[test]
fn what_preparing_takes_is_given_up_before_the_container_waits_for_start() {
    let mut t = test!();
    t.bundle.args(["/bin/true"]);
    t.bundle.capabilities(&["CAP_CHOWN"]);
    t.bundle.write();
    let id = t.id("c");
    let create = with_profile(&t, "[files]\nread = [\"/\"]\nwrite = [\"/tmp\"]\n").arg("create");
    create.arg("--bundle").arg(&t.bundle.dir).arg(&id).run().ok();
    for set in ["CapEff", "CapPrm"] {
        assert_eq!(process::mask(t.pid(&id), set), 1, "{set}: CAP_CHOWN alone");
    }
}

#[test]
fn a_masked_pattern_has_something_empty_in_the_place_of_all_it_matches() {
    let mut t = test!();
    for name in ["a.key", "sub/b.key", "c.txt", "keys.key/inner"] {
        let path = t.bundle.file(&format!("/srv/{name}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "content").unwrap();
    }
    let profile = "[files]\nmask = [\"/srv/**/*.key\"]\n";
    let out = script(
        &mut t,
        profile,
        "cat /srv/a.key /srv/sub/b.key; ls /srv/keys.key; cat /srv/c.txt; echo; ls /srv",
    );
    assert_eq!(out.ok().stdout, "content\na.key\nc.txt\nkeys.key\nsub\n");
    assert_eq!(
        fs::read(t.bundle.file("/srv/a.key")).unwrap(),
        b"content",
        "the bundle's is as it was"
    );
}

/// Copies a dynamically linked program of the host with what it is linked to.
fn install_dynamic(t: &Test, program: &str) -> String {
    let listed = t.program("/usr/bin/ldd").arg(program).run().ok().stdout;
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut loader = None;
    for path in libraries.chain([program]) {
        let target = t.bundle.file(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
        if Path::new(path).file_name().unwrap().to_string_lossy().starts_with("ld") {
            loader = Some(path.to_owned());
        }
    }
    loader.expect("a dynamically linked program")
}

#[test]
fn a_program_runs_without_its_loader_being_named_and_the_loader_runs_nothing_else() {
    let mut t = test!();
    let loader = install_dynamic(&t, "/usr/bin/env");
    fs::copy(t.bundle.file("/usr/bin/env"), t.bundle.file("/usr/bin/other")).unwrap();
    let attack = format!("{loader} /usr/bin/other echo ran; {loader} /usr/bin/env echo ran");
    // where nothing restricts execution, the loader does run others
    let free = script(&mut t, "[files]\nmask = []\n", &attack).ok();
    assert_eq!(free.stdout, "ran\nran\n");
    for execute in [
        "\"/usr/bin/env\", \"/bin\"",
        "{ path = \"/usr/bin\", except = [\"/usr/bin/other\"] }, \"/bin\"",
        "{ path = \"/\", except = [\"/usr/bin/other\"] }",
    ] {
        let profile = format!("[files]\nexecute = [{execute}]\n");
        script(&mut t, &profile, "/usr/bin/env echo runs").ok().prints("runs");
        let out = script(&mut t, &profile, &format!("{attack}; true")).ok();
        assert_eq!(out.stdout, "", "{execute}");
        script(&mut t, &profile, "/usr/bin/other echo ran").fails_with("Permission denied");
    }
    assert!(
        !fs::read(t.bundle.file(&loader)).unwrap().ends_with(b"/\0"),
        "the bundle's is as it was"
    );
}

#[test]
fn a_program_by_a_loaders_name_is_not_executed() {
    let mut t = test!();
    install_dynamic(&t, "/usr/bin/env");
    let disguised = ["/lib/ld-env.so.1", "/lib/ld-static.so.1"];
    fs::create_dir_all(t.bundle.file("/lib")).unwrap();
    fs::copy("/usr/bin/env", t.bundle.file(disguised[0])).unwrap();
    fs::copy(victims::operate(), t.bundle.file(disguised[1])).unwrap();
    for program in disguised {
        let attack = format!("{program} echo ran </dev/null && echo executed; true");
        let free = script(&mut t, "[files]\nmask = []\n", &attack).ok();
        assert!(free.stdout.contains("executed"), "{free:?}");
        let held = script(&mut t, "[files]\nexecute = [\"/bin\", \"/usr/bin/env\"]\n", &attack);
        assert_eq!(held.ok().stdout, "", "{program}");
    }
}

#[test]
fn a_script_whose_interpreter_is_not_granted_is_told_of() {
    let mut t = test!();
    t.bundle.install("/srv/run", "#!/bin/ash2\necho ran\n", 0o755);
    fs::copy(t.bundle.file("/bin/busybox"), t.bundle.file("/bin/ash2")).unwrap();
    let out = script(&mut t, "[files]\nexecute = [\"/bin/sh\", \"/srv/run\"]\n", "/srv/run");
    assert!(out.stderr.contains("/srv/run is a script that /bin/ash2 runs"), "{out:?}");
    assert!(!out.stdout.contains("ran"), "{out:?}");
}

#[test]
fn a_granted_path_that_is_missing_is_noted_and_a_required_one_is_an_error() {
    let mut t = test!();
    let out = script(&mut t, "[files]\nread = [\"/bin\", \"/nowhere\"]\n", "true").ok();
    assert!(
        out.stderr.contains("files.toml:3: /nowhere does not exist: nothing is granted"),
        "{out:?}"
    );
    let required = "[files]\nread = [\"/bin\", { path = \"/nowhere\", required = true }]\n";
    script(&mut t, required, "true")
        .fails_with("/nowhere does not exist, and the rule says required");
    t.assert_clean();
}

#[test]
fn a_path_that_cannot_be_followed_is_an_error_that_names_the_rule() {
    let mut t = test!();
    symlink("/loop2", t.bundle.file("/loop1")).unwrap();
    symlink("/loop1", t.bundle.file("/loop2")).unwrap();
    symlink("/proc/self/root/etc", t.bundle.file("/magic")).unwrap();
    let long = format!("/{}", "d/".repeat(2500).trim_end_matches('/'));
    for (path, expected) in [
        ("/etc/passwd/x", "not a directory"),
        ("/loop1", "too many levels of symbolic links"),
        ("/magic/passwd", "leads through a link of procfs"),
        (long.as_str(), "longer than 4095 bytes"),
    ] {
        for list in ["read", "deny"] {
            let out = script(&mut t, &format!("[files]\n{list} = [\"{path}\"]\n"), "true");
            let out = out.fails_with(expected);
            assert!(out.stderr.contains("files.toml:3"), "{out:?}");
            t.assert_clean();
        }
    }
}

#[test]
fn an_etc_that_leads_out_by_procfs_is_an_error() {
    let mut t = test!();
    fs::remove_dir_all(t.bundle.file("/etc")).unwrap();
    symlink("/proc/self/root/etc", t.bundle.file("/etc")).unwrap();
    let out = script(&mut t, "[files]\ndeny = [\"/etc/shadow\"]\n", "true");
    let out = out.fails_with("leads through a link of procfs");
    assert!(out.stderr.contains("files.toml:3"), "{out:?}");
    t.assert_clean();
}

#[test]
fn too_many_siblings_are_an_error_that_names_the_rule() {
    let mut t = test!();
    let many = t.bundle.file("/many");
    fs::create_dir(&many).unwrap();
    for index in 0..100_000 {
        fs::File::create(many.join(index.to_string())).unwrap();
    }
    let out = script(&mut t, "[files]\ndeny = [\"/many/7\"]\n", "true");
    let out = out.fails_with("takes more than");
    assert!(
        out.stderr.contains("files.toml:3: \"/many/7\"") && out.stderr.contains("/many"),
        "{out:?}"
    );
    t.assert_clean();
    // a mask needs none
    script(&mut t, "[files]\nmask = [\"/many/7\"]\n", "cat /many/7; echo ok").ok().prints("ok");
}

#[test]
fn a_terminals_owner_is_changed_although_its_mount_is_read_only() {
    let mut t = test!();
    let id = start(&mut t, "[files]\nwrite = [\"/tmp\"]\n");
    let script = "stat -L -c %u /proc/self/fd/0";
    let exec = ["exec", "--tty", "--user", "1000:1000", &id, "/bin/sh", "-c", script];
    t.brig().args(exec).run().ok().prints("1000");
}

#[test]
fn what_is_read_only_stays_that_whatever_the_workload_may_do() {
    let mut t = test!();
    fs::copy(victims::remount(), t.bundle.file("/remount")).unwrap();
    t.bundle.capabilities(&["CAP_SYS_ADMIN"]);
    t.bundle.config["linux"]["seccomp"] = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    t.bundle.args(["/remount", "/etc/passwd"]);
    let attempts = |out: &Outcome| out.stdout.lines().map(str::to_owned).collect::<Vec<_>>();
    // what the attack can do where only the specification says read-only
    t.bundle.config["root"]["readonly"] = true.into();
    let none = t.brig().args(["--profile", "none", "run", "--bundle"]).arg(&t.bundle.dir);
    t.bundle.write();
    let free = none.arg(t.id("c")).run().ok();
    assert_eq!(attempts(&free)[1], "mount_setattr: changed", "{free:?}");
    t.bundle.config["root"]["readonly"] = false.into();
    let held = run(&t, "[files]\nwrite = [\"/tmp\"]\n").ok();
    for line in attempts(&held) {
        assert!(!line.ends_with("changed"), "{held:?}");
    }
}

#[test]
fn a_new_file_by_the_number_of_a_granted_one_is_not_granted() {
    let mut t = test!();
    fs::create_dir(t.bundle.file("/srv")).unwrap();
    fs::write(t.bundle.file("/srv/data"), "granted").unwrap();
    let id = start(&mut t, "[files]\nread = [\"/bin\", \"/srv/data\"]\n");
    let number = |t: &Test| fs::metadata(t.bundle.file("/srv/data")).unwrap().ino();
    let before = number(&t);
    // filesystems give the number of a file that is gone to the next one
    for _ in 0..1000 {
        fs::remove_file(t.bundle.file("/srv/data")).unwrap();
        fs::write(t.bundle.file("/srv/data"), "another").unwrap();
        if number(&t) == before {
            break;
        }
    }
    t.exec(&id, ["/bin/cat", "/srv/data"]).fails_with("Permission denied");
}

#[test]
fn a_container_among_the_hosts_processes_signals_none_of_them() {
    let mut t = test!();
    t.bundle.without_namespace("pid");
    t.bundle.capabilities(&["CAP_KILL"]);
    t.bundle.without_namespace("network");
    fs::copy(victims::signals(), t.bundle.file("/signals")).unwrap();
    let mut signalled = |profile: &str| {
        let mut watch = std::process::Command::new(victims::signals());
        watch.arg("watch").stdout(std::process::Stdio::piped()).process_group(0);
        let mut watch = process::spawn(&mut watch).unwrap();
        t.bundle.args(["/signals", "send", &watch.id().to_string()]);
        let sent = run(&t, profile).ok().stdout;
        let term = rustix::process::Pid::from_child(&watch);
        rustix::process::kill_process(term, rustix::process::Signal::TERM).unwrap();
        let mut came = String::new();
        watch.stdout.take().unwrap().read_to_string(&mut came).unwrap();
        watch.wait().unwrap();
        let mut came: Vec<String> = came.lines().skip(1).map(str::to_owned).collect();
        came.sort();
        came.dedup();
        (sent, came)
    };
    let (sent, came) = signalled("[process]\n");
    let all = "SIGALRM SIGHUP SIGINT SIGPIPE SIGPROF SIGQUIT SIGURG SIGUSR1 SIGUSR2 SIGVTALRM";
    assert_eq!(came.join(" "), all, "{sent}");
    // the same where the kernel denies alone, and beside a supervisor
    for profile in
        ["[files]\nread = [\"/\"]\nwrite = [\"/tmp\"]\n", "[files]\ndeny = [\"/work/**/*.key\"]\n"]
    {
        let (sent, came) = signalled(profile);
        assert_eq!(came, [""; 0], "{sent}");
        assert_eq!(sent.matches("EPERM").count(), 7, "{sent}");
        assert!(sent.ends_with("timer_create EINVAL\n"), "{sent}");
    }
}

#[test]
fn the_workload_can_make_domains_of_its_own() {
    let mut t = test!();
    fs::copy(victims::nest(), t.bundle.file("/nest")).unwrap();
    t.bundle.args(["/nest"]);
    let own = run(&t, "[process]\n").ok().stdout.trim().parse::<u32>().unwrap();
    let nested = run(&t, "[files]\nread = [\"/\"]\nwrite = [\"/tmp\"]\n").ok().stdout;
    let nested = nested.trim().parse::<u32>().unwrap();
    assert!(own >= 15 && nested + 2 >= own, "{nested} of {own} layers are left");
}

#[test]
fn a_working_directory_in_a_writable_tree_is_writable() {
    let mut t = test!();
    fs::create_dir_all(t.bundle.file("/work/sub")).unwrap();
    t.bundle.config["process"]["cwd"] = serde_json::json!("/work/sub");
    let profile = "[files]\nread = [\"/\"]\nwrite = [\"/work\", \"/dev\"]\n";
    script(&mut t, profile, "echo text > file && cat file && pwd").ok().prints("text\n/work/sub");
}

#[test]
fn an_added_process_signals_the_first_one() {
    let mut t = test!();
    t.bundle.script("trap 'exit 7' USR1; while :; do sleep 1000 & wait; done");
    let brig = with_profile(&t, "[files]\nread = [\"/\"]\nwrite = [\"/tmp\", \"/dev\"]\n");
    t.bundle.write();
    let id = t.id("c");
    let create = brig.args(["create", "--bundle"]).arg(&t.bundle.dir);
    create.last_arg(&id).run().ok();
    t.call(["start", &id]).ok();
    let sent = "kill -USR1 1 && sleep 1000";
    // it ends with the first process
    t.exec(&id, ["/bin/sh", "-c", sent]);
    t.await_status(&id, "stopped");
}

#[test]
fn beside_a_supervisor_the_workload_makes_no_domain_of_its_own() {
    let mut t = test!();
    fs::copy(victims::nest(), t.bundle.file("/nest")).unwrap();
    fs::create_dir_all(t.bundle.file("/work")).unwrap();
    t.bundle.args(["/nest"]);
    // the supervisor could not see it, and would act outside of it
    let refused = run(&t, "[files]\ndeny = [\"/work/**/*.key\"]\n").exits(1);
    assert_eq!(refused.stdout, "", "{refused:?}");
}

#[test]
fn sockets_that_no_rule_can_use_are_not_made() {
    let mut t = test!();
    fs::copy(victims::sockets(), t.bundle.file("/sockets")).unwrap();
    t.bundle.args(["/sockets"]);
    t.bundle.config["linux"]["seccomp"] = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    let out = run(&t, "[network]\nconnect = [\"tcp *:443\"]\nbind = []\n").ok().stdout;
    for line in [
        "tcp 0",
        "mptcp 93",
        "smc 97",
        "udp 13",
        "sctp 93",
        "raw 93",
        "unix 13",
        "netlink route 0",
        "netlink audit 93",
        "packet 97",
        "vsock 97",
        "alg 97",
        "socketpair unix 0",
        "fast open sendto 95",
        "fast open sendmsg 95",
        "listen 13",
        "io_uring 38",
    ] {
        assert!(out.lines().any(|one| one == line), "{line}:\n{out}");
    }
    let out = run(&t, "[network]\nconnect = []\nbind = []\n").ok().stdout;
    for line in ["tcp 13", "udp 13", "unix 13", "packet 97", "alg 97", "netlink route 0"] {
        assert!(out.lines().any(|one| one == line), "{line}:\n{out}");
    }
    let out = run(&t, "[syscalls]\n").ok().stdout;
    for line in ["tcp 0", "udp 0", "unix 0"] {
        assert!(out.lines().any(|one| one == line), "nothing is restricted: {line}:\n{out}");
    }
    assert!(!out.contains("fast open sendto 95") && !out.contains("io_uring 38"), "{out}");
}
