// SPDX-License-Identifier: Apache-2.0
//! What a supervisor that has been taken over could do: the test makes it try, by writing its registers.
#![cfg(target_arch = "x86_64")]

use std::fs;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::{process, until};
use crate::supervisor::{check_seat, start_mediating};
use crate::test;

/// A thread that waits in a system call, held by ptrace(2).
pub struct Puppet {
    pid: Pid,
    registers: libc::user_regs_struct,
}

impl Puppet {
    pub fn hold(pid: i32) -> Self {
        let pid = Pid::from_raw(pid);
        ptrace::attach(pid).unwrap();
        assert_eq!(wait(pid), WaitStatus::Stopped(pid, Signal::SIGSTOP));
        Puppet { pid, registers: ptrace::getregs(pid).unwrap() }
    }

    /// Memory of its own that nothing else uses.
    fn scratch(&self) -> u64 {
        self.registers.rsp - 512
    }

    fn write(&self, text: &[u8; 8]) {
        let place = usize::try_from(self.scratch()).unwrap();
        ptrace::write(self.pid, std::ptr::without_provenance_mut(place), i64::from_ne_bytes(*text))
            .unwrap();
    }

    /// Has it make a system call, and returns what the kernel answers.
    fn call(&self, number: libc::c_long, args: [u64; 4]) -> i64 {
        let mut registers = self.registers;
        // the two bytes before are the instruction that it waits in
        registers.rip -= 2;
        registers.rax = number.cast_unsigned();
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10] = args;
        ptrace::setregs(self.pid, registers).unwrap();
        ptrace::step(self.pid, None).unwrap();
        assert_eq!(wait(self.pid), WaitStatus::Stopped(self.pid, Signal::SIGTRAP));
        ptrace::getregs(self.pid).unwrap().rax.cast_signed()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        // it may have been killed
        ptrace::setregs(self.pid, self.registers).unwrap_or_default();
        ptrace::detach(self.pid, None).unwrap_or_default();
    }
}

fn wait(thread: Pid) -> WaitStatus {
    waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap()
}

/// The thread of this name, once it has it.
pub fn thread(pid: i32, name: &str) -> i32 {
    until(name, || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let named = |task: &std::path::PathBuf| {
            fs::read_to_string(task.join("comm")).is_ok_and(|text| text.trim_end() == name)
        };
        let task = tasks.map(|one| one.unwrap().path()).find(named)?;
        Some(task.file_name().unwrap().to_str().unwrap().parse().unwrap())
    })
}

/// What its seccomp program refuses to every thread.
fn check_refused(puppet: &Puppet, init: i32) {
    let stack = puppet.scratch();
    // that a call is made and answered at all: exactly the bytes that are asked for
    assert_eq!(puppet.call(libc::SYS_getrandom, [stack, 8, 0, 0]), 8);
    let target = u64::from(init.cast_unsigned());
    for (name, number, args) in [
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [0, stack, 0, 0]),
        ("execve", libc::SYS_execve, [stack, 0, 0, 0]),
        ("clone", libc::SYS_clone, [17, 0, 0, 0]),
        ("fork", libc::SYS_fork, [0; 4]),
        ("socket", libc::SYS_socket, [1, 1, 0, 0]),
        ("kill", libc::SYS_kill, [target, 9, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [16, target, 0, 0]),
        ("mount", libc::SYS_mount, [stack, stack, stack, 0]),
        ("setns", libc::SYS_setns, [3, 0, 0, 0]),
        ("unshare", libc::SYS_unshare, [0x1000_0000, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, [0; 4]),
        ("bpf", libc::SYS_bpf, [0; 4]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, stack, 0, 0]),
        ("prctl", libc::SYS_prctl, [4, 1, 0, 0]),
        // of the calls that it has, not with other arguments
        ("ioctl", libc::SYS_ioctl, [0, 0x5412, stack, 0]),
    ] {
        // ENOSYS for numbers above all that the filter names: this kernel has them all
        let refused = [libc::EPERM, libc::ENOSYS].map(|errno| -i64::from(errno));
        let answer = puppet.call(number, args);
        assert!(refused.contains(&answer), "{name}: {answer}");
    }
}

#[test]
fn a_supervisor_can_open_reach_start_and_signal_nothing() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let (id, pid) = start_mediating(&t, "getppid");
    let init = t.pid(&id);
    check_seat(pid, init);
    for thread in [pid, thread(pid, "brig-worker"), thread(pid, "brig-minder")] {
        check_refused(&Puppet::hold(thread), init);
    }
    // and it goes on serving
    assert!(process::is_alive(pid));
    t.exec(&id, ["/bin/sh", "-c", "echo $PPID"]).prints("0");
}

#[test]
fn who_talks_to_brig_and_who_writes_the_log_reach_no_file() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let (_, pid) = start_mediating(&t, "getppid");
    let open = |thread: i32| {
        let puppet = Puppet::hold(thread);
        puppet.write(b"/\0\0\0\0\0\0\0");
        let flags = u64::from((libc::O_RDONLY | libc::O_DIRECTORY).cast_unsigned());
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        puppet.call(libc::SYS_openat, [here, puppet.scratch(), flags, 0])
    };
    for thread in [pid, thread(pid, "brig-log")] {
        assert_eq!(open(thread), -i64::from(libc::EACCES));
    }
    // workers open what callers ask for: the test could fail
    assert!(open(thread(pid, "brig-worker")) > 0);
}
