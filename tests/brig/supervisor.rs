// SPDX-License-Identifier: Apache-2.0
//! The supervisor's seat, with calls that it lets go on: where it sits, what it holds, when it ends.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::harness::{LIMIT, Runner, Test, process, until};
use crate::seccomp::denying;
use crate::test;

/// The supervisor's pid, from the record.
pub fn supervisor(root: &Path, id: &str) -> Option<i32> {
    let text = fs::read(root.join(id).join("state.json")).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    record["supervisor"]["pid"].as_i64().map(|pid| i32::try_from(pid).unwrap())
}

fn mediating(t: &Test, command: &str, call: &str) -> Runner {
    t.bundle.write();
    let brig = t.brig().args(["--testing-continue", call, command, "--bundle"]);
    brig.arg(&t.bundle.dir).last_arg(t.id("c"))
}

/// Creates and starts a container whose calls of this name are mediated.
pub fn start_mediating(t: &Test, call: &str) -> (String, i32) {
    mediating(t, "create", call).run().ok();
    let id = t.id("c");
    t.call(["start", &id]).ok();
    let pid = supervisor(&t.root(), &id).expect("there is a supervisor");
    (id, pid)
}

fn namespace(pid: i32, name: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap().display().to_string()
}

/// What must be true of every supervisor.
pub fn check_seat(supervisor: i32, init: i32) {
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(process::mask(supervisor, set), 0, "{set}");
    }
    // what it takes to look at callers and become them, and what they can have themselves
    let own = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 19;
    let callers = process::mask(init, "CapBnd") | process::mask(init, "CapPrm");
    for set in ["CapPrm", "CapEff"] {
        assert_eq!(process::mask(supervisor, set) & !(own | callers), 0, "{set}");
    }
    assert_eq!(process::status(supervisor, "NoNewPrivs").unwrap(), "1");
    assert_eq!(process::status(supervisor, "Seccomp").unwrap(), "2");
    for name in ["user", "mnt", "net", "ipc", "uts"] {
        assert_eq!(namespace(supervisor, name), namespace(init, name), "{name}");
    }
    assert_eq!(namespace(supervisor, "pid"), namespace(std::process::id().cast_signed(), "pid"));
    // the files of a process that is not dumpable are root's
    assert_eq!(fs::metadata(format!("/proc/{supervisor}/stat")).unwrap().uid(), 0);
    let mut held: Vec<String> = Vec::new();
    for entry in fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap() {
        held.push(fs::read_link(entry.unwrap().path()).unwrap().display().to_string());
    }
    let own = ["/dev/null", "/proc", "/", "anon_inode:seccomp notify", "anon_inode:[pidfd]"];
    held.retain(|one| !own.contains(&one.as_str()) && !one.starts_with("pidfd:"));
    // it writes the log and reaches no directory
    held.retain(|one| !one.ends_with("/decisions.log") && !one.ends_with("/decisions.log.1"));
    // of brig, of added processes, of the watcher
    assert!(held.iter().all(|one| one.starts_with("socket:")), "{held:?}");
    held.sort();
    held.dedup();
    assert!(held.len() <= 3, "{held:?}");
}

#[test]
fn the_first_process_and_added_ones_have_the_same_supervisor() {
    let mut t = test!();
    t.bundle.script("mkdir /first && sleep 1000");
    let (id, pid) = start_mediating(&t, "mkdir");
    until("the mediated call", || t.bundle.file("/first").exists().then_some(()));
    t.exec(&id, ["/bin/mkdir", "/added"]).ok();
    assert!(t.bundle.file("/added").exists());
    check_seat(pid, t.pid(&id));
    assert_eq!(supervisor(&t.root(), &id), Some(pid));
    t.delete(&id);
    assert!(process::wait_for_end(pid, LIMIT));
}

#[test]
fn the_supervisor_of_a_user_namespace_is_in_it() {
    let mut t = test!();
    crate::namespaces::add_user_namespace(&mut t.bundle.config);
    t.bundle.args(["/bin/sleep", "1000"]);
    let (id, pid) = start_mediating(&t, "getppid");
    check_seat(pid, t.pid(&id));
    t.exec(&id, ["/bin/sh", "-c", "echo $PPID"]).prints("0");
}

#[test]
fn the_workload_sees_nothing_of_the_supervisor() {
    let mut t = test!();
    t.bundle
        .script("echo /proc/[0-9]*; ls -l /proc/1/fd; ls /proc/1/task | wc -l; cat /proc/*/comm");
    let seen = mediating(&t, "run", "getppid").run().ok().stdout;
    assert!(seen.starts_with("/proc/1"), "{seen}");
    assert!(!seen.contains("seccomp") && !seen.contains("socket:"), "{seen}");
    assert!(!seen.contains("brig"), "{seen}");
}

#[test]
fn where_nothing_is_mediated_there_is_no_supervisor() {
    let mut t = test!();
    let id = t.start_sleeping();
    assert_eq!(supervisor(&t.root(), &id), None);
    assert!(!t.root().join(&id).join("supervisor.sock").exists());
    for pid in process::all() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&arguments).contains(t.tag());
        assert!(!(ours && name.contains("supervisor")), "{pid} {name}");
    }
}

#[test]
fn the_supervisor_holds_no_pipe_of_the_caller() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    t.bundle.write();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let script = "exec 7>&1 9>&1; exec \"$@\" >/dev/null 2>/dev/null";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_brig"), "--root"]).arg(t.root());
    command.args(["--testing-continue", "getppid", "create", "--bundle"]).arg(&t.bundle.dir);
    command.arg(t.id("c")).stdout(writer);
    let mut child = process::spawn(&mut command).unwrap();
    drop(command);
    assert!(child.wait().unwrap().success());
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let mut fds = [PollFd::new(&reader, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "somebody holds the pipe open");
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert!(supervisor(&t.root(), &t.id("c")).is_some_and(process::is_alive));
}

#[test]
fn the_supervisor_ends_with_the_last_mediated_process_not_with_the_first() {
    let mut t = test!();
    t.bundle.without_namespace("pid");
    t.bundle.args(["/bin/sleep", "1000"]);
    let (id, pid) = start_mediating(&t, "mkdir");
    let script = "until [ -e /tmp/go ]; do usleep 10000; done; mkdir /tmp/late; sleep 1000";
    t.brig().args(["exec", "--detach", &id, "/bin/sh", "-c", script]).run().ok();
    t.call(["kill", &id, "KILL"]).ok();
    t.await_status(&id, "stopped");
    fs::write(t.bundle.file("/tmp/go"), "").unwrap();
    until("the mediated call", || t.bundle.file("/tmp/late").exists().then_some(()));
    assert!(process::is_alive(pid));
    t.delete(&id);
    assert!(process::wait_for_end(pid, LIMIT));
}

#[test]
fn a_create_that_fails_leaves_no_supervisor() {
    let mut t = test!();
    let good = t.bundle.config.clone();
    let broken: [(&str, Value); 4] = [
        ("/process/args", json!(["/nonexistent"])),
        ("/process/cwd", json!("/bin/busybox")),
        ("/mounts/4/source", json!("/nonexistent/source")),
        ("/mounts/4/type", json!("nosuchfs")),
    ];
    for (pointer, value) in broken {
        t.bundle.config = good.clone();
        *t.bundle.config.pointer_mut(pointer).unwrap() = value;
        if pointer.ends_with("source") {
            t.bundle.config["mounts"][4]["type"] = json!("bind");
            t.bundle.config["mounts"][4]["options"] = json!(["bind"]);
        }
        mediating(&t, "create", "getppid").run().fails_with("create failed");
        t.assert_clean();
    }
    for point in ["prestart", "createRuntime", "createContainer"] {
        t.bundle.config = good.clone();
        t.bundle.config["hooks"] = json!({ point: [{ "path": "/bin/false" }] });
        mediating(&t, "create", "getppid").run().fails_with("create failed");
        t.assert_clean();
    }
}

#[test]
fn a_create_that_is_killed_leaves_no_supervisor() {
    let mut t = test!();
    let mark = t.path("hook");
    let script = format!("echo $$ > {}; exec sleep 1000", mark.display());
    t.bundle.config["hooks"] =
        json!({ "createRuntime": [{ "path": "/bin/sh", "args": ["sh", "-c", script] }] });
    let create = mediating(&t, "create", "getppid").spawn();
    let hook =
        until("the hook", || fs::read_to_string(&mark).ok().filter(|text| text.ends_with('\n')));
    create.signal(9);
    create.wait();
    // a hook's process is the caller's affair
    process::signal(hook.trim().parse().unwrap(), 9);
    t.delete(&t.id("c"));
    t.assert_clean();
}

#[test]
fn the_listener_is_handed_over_whatever_the_specification_denies() {
    let mut t = test!();
    let denied = ["sendmsg", "close", "write", "futex", "capset", "exit_group", "sched_yield"];
    for (number, name) in denied.iter().enumerate() {
        for privileges in [true, false] {
            t.bundle.config["linux"]["seccomp"] = denying(name);
            t.bundle.config["process"]["noNewPrivileges"] = json!(privileges);
            let made = format!("/made-{number}-{privileges}");
            t.bundle.args(["/bin/mkdir", &made]);
            let outcome = mediating(&t, "run", "mkdir").run();
            // without exit_group a program ends by a signal
            assert!(*name == "exit_group" || outcome.status.success(), "{name}: {outcome:#?}");
            assert!(t.bundle.file(&made).exists(), "{name}: {outcome:#?}");
        }
    }
}

#[test]
fn calls_that_the_executor_needs_can_be_mediated() {
    let mut t = test!();
    for name in ["execve", "sendmsg", "write", "capset", "futex", "close", "mmap", "exit_group"] {
        t.bundle.config["process"]["noNewPrivileges"] = json!(false);
        t.bundle.args(["/bin/echo", name]);
        mediating(&t, "run", name).run().prints(name);
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_reported_with_a_supervisor_too() {
    let mut t = test!();
    t.bundle.install("/bin/broken", "#!/nonexistent\n", 0o755);
    t.bundle.args(["/bin/broken"]);
    for name in ["getppid", "execve", "sendmsg"] {
        let failed = mediating(&t, "run", name).run();
        failed.fails_with("exec /bin/broken: no such file or directory");
        t.assert_clean();
    }
}

#[test]
fn with_a_dead_supervisor_nothing_can_be_added() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let (id, pid) = start_mediating(&t, "mkdir");
    process::signal(pid, 9);
    assert!(process::wait_for_end(pid, LIMIT));
    let outcome = t.exec(&id, ["/bin/true"]);
    assert!(!outcome.status.success(), "{outcome:#?}");
}

#[test]
fn without_its_supervisor_a_mediated_call_fails() {
    let mut t = test!();
    // by the shell itself, as often as it can until it is killed
    t.bundle.script("until [ -e /tmp/go ]; do :; done; while :; do mkdir /tmp/late; done");
    let (id, pid) = start_mediating(&t, "mkdir");
    let init = t.pid(&id);
    process::signal(pid, 9);
    assert!(process::wait_for_end(pid, LIMIT));
    fs::write(t.bundle.file("/tmp/go"), "").unwrap();
    until("the end of the container", || (!process::is_alive(init)).then_some(()));
    assert!(!t.bundle.file("/tmp/late").exists());
}

#[test]
fn many_processes_added_at_once_all_run() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let (id, _) = start_mediating(&t, "getppid");
    for round in 0..5 {
        let exec = |one| t.brig().args(["exec", &id, "/bin/echo", &format!("{round} {one}")]);
        let running: Vec<_> = (0..12).map(|one| exec(one).spawn()).collect();
        for (one, process) in running.into_iter().enumerate() {
            process.wait().prints(&format!("{round} {one}"));
        }
    }
}
