// SPDX-License-Identifier: Apache-2.0
//! A small workload: this very test program, put into a root filesystem, tries system calls there that
//! no tool has a command for.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::harness::{Outcome, Test};
use crate::test;

/// Says what is to be tried.
const VARIABLE: &str = "BRIG_TESTS_INSIDE";
const KEY: &str = "brig-tests-secret";

/// Puts the workload into the first bundle: everything is allowed that brig itself does not refuse.
fn install(t: &mut Test, task: &str) {
    let program = std::env::current_exe().unwrap();
    let inside = t.bundle.file("/bin/inside");
    fs::copy(program, &inside).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).unwrap();
    t.bundle.args(["/bin/inside", "--exact", "inside::workload", "--nocapture"]);
    let environment = json!(["PATH=/bin", format!("{VARIABLE}={task}"), "RUST_TEST_THREADS=1"]);
    t.bundle.config["process"]["env"] = environment;
    t.bundle.config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
}

/// What it found: lines after the mark.
fn found(outcome: Outcome) -> Vec<String> {
    let outcome = outcome.ok();
    let lines =
        outcome.stdout.lines().filter_map(|line| line.split_once("INSIDE ").map(|(_, text)| text));
    lines.map(str::to_owned).collect()
}

/// Not a test of its own: does nothing where it is not asked to.
#[test]
fn workload() {
    let Ok(task) = std::env::var(VARIABLE) else { return };
    match task.as_str() {
        "keys" => keys(),
        "supervision" => supervision(),
        other => panic!("{other} is no task"),
    }
}

/// A system call's result, or its error.
fn call(number: libc::c_long, args: [usize; 5]) -> Result<i64, i32> {
    // SAFETY: every caller gives numbers, or pointers to values that live over the call.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4]) };
    if result < 0 {
        Err(std::io::Error::last_os_error().raw_os_error().unwrap())
    } else {
        Ok(result)
    }
}

fn keyctl(operation: u32, args: [usize; 4]) -> Result<i64, i32> {
    let [a, b, c, d] = args;
    call(libc::SYS_keyctl, [operation as usize, a, b, c, d])
}

/// `KEY_SPEC_SESSION_KEYRING` of linux/keyctl.h.
const SESSION: usize = (-3_isize).cast_unsigned();

fn search() -> Result<i64, i32> {
    let (kind, name) = (CString::new("user").unwrap(), CString::new(KEY).unwrap());
    keyctl(libc::KEYCTL_SEARCH, [SESSION, kind.as_ptr() as usize, name.as_ptr() as usize, 0])
}

fn keys() {
    println!("INSIDE session {}", keyctl(libc::KEYCTL_GET_KEYRING_ID, [SESSION, 0, 0, 0]).unwrap());
    println!("INSIDE secret {:?}", search().map(|_| "found"));
}

/// The calling thread gets a session keyring with a key.
fn have_a_key() -> i64 {
    keyctl(libc::KEYCTL_JOIN_SESSION_KEYRING, [0; 4]).unwrap();
    let (kind, name) = (CString::new("user").unwrap(), CString::new(KEY).unwrap());
    let strings = [kind.as_ptr() as usize, name.as_ptr() as usize, name.as_ptr() as usize];
    call(libc::SYS_add_key, [strings[0], strings[1], strings[2], KEY.len(), SESSION]).unwrap();
    keyctl(libc::KEYCTL_GET_KEYRING_ID, [SESSION, 0, 0, 0]).unwrap()
}

#[test]
fn a_workload_and_added_processes_reach_no_key_of_the_callers() {
    let mut t = test!().plain();
    install(&mut t, "keys");
    let ours = format!("session {}", have_a_key());
    let enokey = format!("secret Err({})", libc::ENOKEY);
    // that the workload would find it
    let shared = found(t.run_command("run").arg("--no-new-keyring").run());
    assert_eq!(shared, [&ours, "secret Ok(\"found\")"]);
    let first = found(t.run_bundle());
    assert!(first[0] != ours && first[1] == enokey, "{first:?}");
    t.bundle.args(["/bin/sleep", "1000"]);
    let id = t.start();
    let added = found(t.exec(&id, ["/bin/inside", "--exact", "inside::workload", "--nocapture"]));
    assert!(added[0] != ours && added[1] == enokey, "{added:?}");
}

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags, a program that allows everything)`.
fn filter(flags: libc::c_ulong) -> Result<i64, i32> {
    let mut allow = libc::sock_filter { code: 6, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
    let program = libc::sock_fprog { len: 1, filter: &raw mut allow };
    let at = &raw const program as usize;
    call(
        libc::SYS_seccomp,
        [libc::SECCOMP_SET_MODE_FILTER as usize, usize::try_from(flags).unwrap(), at, 0, 0],
    )
}

fn supervision() {
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let say = |name: &str, result: Result<i64, i32>| {
        println!("INSIDE {name} {:?}", result.map(|_| "done"));
    };
    say("filter", filter(0));
    say("userfaultfd", call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0]));
    let others = listener | libc::SECCOMP_FILTER_FLAG_LOG | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    say("more flags", filter(others));
    // nobody has to answer: the program allows everything
    say("listener", filter(listener));
}

#[test]
fn beside_a_supervisor_a_workload_can_neither_answer_nor_stall_it() {
    let mut t = test!().plain();
    install(&mut t, "supervision");
    t.bundle.write();
    let run = || t.brig().args(["run", "--bundle"]).arg(&t.bundle.dir).last_arg(t.id("c"));
    let alone = found(run().run());
    let done = |name: &str| format!("{name} Ok(\"done\")");
    let failed = |name: &str, errno: i32| format!("{name} Err({errno})");
    assert_eq!(alone[0], done("filter"));
    assert_eq!(alone[1], done("userfaultfd"));
    // one of the two calls for a listener can be had
    assert_eq!(alone[2..], [done("more flags"), failed("listener", libc::EBUSY)]);
    let run = t.brig().args(["--testing-continue", "getppid", "run", "--bundle"]);
    let beside = found(run.arg(&t.bundle.dir).last_arg(t.id("c")).run());
    let expected = [
        done("filter"),
        failed("userfaultfd", libc::EPERM),
        failed("more flags", libc::EBUSY),
        failed("listener", libc::EBUSY),
    ];
    assert_eq!(beside, expected);
}
