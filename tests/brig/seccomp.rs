// SPDX-License-Identifier: Apache-2.0
//! `linux.seccomp`, live: the first process and added ones.

use serde_json::{Value, json};

use crate::harness::process;
use crate::test;

/// Everything is allowed but one call, which fails with EPERM.
pub fn denying(name: &str) -> Value {
    acting(name, json!({ "action": "SCMP_ACT_ERRNO" }))
}

fn acting(name: &str, mut rule: Value) -> Value {
    rule["names"] = json!([name]);
    json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [rule] })
}

#[test]
fn a_denied_call_fails_in_the_first_process_and_in_added_ones() {
    let mut t = test!().plain();
    t.run(["/bin/mkdir", "/a"]).ok();
    t.bundle.config["linux"]["seccomp"] = denying("mkdir");
    t.run(["/bin/mkdir", "/b"]).fails_with("Operation not permitted");
    let id = t.start_sleeping();
    t.exec(&id, ["/bin/mkdir", "/c"]).fails_with("Operation not permitted");
    assert!(!t.bundle.file("/b").exists() && !t.bundle.file("/c").exists());
    let pid = t.pid(&id);
    assert_eq!(process::status(pid, "Seccomp").unwrap(), "2");
    assert_eq!(process::status(pid, "Seccomp_filters").unwrap(), "1");
    let added = t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout;
    assert_eq!(process::field(&added, "Seccomp").unwrap(), "2");
    assert_eq!(process::field(&added, "Seccomp_filters").unwrap(), "1");
    assert_eq!(process::field(&added, "NoNewPrivs").unwrap(), "1");
}

#[test]
fn without_seccomp_the_default_profile_holds() {
    let mut t = test!();
    let id = t.start_sleeping();
    assert_eq!(process::status(t.pid(&id), "Seccomp").unwrap(), "2");
    let added = t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout;
    assert_eq!(process::field(&added, "Seccomp").unwrap(), "2");
    t.exec(&id, ["/bin/unshare", "-U", "true"]).fails_with("not permitted");
}

#[test]
fn the_profile_none_takes_a_specification_without_seccomp_at_its_word() {
    let mut t = test!().plain();
    let id = t.start_sleeping();
    assert_eq!(process::status(t.pid(&id), "Seccomp").unwrap(), "0");
    let added = t.exec(&id, ["/bin/cat", "/proc/self/status"]).ok().stdout;
    assert_eq!(process::field(&added, "Seccomp").unwrap(), "0");
    t.delete(&id);
    t.run(["/bin/unshare", "-U", "true"]).ok();
}

#[test]
fn errno_is_what_the_rule_says() {
    let mut t = test!().plain();
    for (errno, text) in [
        (13, "Permission denied"),
        (28, "No space left on device"),
        (38, "Function not implemented"),
    ] {
        t.bundle.config["linux"]["seccomp"] =
            acting("mkdir", json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": errno }));
        t.run(["/bin/mkdir", "/x"]).fails_with(text);
    }
}

#[test]
fn kill_and_trap_end_the_process_with_sigsys() {
    let mut t = test!().plain();
    for action in
        ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"]
    {
        t.bundle.config["linux"]["seccomp"] = acting("mkdir", json!({ "action": action }));
        t.script("mkdir /x; echo $?").prints("159");
        t.run(["/bin/mkdir", "/x"]).exits(159);
    }
    assert!(!t.bundle.file("/x").exists());
}

#[test]
fn log_and_trace_and_allow_are_accepted() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = acting("mkdir", json!({ "action": "SCMP_ACT_LOG" }));
    t.run(["/bin/mkdir", "/x"]).ok();
    // nobody traces: the call fails
    t.bundle.config["linux"]["seccomp"] = acting("mkdir", json!({ "action": "SCMP_ACT_TRACE" }));
    t.run(["/bin/mkdir", "/y"]).fails_with("Function not implemented");
}

#[test]
fn conditions_look_at_arguments() {
    let mut t = test!().plain();
    // kill(2) with signal 10 alone
    t.bundle.config["linux"]["seccomp"] = acting(
        "kill",
        json!({
            "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
            "args": [{ "index": 1, "value": 10, "op": "SCMP_CMP_EQ" }],
        }),
    );
    t.script("sleep 1000 & kill -12 $! || echo no 12; sleep 1000 & kill -10 $! || echo no 10; kill -9 $!")
        .prints("no 10");
    // chmod with a set-id bit, by mask
    t.bundle.config["linux"]["seccomp"] = acting(
        "chmod",
        json!({
            "action": "SCMP_ACT_ERRNO",
            "args": [{ "index": 1, "value": 0o6000, "valueTwo": 0o4000, "op": "SCMP_CMP_MASKED_EQ" }],
        }),
    );
    t.script("touch /f; chmod 4755 /f 2>/dev/null || echo refused; chmod 2755 /f && chmod 755 /f && echo done")
        .prints("refused\ndone");
}

#[test]
fn an_allowlist_lets_nothing_else_through() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{ "action": "SCMP_ACT_ALLOW", "names": [
            "execve", "exit", "exit_group", "brk", "mmap", "munmap", "mprotect", "read", "write", "close",
            "open", "openat", "fstat", "newfstatat", "stat", "lstat", "arch_prctl", "set_tid_address",
            "set_robust_list", "rseq", "prlimit64", "getrandom", "readlink", "readlinkat", "getuid",
            "getpid", "geteuid", "getgid", "getegid", "rt_sigaction", "rt_sigprocmask", "ioctl", "fcntl",
            "sendfile", "prctl", "capset", "uname", "getcwd", "futex", "dup", "dup2", "writev",
        ] }],
    });
    t.run(["/bin/cat", "/etc/group"]).ok();
    t.run(["/bin/mkdir", "/x"]).fails_with("Operation not permitted");
    // without capset, and without what brig itself uses between the filter and execve
    for noun in [true, false] {
        t.bundle.config["process"]["noNewPrivileges"] = json!(noun);
        let calls =
            t.bundle.config["linux"]["seccomp"]["syscalls"][0]["names"].as_array_mut().unwrap();
        calls.retain(|name| name != "capset" && name != "prctl" && name != "futex");
        t.run(["/bin/echo", "fine"]).prints("fine");
    }
}

#[test]
fn a_program_that_cannot_be_executed_is_reported_under_any_filter() {
    let mut t = test!().plain();
    t.bundle.install("/bin/garbage", "\u{7f}ELF but not really", 0o755);
    for name in ["sendmsg", "write", "exit_group"] {
        for action in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"] {
            t.bundle.config["linux"]["seccomp"] = acting(name, json!({ "action": action }));
            t.run(["/bin/garbage"]).fails_with("exec format error");
            t.assert_clean();
        }
    }
}

#[test]
fn execve_denied_by_the_filter_is_reported() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = denying("execve");
    t.run(["/bin/true"]).fails_with("operation not permitted");
    t.assert_clean();
}

#[test]
fn notify_without_a_listener_is_refused() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = acting("mkdir", json!({ "action": "SCMP_ACT_NOTIFY" }));
    t.run(["/bin/true"]).fails_with("linux.seccomp.listenerPath");
    t.bundle.config["linux"]["seccomp"]["listenerPath"] = json!(t.path("nobody.sock"));
    t.run(["/bin/true"]).fails_with("nobody.sock");
    t.assert_clean();
}

#[test]
fn a_name_that_no_kernel_has_is_an_error_in_a_rule_that_is_stricter() {
    let mut t = test!().plain();
    t.bundle.config["linux"]["seccomp"] = denying("no_such_call");
    t.run(["/bin/true"]).fails_with("no_such_call");
    t.bundle.config["linux"]["seccomp"]["defaultAction"] = json!("SCMP_ACT_NOPE");
    t.run(["/bin/true"]).fails_with("SCMP_ACT_NOPE");
    t.assert_clean();
}
