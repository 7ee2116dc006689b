// SPDX-License-Identifier: Apache-2.0
//! What the workload sees and has: nothing of brig's, and exactly what the specification says.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;

use serde_json::{Value, json};

use crate::harness::{Test, process, until};
use crate::test;

/// The descriptors of a process, by number.
fn descriptors(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut found: Vec<i32> =
        entries.map(|one| one.file_name().to_str().unwrap().parse().unwrap()).collect();
    found.sort_unstable();
    found
}

/// The bits of capability names.
fn bits(names: &[&str]) -> u64 {
    let number = |name: &&str| match *name {
        "CAP_CHOWN" => 0,
        "CAP_KILL" => 5,
        "CAP_SETGID" => 6,
        "CAP_SETUID" => 7,
        "CAP_NET_BIND_SERVICE" => 10,
        "CAP_NET_RAW" => 13,
        "CAP_SYS_ADMIN" => 21,
        "CAP_AUDIT_WRITE" => 29,
        other => panic!("{other}"),
    };
    names.iter().map(|name| 1 << number(name)).sum()
}

fn assert_capabilities(pid: i32, sets: &Value) {
    let lines = [
        ("CapBnd", "bounding"),
        ("CapEff", "effective"),
        ("CapPrm", "permitted"),
        ("CapInh", "inheritable"),
        ("CapAmb", "ambient"),
    ];
    for (line, set) in lines {
        let names: Vec<&str> =
            sets[set].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        assert_eq!(process::mask(pid, line), bits(&names), "{line}");
    }
}

#[test]
fn the_workload_is_pid_1_and_alone() {
    let mut t = test!().plain();
    let outcome = t.script("echo $$; cd /proc; ls -d [0-9]*; cat /proc/1/comm; true").ok();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[0], "1");
    assert_eq!(lines.last(), Some(&"sh"));
    assert!(lines[1..lines.len() - 1].iter().all(|pid| *pid == "1" || *pid == "2"), "{lines:?}");
}

#[test]
fn the_workload_has_three_descriptors_and_no_others() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    assert_eq!(descriptors(t.pid(&id)), [0, 1, 2]);
    t.brig()
        .args(["exec", "--detach", "--pid-file"])
        .arg(t.path("pid"))
        .arg(&id)
        .args(["/bin/sleep", "1000"])
        .run()
        .ok();
    let added = fs::read_to_string(t.path("pid")).unwrap().trim().parse().unwrap();
    assert_eq!(descriptors(added), [0, 1, 2]);
}

#[test]
fn the_callers_descriptors_and_listen_fds_are_not_inherited() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/sleep", "1000"]);
    let file = File::open("/bin/busybox").unwrap();
    let number = file.as_raw_fd();
    for command in ["create", "exec"] {
        let runner = if command == "create" {
            t.run_command("create")
        } else {
            t.brig()
                .args(["exec", "--detach", "--pid-file"])
                .arg(t.path("pid"))
                .arg(t.id("c"))
                .args(["/bin/sleep", "1000"])
        };
        runner
            .env("LISTEN_FDS", "7")
            .env("LISTEN_PID", "1")
            .env("LISTEN_FDNAMES", "a")
            .with(|command| inherit(command, &[(number, 3), (number, 5), (number, 100)]))
            .run()
            .ok();
        if command == "create" {
            t.call(["start", &t.id("c")]).ok();
        }
    }
    let added = fs::read_to_string(t.path("pid")).unwrap().trim().parse().unwrap();
    for pid in [t.pid(&t.id("c")), added] {
        assert_eq!(descriptors(pid), [0, 1, 2]);
        let environ = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        assert!(!environ.contains("LISTEN_"), "{environ:?}");
    }
}

/// Has a command inherit descriptors under other numbers.
fn inherit(command: &mut std::process::Command, pairs: &[(i32, i32)]) {
    let pairs = pairs.to_vec();
    let action = move || {
        for (from, to) in &pairs {
            // SAFETY: both take numbers; from a high one, so that dup2 clears close-on-exec always
            let result = unsafe { libc::dup2(libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, 200), *to) };
            if result < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls alone, which is async-signal-safe
    unsafe { command.pre_exec(action) };
}

#[test]
fn preserve_fds_hands_over_exactly_those() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/sleep", "1000"]);
    let file = File::open("/bin/busybox").unwrap();
    let number = file.as_raw_fd();
    t.run_command("create")
        .args(["--preserve-fds", "2"])
        .with(|command| inherit(command, &[(number, 3), (number, 4), (number, 5)]))
        .run()
        .ok();
    t.call(["start", &t.id("c")]).ok();
    let pid = t.pid(&t.id("c"));
    assert_eq!(descriptors(pid), [0, 1, 2, 3, 4]);
    let expected = fs::metadata("/bin/busybox").unwrap();
    for fd in [3, 4] {
        let found = fs::metadata(format!("/proc/{pid}/fd/{fd}")).unwrap();
        assert_eq!((found.dev(), found.ino()), (expected.dev(), expected.ino()));
    }
    t.brig()
        .args(["exec", "--preserve-fds", "1", &t.id("c"), "/bin/ls", "/proc/self/fd"])
        .with(|command| inherit(command, &[(number, 3), (number, 4)]))
        .run()
        // the fourth is what ls has opened itself
        .prints("0\n1\n2\n3\n4");
}

#[test]
fn a_descriptor_that_is_to_be_preserved_and_is_not_open_is_an_error() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/true"]);
    for command in ["create", "run"] {
        t.run_command(command)
            .args(["--preserve-fds", "3"])
            .run()
            .fails_with("--preserve-fds 3: descriptor 3 is not open");
    }
    t.run_command("run").args(["--preserve-fds=-1"]).run().fails_with("--preserve-fds");
    t.assert_clean();
}

#[test]
fn the_environment_is_the_specifications_in_its_order_with_its_duplicates() {
    let mut t = test!().plain();
    t.bundle.config["process"]["env"] =
        json!(["Z=1", "PATH=/bin", "A=first", "A=second", "EMPTY=", "B=x=y", "HOME=/there"]);
    t.bundle.args(["/bin/sleep", "1000"]);
    t.run_command("create").env("FROM_THE_CALLER", "1").run().ok();
    t.brig().args(["start", &t.id("c")]).env("FROM_THE_CALLER", "1").run().ok();
    let environ = fs::read_to_string(format!("/proc/{}/environ", t.pid(&t.id("c")))).unwrap();
    let expected = "Z=1\0PATH=/bin\0A=first\0A=second\0EMPTY=\0B=x=y\0HOME=/there\0";
    assert_eq!(environ, expected);
}

#[test]
fn home_is_the_users_in_the_images_passwd() {
    let mut t = test!().plain();
    for (uid, home) in [(0, "/root"), (1000, "/home/user"), (4242, "/")] {
        t.bundle.config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        t.script("echo $HOME").prints(home);
    }
    t.bundle.config["process"]["env"] = json!(["PATH=/bin", "HOME=/set"]);
    t.script("echo $HOME").prints("/set");
}

#[test]
fn signal_dispositions_and_mask_are_the_default() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    assert_default_signals(t.pid(&id));
}

fn assert_default_signals(pid: i32) {
    for line in ["SigIgn", "SigBlk", "SigCgt"] {
        assert_eq!(process::mask(pid, line), 0, "{line}");
    }
}

#[test]
fn signals_that_the_caller_ignores_and_blocks_are_not_inherited() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.run_command("create").with(ignore_and_block_everything).run().ok();
    t.brig().args(["start", &t.id("c")]).with(ignore_and_block_everything).run().ok();
    assert_default_signals(t.pid(&t.id("c")));
    let exec = t.brig().args(["exec", "--detach", "--pid-file"]).arg(t.path("pid")).arg(t.id("c"));
    exec.args(["/bin/sleep", "1000"]).with(ignore_and_block_everything).run().ok();
    assert_default_signals(fs::read_to_string(t.path("pid")).unwrap().trim().parse().unwrap());
    // and the same in the foreground, whose brig blocks signals itself
    let outcome = t
        .brig()
        .args(["exec", &t.id("c"), "/bin/cat", "/proc/self/status"])
        .with(ignore_and_block_everything)
        .run()
        .ok();
    for line in ["SigIgn", "SigBlk"] {
        assert_eq!(process::field(&outcome.stdout, line).unwrap(), "0000000000000000", "{line}");
    }
}

/// As a careless parent leaves it: all signals ignored and blocked, those of the C library (32, 33)
/// too, which its functions do not reach.
pub fn ignore_and_block_everything(command: &mut std::process::Command) {
    #[repr(C)]
    struct KernelAction {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }
    let action = || {
        let ignore = KernelAction { handler: libc::SIG_IGN, flags: 0, restorer: 0, mask: 0 };
        for signal in 1..=64 {
            let size = 8_usize;
            // SAFETY: `ignore` has the kernel's layout and lives; KILL and STOP fail with EINVAL
            unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &raw const ignore, 0, size) };
        }
        let all = u64::MAX;
        // SAFETY: `all` is a mask of eight bytes, as the size says
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, 0, 8) };
        Ok(())
    };
    // SAFETY: the closure makes system calls alone
    unsafe { command.pre_exec(action) };
}

#[test]
fn limits_are_the_callers_where_the_specification_says_nothing() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    let limits = |pid: &str| fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert_eq!(limits(&t.pid(&id).to_string()), limits("self"));
}

#[test]
fn limits_are_the_specifications() {
    let mut t = test!().plain();
    t.bundle.config["process"]["rlimits"] = json!([
        { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
        { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        { "type": "RLIMIT_STACK", "soft": 1_048_576, "hard": 2_097_152 },
    ]);
    let id = t.start_sleeping();
    let text = t.exec(&id, ["/bin/cat", "/proc/1/limits", "/proc/self/limits"]).ok().stdout;
    for (name, soft, hard) in [
        ("Max open files", "100", "200"),
        ("Max core file size", "0", "0"),
        ("Max stack size", "1048576", "2097152"),
    ] {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in lines {
            let words: Vec<&str> = line[name.len()..].split_whitespace().collect();
            assert_eq!(words[..2], [soft, hard], "{line}");
        }
    }
}

#[test]
fn a_limit_that_cannot_be_raised_is_named() {
    let mut t = test!().plain();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = process::field(&status, "CapEff").unwrap();
    if u64::from_str_radix(&effective, 16).unwrap() & 1 << 24 != 0 {
        // with CAP_SYS_RESOURCE it can be raised: run brig without it
        return without_sys_resource(&mut t);
    }
    t.bundle.config["process"]["rlimits"] =
        json!([{ "type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1_000_000_000 }]);
    t.run(["/bin/true"]).fails_with("process.rlimits[0]: RLIMIT_NOFILE: the hard limit 1000000000");
    t.assert_clean();
}

fn without_sys_resource(t: &mut Test) {
    t.bundle.config["process"]["rlimits"] =
        json!([{ "type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1_000_000_000 }]);
    t.bundle.args(["/bin/true"]);
    t.bundle.write();
    t.program("capsh")
        .args(["--drop=cap_sys_resource", "--", "-c"])
        .arg(format!(
            "exec {} --root {} run --bundle {} {}",
            env!("CARGO_BIN_EXE_brig"),
            t.root().display(),
            t.bundle.dir.display(),
            t.id("c")
        ))
        .run()
        .fails_with("RLIMIT_NOFILE");
}

#[test]
fn capabilities_of_root_are_exactly_the_specifications() {
    let mut t = test!().plain();
    let cases = [
        json!({ "bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": [] }),
        json!({ "bounding": ["CAP_KILL", "CAP_CHOWN"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"] }),
        json!({
            "bounding": ["CAP_KILL", "CAP_NET_RAW"], "effective": ["CAP_KILL", "CAP_NET_RAW"],
            "permitted": ["CAP_KILL", "CAP_NET_RAW"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
        }),
    ];
    for no_new_privileges in [true, false] {
        for sets in &cases {
            t.bundle.config["process"]["capabilities"] = sets.clone();
            t.bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            let id = t.start_sleeping();
            // root's permitted set after execve is the bounding set (capabilities(7)), unless
            // no_new_privs keeps it from gaining anything
            let pid = t.pid(&id);
            let gained = if no_new_privileges { &sets["permitted"] } else { &sets["bounding"] };
            let expected = json!({
                "bounding": sets["bounding"], "effective": gained, "permitted": gained,
                "inheritable": sets["inheritable"],
                "ambient": sets["ambient"],
            });
            assert_capabilities(pid, &expected);
            t.delete(&id);
        }
    }
}

#[test]
fn capabilities_of_a_user_are_the_ambient_ones() {
    let mut t = test!().plain();
    t.bundle.config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
    t.bundle.config["process"]["capabilities"] = json!({
        "bounding": ["CAP_KILL", "CAP_NET_RAW"], "effective": ["CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_KILL", "CAP_NET_RAW"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
    });
    for filter in [false, true] {
        for no_new_privileges in [true, false] {
            t.bundle.config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            if filter {
                t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("sethostname");
            }
            let id = t.start_sleeping();
            let pid = t.pid(&id);
            assert_capabilities(
                pid,
                &json!({
                    "bounding": ["CAP_KILL", "CAP_NET_RAW"], "effective": ["CAP_KILL"],
                    "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
                }),
            );
            let expected = u64::from(no_new_privileges).to_string();
            assert_eq!(process::status(pid, "NoNewPrivs").unwrap(), expected);
            assert_eq!(process::status(pid, "Seccomp").unwrap(), if filter { "2" } else { "0" });
            t.delete(&id);
        }
    }
}

#[test]
fn a_filter_without_no_new_privileges_leaves_no_capability_behind() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = crate::seccomp::denying("sethostname");
    t.bundle.config["process"]["noNewPrivileges"] = json!(false);
    for uid in [0, 1000] {
        t.bundle.config["process"]["user"] = json!({ "uid": uid, "gid": uid });
        let id = t.start_sleeping();
        let pid = t.pid(&id);
        for line in ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(process::mask(pid, line) & bits(&["CAP_SYS_ADMIN"]), 0, "{line} of {uid}");
        }
        assert_eq!(process::status(pid, "NoNewPrivs").unwrap(), "0");
        t.delete(&id);
    }
}

#[test]
fn groups_are_exactly_the_specifications() {
    let mut t = test!().plain();
    let cases = [(json!([]), ""), (json!([7]), "7"), (json!([7, 4242, 100]), "7 100 4242")];
    for uid in [0, 1000] {
        for (groups, expected) in &cases {
            t.bundle.config["process"]["user"] =
                json!({ "uid": uid, "gid": 2000, "additionalGids": groups });
            t.bundle.args(["/bin/sleep", "1000"]);
            let with_groups = |command: &mut std::process::Command| {
                let action = || {
                    let groups = [9_u32, 99, 999];
                    // SAFETY: three groups at a live array
                    unsafe { libc::setgroups(3, groups.as_ptr()) };
                    Ok(())
                };
                // SAFETY: the closure makes one system call
                unsafe { command.pre_exec(action) };
            };
            t.run_command("create").with(with_groups).run().ok();
            let id = t.id("c");
            t.call(["start", &id]).ok();
            let pid = t.pid(&id);
            assert_eq!(process::status(pid, "Groups").unwrap(), *expected);
            assert_eq!(
                process::status(pid, "Uid").unwrap(),
                [uid.to_string().as_str(); 4].join("\t")
            );
            assert_eq!(process::status(pid, "Gid").unwrap(), "2000\t2000\t2000\t2000");
            let added =
                t.brig().args(["exec", &id, "/bin/cat", "/proc/self/status"]).with(with_groups);
            let added = added.run().ok();
            assert_eq!(process::field(&added.stdout, "Groups").unwrap(), *expected);
            t.delete(&id);
        }
    }
}

#[test]
fn umask_hostname_and_oom_score_are_the_specifications() {
    let mut t = test!().plain();
    t.bundle.config["process"]["user"] = json!({ "uid": 0, "gid": 0, "umask": 0o27 });
    t.bundle.config["hostname"] = json!("a-name");
    t.bundle.config["process"]["oomScoreAdj"] = json!(321);
    let outcome = t.script("umask; hostname; cat /proc/self/oom_score_adj").ok();
    assert_eq!(outcome.text().lines().collect::<Vec<_>>(), ["0027", "a-name", "321"]);
    t.bundle.config["process"]["user"] = json!({ "uid": 0, "gid": 0 });
    t.script("umask").prints("0022");
}

#[test]
fn proc_1_shows_the_workload_and_not_brig() {
    let mut t = test!().plain();
    let outcome = t.script(
        "readlink /proc/1/exe; readlink /proc/1/cwd; readlink /proc/1/root; cat /proc/1/comm
         tr '\\0' ' ' < /proc/1/cmdline; echo; grep -c . /proc/1/maps >/dev/null; grep brig /proc/1/maps
         cat /proc/1/keycreate 2>/dev/null; ls /proc/1/task | wc -l",
    );
    let text = outcome.ok().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["/bin/sh", "/", "/", "sh"], "{text}");
    assert!(lines[4].starts_with("/bin/sh -c"), "{text}");
    assert_eq!(lines.last(), Some(&"1"), "one thread: {text}");
    let others = &text[text.find("2>").unwrap_or(0)..];
    assert!(!others.contains("/brig"), "{text}");
}

#[test]
fn host_mounts_are_not_visible() {
    let mut t = test!().plain();
    let text = t.script("cat /proc/self/mountinfo").ok().stdout;
    let points: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(points[0], "/");
    assert!(
        text.lines().all(|line| !line.contains("/oldroot") && !line.contains(" /home")),
        "{text}"
    );
    assert!(
        points.iter().all(|point| ["/", "/proc", "/dev", "/sys"]
            .iter()
            .any(|one| { point == one || point.starts_with(&format!("{one}/")) })),
        "{points:?}"
    );
}

#[test]
fn the_working_directory_is_made_where_it_is_missing() {
    let mut t = test!().plain();
    let volume = t.path("volume");
    fs::create_dir(&volume).unwrap();
    t.bundle.mount(json!({ "destination": "/scratch", "type": "tmpfs", "source": "tmpfs" }));
    t.bundle.mount(json!({
        "destination": "/volume", "type": "bind", "source": volume, "options": ["bind"],
    }));
    for cwd in ["/work/deep/er", "/scratch/a/b", "/volume/c/d", "/tmp", "/"] {
        t.bundle.config["process"]["cwd"] = json!(cwd);
        t.run(["/bin/pwd"]).prints(cwd);
    }
    assert!(volume.join("c/d").is_dir());
    assert!(!t.bundle.file("/scratch/a").exists(), "made in the tmpfs, not below it");
    let root = fs::metadata(t.bundle.file("/work/deep")).unwrap();
    assert_eq!((root.uid(), root.mode() & 0o777), (0, 0o755));
}

#[test]
fn a_working_directory_through_a_descriptor_is_refused() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    for number in 0..20 {
        let cwd = format!("/proc/self/fd/{number}");
        t.bundle.config["process"]["cwd"] = json!(cwd);
        t.bundle.args(["/bin/pwd"]);
        t.bundle.write();
        let run = t.brig().arg("run").arg("--bundle").arg(&t.bundle.dir).arg(t.id("second")).run();
        run.fails_with("process.cwd");
        let exec = t.brig().args(["exec", "--cwd", &cwd, &id, "/bin/pwd"]).run();
        exec.fails_with("process.cwd");
    }
    for cwd in
        ["/proc/1/root", "/dev/fd/7", "//proc/./self/fd/7", "/proc/self/task/1/cwd", "/proc/1/cwd"]
    {
        t.brig().args(["exec", "--cwd", cwd, &id, "/bin/pwd"]).run().fails_with("process.cwd");
    }
}

#[test]
fn a_working_directory_through_a_link_to_a_descriptor_stays_inside() {
    let mut t = test!().plain();
    for number in 3..20 {
        let link = t.bundle.file("/link");
        fs::remove_file(&link).unwrap_or_default();
        std::os::unix::fs::symlink(format!("/proc/self/fd/{number}"), &link).unwrap();
        t.bundle.config["process"]["cwd"] = json!("/link");
        let outcome = t.script("pwd -P; ls ../../../../../../../../");
        if outcome.status.success() {
            assert!(!outcome.stdout.contains("work"), "{outcome:?}");
            assert!(outcome.stdout.contains("bin\n"), "{outcome:?}");
        }
    }
    t.assert_clean();
}

#[test]
fn the_pid_file_holds_the_pid() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/sleep", "1000"]);
    let path = t.path("the.pid");
    fs::write(&path, "something long that was there before").unwrap();
    t.run_command("create").arg("--pid-file").arg(&path).run().ok();
    assert_eq!(fs::read_to_string(&path).unwrap(), t.pid(&t.id("c")).to_string());
    let beside = fs::read_dir(t.dir())
        .unwrap()
        .flatten()
        .filter(|one| one.file_name().to_string_lossy().contains(".the.pid"));
    assert_eq!(beside.count(), 0);
    t.delete(&t.id("c"));
    t.run_command("create")
        .arg("--pid-file")
        .arg(t.path("none/pid"))
        .run()
        .fails_with("--pid-file");
    t.assert_clean();
}

#[test]
fn the_pid_file_is_never_seen_half_written() {
    let mut t = test!().plain();
    t.bundle.args(["/bin/true"]);
    let path = t.path("the.pid");
    let running = t.run_command("run").arg("--pid-file").arg(&path).spawn();
    let text = until("the pid file", || fs::read_to_string(&path).ok());
    assert!(text.parse::<i32>().is_ok_and(|pid| pid > 1), "{text:?}");
    running.wait().ok();
}
