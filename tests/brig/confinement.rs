// SPDX-License-Identifier: Apache-2.0
//! What a supervisor that has been taken over could do: the test makes it try, by writing its registers.
#![cfg(target_arch = "x86_64")]

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::process;
use crate::supervisor::{check_seat, start_mediating};
use crate::test;

/// A process that waits in a system call, held by ptrace(2).
struct Puppet {
    pid: Pid,
    registers: libc::user_regs_struct,
}

impl Puppet {
    fn hold(pid: i32) -> Self {
        let pid = Pid::from_raw(pid);
        ptrace::attach(pid).unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Stopped(pid, Signal::SIGSTOP));
        Puppet { pid, registers: ptrace::getregs(pid).unwrap() }
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
        assert_eq!(
            waitpid(self.pid, None).unwrap(),
            WaitStatus::Stopped(self.pid, Signal::SIGTRAP)
        );
        ptrace::getregs(self.pid).unwrap().rax.cast_signed()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        ptrace::setregs(self.pid, self.registers).unwrap();
        ptrace::detach(self.pid, None).unwrap();
    }
}

#[test]
fn a_supervisor_can_open_reach_start_and_signal_nothing() {
    let mut t = test!();
    t.bundle.args(["/bin/sleep", "1000"]);
    let (id, pid) = start_mediating(&t, "getppid");
    let init = t.pid(&id);
    check_seat(pid, init);
    let puppet = Puppet::hold(pid);
    // that a call is made and answered at all: exactly the bytes that are asked for
    let stack = puppet.registers.rsp - 512;
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
    drop(puppet);
    // and it goes on serving
    assert!(process::is_alive(pid));
    t.exec(&id, ["/bin/sh", "-c", "echo $PPID"]).prints("0");
}
