// SPDX-License-Identifier: Apache-2.0
//! What the supervisor takes from itself before it serves: capabilities, file access, system calls.
//!
//! Every thread is under a seccomp program of its own: no program can be executed, no process made,
//! no socket, no mount, no namespace. The thread that talks to brig and the watcher is besides in a
//! Landlock domain that grants nothing. Those that look at callers cannot be in one: the kernel lets
//! nobody look at a process that is not in one's own domain.

use anyhow::{Context as _, anyhow};
use brig_policy::seccomp::{self, Arch, FilterFlags, Input};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::standing::OWN;
use crate::sys::{identity, landlock, notify, pidfd};

/// `CAP_SETPCAP`: it takes this to keep capabilities apart from user ids.
const CAP_SETPCAP: u64 = 1 << 8;

/// What serving takes: the listener, the caller's memory and descriptors, being the caller, files,
/// sockets, and what threads, the allocator and the end of a process take.
const CALLS: &[&str] = &[
    "accept4",
    "bind",
    "brk",
    "capget",
    "capset",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "connect",
    "dup",
    "dup3",
    "exit",
    "exit_group",
    "fchdir",
    "fchmodat",
    "fchownat",
    "file_setattr",
    "fstat",
    "fstatfs",
    "fstatfs64",
    "ftruncate",
    "ftruncate64",
    "futex",
    "getgroups",
    "getpeername",
    "getpid",
    "getrandom",
    "getsockname",
    "getsockopt",
    "gettid",
    "kcmp",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "linkat",
    "listen",
    "lseek",
    "madvise",
    "mkdirat",
    "mknodat",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "newfstatat",
    "openat",
    "openat2",
    "pidfd_getfd",
    "pidfd_open",
    "pidfd_send_signal",
    "poll",
    "ppoll",
    "process_vm_readv",
    "pwrite64",
    "read",
    "readlinkat",
    "recvmsg",
    "removexattr",
    "renameat2",
    "restart_syscall",
    "rseq",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "sendmsg",
    "sendto",
    "set_robust_list",
    "setfsgid",
    "setfsuid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setxattr",
    "shutdown",
    "sigaltstack",
    "statx",
    "symlinkat",
    "tgkill",
    "truncate",
    "truncate64",
    "umask",
    "unlinkat",
    "utimensat",
    "write",
    "writev",
];

/// `CLONE_FS`, `CLONE_THREAD` and `F_DUPFD_CLOEXEC` of their headers.
const CLONE_FS: u64 = 0x200;
const CLONE_THREAD: u64 = 0x1_0000;
const F_GETFL: u64 = 3;
const F_DUPFD_CLOEXEC: u64 = 1030;
const F_GETFD: u64 = 1;
const PR_SET_NAME: u64 = 15;

/// The capabilities that the supervisor keeps: to look at callers and become them, and those that
/// they can have themselves.
///
/// # Errors
///
/// The kernel's.
pub fn permitted(callers: u64) -> anyhow::Result<u64> {
    let own = rustix::thread::capabilities(None).context("capget")?;
    Ok(own.permitted.bits() & (OWN | callers))
}

/// Keeps these capabilities alone.
///
/// # Errors
///
/// The kernel's.
pub fn keep_only(capabilities: u64) -> anyhow::Result<()> {
    let own = rustix::thread::capabilities(None).context("capget")?;
    let kept = CapabilitySet::from_bits_retain(own.permitted.bits() & capabilities);
    let inheritable = CapabilitySet::empty();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable };
    rustix::thread::set_capabilities(None, sets).context("capset")
}

/// Confines the calling process for good.
///
/// # Errors
///
/// A step that the kernel refused: the supervisor must not serve then.
pub fn apply(permitted: u64) -> anyhow::Result<()> {
    keep_only(permitted | CAP_SETPCAP)?;
    identity::keep_capabilities().context("prctl(PR_SET_SECUREBITS)")?;
    keep_only(permitted)?;
    rustix::thread::set_no_new_privs(true).context("no_new_privs")?;
    load_filter()
}

/// The calling thread alone reaches no file and no socket from here on.
///
/// # Errors
///
/// The kernel's.
pub fn reach_nothing() -> anyhow::Result<()> {
    // it must still be able to kill the container
    match landlock::deny_everything(landlock::Signals::Allowed) {
        Ok(()) => Ok(()),
        // KERNEL(5.13): a kernel without Landlock
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP)) => {
            Ok(())
        }
        Err(error) => Err(error).context("landlock_restrict_self"),
    }
}

fn load_filter() -> anyhow::Result<()> {
    let spec = seccomp::parse(&filter()).map_err(|errors| anyhow!("own filter: {errors:?}"))?;
    let native = Arch::of_build()
        .ok_or_else(|| anyhow!("no table of system calls for this architecture"))?;
    let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native };
    let compiled = seccomp::compile(&input).map_err(|errors| anyhow!("own filter: {errors:?}"))?;
    let flags = compiled.flags.without(FilterFlags::TSYNC).bits().into();
    crate::sys::seccomp::load(compiled.program.instructions(), flags).context("own filter")?;
    Ok(())
}

fn filter() -> serde_json::Value {
    let allowed = |names: &[&str], args: serde_json::Value| serde_json::json!({ "action": "SCMP_ACT_ALLOW", "names": names, "args": args });
    let equal = |index: u32, value: u64| serde_json::json!([{ "index": index, "value": value, "op": "SCMP_CMP_EQ" }]);
    let mut entries = vec![
        allowed(CALLS, serde_json::json!([])),
        allowed(
            &["clone"],
            serde_json::json!([{ "index": 0, "value": CLONE_THREAD, "valueTwo": CLONE_THREAD,
                                 "op": "SCMP_CMP_MASKED_EQ" }]),
        ),
        // its flags are in memory: the C library takes clone then
        serde_json::json!({ "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "names": ["clone3"] }),
        allowed(&["unshare"], equal(0, CLONE_FS)),
        allowed(&["prctl"], equal(0, PR_SET_NAME)),
        allowed(&["prlimit64"], equal(2, 0)),
    ];
    let own = [notify::RECV, notify::SEND, notify::ID_VALID, notify::ADDFD, notify::SET_FLAGS];
    let requests = own.into_iter().map(u64::from).chain([pidfd::GET_INFO.into()]);
    entries.extend(requests.map(|request| allowed(&["ioctl"], equal(1, request))));
    let commands = [F_GETFL, F_GETFD, F_DUPFD_CLOEXEC];
    entries.extend(commands.map(|command| allowed(&["fcntl"], equal(1, command))));
    serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_program_no_process_no_socket_and_no_mount_can_be_had() {
        let spec = seccomp::parse(&filter()).unwrap();
        let native = Arch::of_build().unwrap();
        let input = Input { spec: Some(&spec), restrictions: &[], mediated: &[], native };
        let program = seccomp::compile(&input).unwrap().program;
        let run = |name: &str, args: [u64; 6]| {
            let nr = seccomp::Syscall::from_name(name).unwrap().number(native).unwrap();
            let arch = native.token();
            let data = seccomp::SeccompData { nr, arch, instruction_pointer: 0, args };
            seccomp::run(&program, &data, native).unwrap().action
        };
        let calls = ["execve", "execveat", "fork", "socket", "mount", "ptrace", "setns", "bpf"];
        for name in calls {
            assert_eq!(run(name, [0; 6]), seccomp::Action::Errno(1), "{name}");
        }
        assert_eq!(run("clone", [17, 0, 0, 0, 0, 0]), seccomp::Action::Errno(1));
        assert_eq!(run("clone", [0x3d_0f00, 0, 0, 0, 0, 0]), seccomp::Action::Allow);
        assert_eq!(run("clone3", [0; 6]), seccomp::Action::Errno(38));
        assert_eq!(run("unshare", [0x200, 0, 0, 0, 0, 0]), seccomp::Action::Allow);
        assert_eq!(run("unshare", [0x1000_0200, 0, 0, 0, 0, 0]), seccomp::Action::Errno(1));
        assert_eq!(run("ioctl", [0, 0x5412, 0, 0, 0, 0]), seccomp::Action::Errno(1));
        assert_eq!(run("ioctl", [0, notify::ADDFD.into(), 0, 0, 0, 0]), seccomp::Action::Allow);
        assert_eq!(run("prlimit64", [0, 7, 1, 0, 0, 0]), seccomp::Action::Errno(1));
    }
}
